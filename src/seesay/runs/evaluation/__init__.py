"""Running: who is asked what, what was answered, and where that is kept.

`open_run` reads a results folder; nothing that it needs imports torch, so scoring needs no model.
`running.evaluate` makes one.
"""

from __future__ import annotations

from seesay.runs.evaluation.plan import Entry, Job, Plan, Planned
from seesay.runs.evaluation.records import Results, ResultsStore, open_run

__all__ = ["Entry", "Job", "Plan", "Planned", "Results", "ResultsStore", "open_run"]
