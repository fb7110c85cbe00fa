"""A report as JSON (schema seesay.report/1): full precision, null where a figure is not defined."""

from __future__ import annotations

import json
import math
from dataclasses import fields, is_dataclass
from typing import Any

from seesay.evaluate.report.content import EvaluationReport
from seesay.statistics.intervals import Interval
from seesay.statistics.metrics import Metric

SCHEMA = "seesay.report/1"


def render(report: EvaluationReport) -> str:
    """The report as JSON text."""
    content = {"schema": SCHEMA, **_plain(report)}
    return json.dumps(content, ensure_ascii=False, indent=1, allow_nan=False) + "\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Metric):
        return {"better": value.better, "unit": value.unit}
    if isinstance(value, Interval):
        return {name: _plain(number) for name, number in value._asdict().items()}
    if is_dataclass(value):
        return {field.name: _plain(getattr(value, field.name)) for field in fields(value)}
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value if isinstance(value, int | float | str | bool | None) else str(value)
