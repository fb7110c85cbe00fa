"""A report of diagnoses as one self-contained HTML page that opens from disk."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

from seesay.explain.diagnose import wording
from seesay.explain.diagnose.types import DiagnosisReport
from seesay.render.page import rows
from seesay.render.terminal import printable

if TYPE_CHECKING:
    from jinja2 import Template

_LOOKS = {"holds here": "yes", "does not hold here": "no", "cannot be told": "open"}


def render(report: DiagnosisReport, title: str = "Diagnosis") -> str:
    """The page as text. Everything that a model or a user wrote is escaped."""
    return _template().render(
        title=title, report=report, wording=wording, looks=_LOOKS, protocol=rows(report.protocol)
    )


@lru_cache
def _template() -> Template:
    from jinja2 import ChoiceLoader, Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=ChoiceLoader(
            [PackageLoader("seesay.explain", "diagnose"), PackageLoader("seesay", "render")]
        ),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["clean"] = printable
    return environment.get_template("diagnose.html")
