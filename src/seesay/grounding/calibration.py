"""Calibrated risk: the probability that an object which a model named is not in the picture.

A calibration belongs to one model at one revision. It holds the layers whose attention tells true
from invented words, a small logistic model on a word's scores (and a second one for words that were
also self-checked), and how reliable both were on pictures they had not seen. It lies in the user's
data folder, or beside the weights in the model's own; `Calibration.find` looks in both.
"""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from seesay.errors import ModelError

CALIBRATION_FILE = "seesay-calibration.json"
SCHEMA: Literal["seesay.calibration/1"] = "seesay.calibration/1"


class StoredInterval(BaseModel):
    """A figure and its 95 % interval."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


class OperatingPoint(BaseModel):
    """What leaving out words of at least `threshold` risk would do; shares of one. At a threshold
    of 1 nothing is left out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    threshold: float
    chair_i: float
    recall: float
    f1: float


class Logistic(BaseModel):
    """A logistic model of "this object is not there" on standardised scores.

    risk = 1 / (1 + e^−(intercept + Σ weights · (score − mean) / scale)). Probabilities come in as
    log-odds, see `feature`.

    `threshold`: words at this risk or above are marked: where F1 of finding invented words peaks.
    `auroc`, `error` (expected calibration error) and the curve (`mean risk`, `share invented`,
    `words` in each tenth) were measured on pictures that the weights had not seen. `kept`: for
    thresholds on the risk, what leaving out marked words would do: see `OperatingPoint`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    features: tuple[str, ...] = Field(min_length=1)
    mean: tuple[float, ...]
    scale: tuple[float, ...]
    weights: tuple[float, ...]
    intercept: float
    threshold: float = Field(ge=0, le=1)
    auroc: StoredInterval
    error: StoredInterval
    curve: tuple[tuple[float, float, int], ...]
    kept: tuple[OperatingPoint, ...]

    @model_validator(mode="after")
    def _fits(self) -> Logistic:
        lengths = {len(self.features), len(self.mean), len(self.scale), len(self.weights)}
        if len(lengths) != 1:
            raise ValueError("features, mean, scale and weights differ in length")
        numbers = (*self.mean, *self.scale, *self.weights, self.intercept)
        if not all(map(math.isfinite, numbers)) or min(self.scale) <= 0:
            raise ValueError("weights must be finite and scales positive")
        return self

    def risk(self, scores: Mapping[str, float]) -> float | None:
        """The probability that the object is not there, 0 to 1; None where a score that it rests on
        is missing or not finite, as that of a word at which its text was cut."""
        values = [feature(name, scores) for name in self.features]
        if not all(map(math.isfinite, values)):
            return None
        terms = zip(values, self.mean, self.scale, self.weights, strict=True)
        logit = self.intercept + sum(w * (value - mean) / scale for value, mean, scale, w in terms)
        return 1 / (1 + math.exp(-max(-700.0, logit)))

    def strongest(self) -> float:
        """The left-out risk at which F1 of objects named against objects there peaks."""
        return max(self.kept, key=lambda point: point.f1).threshold


def feature(name: str, scores: Mapping[str, float]) -> float:
    """A score as the logistic model takes it: NaN if it is missing, log-odds (±9 at most) for the
    probabilities behind `self_check` and `logprob`, which both crowd at their ends."""
    value = scores.get(name, math.nan)
    if name == "logprob":
        value = math.exp(min(value, 0.0))
    elif name != "self_check":
        return value
    if math.isnan(value):
        return value
    share = min(max(value, 1e-4), 1 - 1e-4)
    return math.log(share / (1 - share))


class Calibration(BaseModel):
    """What is known of one model's scores.

    Attributes:
        model, revision: what it was made with; another revision makes it void.
        vocabulary: the object words it was made with.
        layers: SVAR's range, both ends included; `layers_auroc` its AUROC, cross-validated.
        by_layer: AUROC of each layer's attention on the image.
        made_from, pictures, words, invented: the data.
        single: on the scores of the text's own pass; `checked`: with self-check; `asked`: on
            self-check alone, for texts that another wrote.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    schema_: Literal["seesay.calibration/1"] = Field(default=SCHEMA, alias="schema")
    model: str
    revision: str | None
    vocabulary: str
    prompt: str
    layers: tuple[int, int]
    layers_auroc: float
    by_layer: tuple[float, ...]
    made_from: str
    pictures: int = Field(ge=1)
    words: int = Field(ge=1)
    invented: int = Field(ge=1)
    single: Logistic
    checked: Logistic | None = None
    asked: Logistic | None = None
    versions: dict[str, str]

    @model_validator(mode="after")
    def _fits(self) -> Calibration:
        first, last = self.layers
        if not 0 <= first <= last < len(self.by_layer):
            raise ValueError(f"layers {first} to {last} of {len(self.by_layer)}")
        return self

    def __str__(self) -> str:
        return (
            f"probability that the object is not there, calibrated on {self.words} object words "
            f"({self.made_from})"
        )

    def logistic(self, scores: Mapping[str, float], given: bool = False) -> Logistic | None:
        """The model that fits what is known of a word.

        Args:
            given: whether another wrote the text. Its wording makes every word unlikely, so only
                the model's own answer counts; None where it was not asked.
        """
        if "self_check" not in scores:
            return None if given else self.single
        return (self.asked if given else self.checked) or (None if given else self.single)

    def text(self) -> str:
        return self.model_dump_json(by_alias=True, indent=1) + "\n"

    @staticmethod
    def read(path: Path) -> Calibration:
        """A calibration from its file; ModelError if it cannot be one."""
        try:
            return Calibration.model_validate(json.loads(path.read_text(encoding="utf-8")))
        except (OSError, ValueError, ValidationError) as error:
            reason = _reason(error)
            raise ModelError(
                f"cannot use the calibration {str(path)!r}: {reason}; make it anew with "
                "`seesay calibrate`, or delete it to see ranks"
            ) from error

    @staticmethod
    def find(model: str, folder: Path | None, revision: str | None) -> Found:
        """The calibration of a model at a revision, from the first place that has one.

        Args:
            folder: the model's own folder, if it has one.

        Raises:
            ModelError: a file in one of the places is no calibration.
        """
        remark = ""
        for path in places(model, folder):
            if not path.is_file():
                continue
            calibration = Calibration.read(path)
            if calibration.revision == revision:
                return Found(calibration, "")
            remark = remark or (
                f"{path} was made with revision {calibration.revision} of this model, not with "
                f"{revision}; ranks are shown, run `seesay calibrate` anew"
            )
        return Found(None, remark)


class Found:
    """A calibration, or None and a remark why one that is there cannot be used."""

    def __init__(self, calibration: Calibration | None, remark: str) -> None:
        self.calibration, self.remark = calibration, remark


def places(model: str, folder: Path | None) -> list[Path]:
    """Where a model's calibration may lie, first choice first: what somebody has measured with
    pictures of their own wins over what came with the weights.

    Args:
        folder: the model's own folder, if it has one.
    """
    base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    whole = str(Path(model).resolve()) if Path(model).is_dir() else model
    name = re.sub(r"[^\w.-]+", "--", whole).strip("-.")
    own = [folder / CALIBRATION_FILE] if folder else []
    return [Path(base) / "seesay" / "calibrations" / f"{name}.json", *own]


def _reason(error: Exception) -> str:
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the file"
        return f"{where}: {first['msg']}"
    return str(error).splitlines()[0]
