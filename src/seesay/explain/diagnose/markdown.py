"""A report of diagnoses as Markdown: verdicts with their intervals, and every table."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from seesay.explain.diagnose import wording
from seesay.explain.diagnose.types import Claim, DiagnosisReport, Finding, FindingPart
from seesay.render.page import rows
from seesay.render.terminal import printable


def render(report: DiagnosisReport, title: str = "Diagnosis", command: str = "") -> str:
    """The report as a page of Markdown.

    Args:
        command: that makes the page anew; printed at its head.
    """
    return "\n".join(_lines(report, title, command)) + "\n"


def _lines(report: DiagnosisReport, title: str, command: str) -> Iterator[str]:
    invented = "" if report.invented is None else f", {report.invented} of them invented"
    yield f"# {_clean(title)}: {_clean(report.model)}"
    yield ""
    if command:
        yield f"This page is generated: `{command}`."
        yield ""
    yield (
        f"{report.pictures} pictures ({_clean(report.images)}), {report.words} named "
        f"objects{invented}."
    )
    for remark in report.remarks:
        yield from ("", _clean(remark))
    yield from ("", wording.READING, "", "## Verdicts", "")
    table = [
        (finding.name, _clean(claim.says), f"**{claim.verdict}**", _said(claim))
        for finding in report.findings
        for claim in finding.claims
    ]
    table += [(f.name, _clean(f.title), "skipped", _clean(f.skipped)) for f in _skipped(report)]
    yield from _table(("diagnosis", "observation", "verdict", "figure [95 %]"), table)
    for finding in report.findings:
        if finding.parts:
            yield from _section(finding)
    yield from ("", "## Protocol", "")
    yield from _table(("", ""), [(name, _clean(value)) for name, value in rows(report.protocol)])


def _section(finding: Finding) -> Iterator[str]:
    yield from ("", f"## {_clean(finding.title)}", "", _clean(finding.question))
    yield from ("", f"After {_clean(finding.paper)}.")
    for remark in finding.remarks:
        yield from ("", _clean(remark))
    for part in finding.parts:
        yield from _part(part)
    for method, reason in finding.advice:
        yield from ("", f"`{method}`: {_clean(reason)}.")


def _part(part: FindingPart) -> Iterator[str]:
    yield from ("", f"### {_clean(part.title)}", "", _clean(part.caption))
    for claim in part.claims:
        yield from ("", f"> {_clean(wording.sentence(claim))}")
    yield ""
    yield from _table(part.numbers.head, part.numbers.rows)


def _table(head: Sequence[str], body: Sequence[Sequence[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *body):
        yield "| " + " | ".join(_clean(cell).replace("|", "\\|") for cell in row) + " |"


def _skipped(report: DiagnosisReport) -> list[Finding]:
    return [finding for finding in report.findings if finding.skipped]


def _said(claim: Claim) -> str:
    if claim.verdict == "cannot be told":
        return claim.unable or "not defined here"
    side = "above" if claim.above else "below"
    manner = f" ({claim.manner})" if claim.manner else ""
    return f"{wording.interval(claim.figure)}, to lie {side} {wording.bound(claim)}{manner}"


def _clean(text: str) -> str:
    return printable(" ".join(str(text).split()))
