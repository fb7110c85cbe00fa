"""Questions about videos, judged by a language model, as MSVD-QA, MSRVTT-QA and ActivityNet-QA are
scored since Video-ChatGPT (Maaz et al., 2023).

Only the record format and the scorer are here. Answers come from elsewhere, as JSON lines of id and
text: seesay itself shows models single pictures.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, NamedTuple

from seesay.errors import InputError, nearest
from seesay.evaluate.benchmark import Answer, Kind, Sample
from seesay.evaluate.benchmarks.files import digest, read_rows
from seesay.evaluate.benchmarks.files import field as value_of
from seesay.evaluate.benchmarks.judge import AnyJudge, judge_name
from seesay.evaluate.benchmarks.listed import Counted, ListedQuestions, tally
from seesay.statistics.metrics import Metric, Score, ratio

SCORER_VERSION: Final = 1
COLUMNS: Final = ("asked", "judged", "right", "points", "unjudged")
HIGHEST: Final = 5

REQUEST: Final = """\
You compare a predicted answer to a question about a video with the right answer.
Synonyms and paraphrases of the right answer count as right. What matters is the meaning.

Question: {question}
Right answer: {answer}
Predicted answer: {prediction}

Say whether the prediction is right (yes or no), and how well it fits, as a whole number from 0
(not at all) to 5 (fully). Reply with one dictionary and nothing else, in this form:
{{"pred": "yes", "score": 4}}
"""
"""Our words. Published prompts differ: give theirs (`request`) to compare with their figures."""


class Verdict(NamedTuple):
    """What a judge said: whether the answer is right, and 0 to 5 points."""

    right: bool
    points: int


def read_verdict(reply: str) -> Verdict | None:
    """The first dictionary of a reply, in JSON or Python's form; None where there is none of the
    asked form.

    >>> read_verdict("Sure: {'pred': 'yes', 'score': 4.0}")
    Verdict(right=True, points=4)
    """
    found = re.search(r"\{.*?\}", reply, re.DOTALL)
    if found is None:
        return None
    try:
        said = json.loads(found.group())
    except ValueError:
        try:
            said = ast.literal_eval(found.group())
        except (ValueError, SyntaxError):
            return None
    if not isinstance(said, dict):
        return None
    word, points = str(said.get("pred", "")).strip().lower(), said.get("score")
    try:
        score = int(float(str(points)))
    except (ValueError, OverflowError):
        return None
    if word not in ("yes", "no") or not 0 <= score <= HIGHEST:
        return None
    return Verdict(word == "yes", score)


@dataclass(frozen=True, kw_only=True)
class VideoQuestions(ListedQuestions):
    """Open questions about videos.

    Attributes:
        questions: JSON lines with id (or question_id), video, question, answer; not needed to
            score.
        videos: the folder of the videos; else that of `questions`.
        judge: a text → its reply; `judge.Endpoint` asks a server, `judge.Replayed` keeps replies.
        request: what the judge is asked, with {question}, {answer} and {prediction} in it.
        failures: what a reply of another form counts as: "no" (a wrong answer with 0 points, as
            lmms-eval has it), or "skip" (left out). They are counted as unjudged in both.
    """

    questions: Path | None = None
    videos: Path | None = None
    judge: AnyJudge | None = None
    request: str = REQUEST
    failures: Literal["no", "skip"] = "no"
    max_new_tokens: int = 128
    name: str = field(default="video", init=False)
    kind: ClassVar[Kind] = "open"
    metrics: ClassVar[Mapping[str, Metric]] = {
        "accuracy": Metric(ratio("right", "judged"), "higher"),
        "score": Metric(ratio("points", "judged", 1), "higher", "of 5"),
        "unjudged": Metric(ratio("unjudged", "asked"), "lower"),
    }

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.failures not in ("no", "skip"):
            raise InputError(
                f"unknown failures={self.failures!r}; {nearest(self.failures, ('no', 'skip'))}"
            )
        for part in ("question", "answer", "prediction"):
            if f"{{{part}}}" not in self.request:
                raise InputError(f"the judge's request has no {{{part}}} in it; put it in")
        try:
            self.request.format(question="", answer="", prediction="")
        except (LookupError, ValueError) as error:
            raise InputError(
                f"the judge's request has a brace that names nothing ({error}); write {{{{ or }}}}"
            ) from error

    def listed(self) -> Iterator[Sample]:
        if self.questions is None:
            raise InputError("video needs a file of questions (JSON lines)")
        folder = self.videos or self.questions.parent
        for row in read_rows(self.questions):
            video = str(value_of(row, ("video", "video_id", "video_name"), self.questions))
            question = str(value_of(row, ("question",), self.questions))
            yield Sample(
                id=str(value_of(row, ("id", "question_id"), self.questions)),
                picture=str(folder / video),
                prompt=question,
                cluster=video,
                truth={
                    "question": question,
                    "answer": str(value_of(row, ("answer",), self.questions)),
                },
            )

    def score(self, samples: Sequence[Sample], answers: Mapping[str, Answer]) -> Score:
        """Ask the judge about each answer, and count.

        Raises:
            InputError: there is no judge.
            ModelError: the judge gave no reply; those before it are kept by `judge.Replayed`.
        """
        if self.judge is None:
            raise InputError("video needs a judge, such as judge.Endpoint(url, model)")
        ask = self.judge

        def count(sample: Sample, answer: Answer) -> Counted:
            reply = ask(self.request.format(**sample.truth, prediction=answer.text))
            verdict = read_verdict(reply)
            counted = verdict or (Verdict(False, 0) if self.failures == "no" else None)
            counts = {
                "asked": 1,
                "judged": counted is not None,
                "right": counted is not None and counted.right,
                "points": counted.points if counted else 0,
                "unjudged": verdict is None,
            }
            return Counted(counts, {"reply": reply, "verdict": verdict and verdict._asdict()})

        return tally(samples, answers, COLUMNS, count)

    def protocol(self) -> dict[str, Any]:
        """The judge, what it is asked, and the digest of the questions."""
        return {
            "benchmark": self.name,
            "scorer_version": SCORER_VERSION,
            "judge": judge_name(self.judge) if self.judge else None,
            "request": sha256(self.request.encode()).hexdigest(),
            "failures": self.failures,
            "limit": self.limit,
            "data": digest([self.questions]) if self.questions else None,
        }


def read_answers(path: Path) -> dict[str, Answer]:
    """Answers of a file of JSON lines with id (or question_id) and text (or pred).

    Raises:
        InputError: missing, broken, or an id that stands there twice.
    """
    answers: dict[str, Answer] = {}
    for row in read_rows(path):
        id = str(value_of(row, ("id", "question_id"), path))
        if id in answers:
            raise InputError(f"{path}: the id {id!r} stands there twice; keep one answer")
        answers[id] = Answer(id, str(value_of(row, ("text", "pred"), path)))
    return answers
