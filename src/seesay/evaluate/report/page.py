"""A report as one self-contained HTML page that opens from disk and asks no network."""

from __future__ import annotations

from functools import lru_cache
from importlib.resources import files
from typing import TYPE_CHECKING

from seesay.evaluate.report import cells, charts, formatting
from seesay.evaluate.report.content import EvaluationReport, settled
from seesay.render.page import digest
from seesay.render.terminal import printable

if TYPE_CHECKING:
    from jinja2 import Template


def render(report: EvaluationReport, title: str = "Evaluation") -> str:
    """The page as text. Everything that a model or a user wrote is escaped."""
    script = files("seesay.evaluate.report").joinpath("sort.js").read_text(encoding="utf-8")
    return _template().render(
        title=title,
        report=report,
        grids=cells,
        plots=charts,
        wording=formatting,
        settled=settled,
        script=script,
        digest=digest(script),
    )


@lru_cache
def _template() -> Template:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("seesay.evaluate", "report"), PackageLoader("seesay", "render")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clean"] = printable
    return environment.get_template("report.html")
