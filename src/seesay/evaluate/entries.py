"""From the text of `--methods` and `--sweep` to the entries of a run, controls among them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal, InvalidOperation
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import torch

from seesay.engine import AnyMethod, Method, Stack
from seesay.errors import EngineError, InputError, MethodError, nearest
from seesay.evaluate.plan import Control, Entry, split
from seesay.evaluate.same_stream_control import SameStream, has_stream
from seesay.options import method_of

if TYPE_CHECKING:
    from seesay.vlm import VLM

MOST_POINTS = 1000
GREEDY = {"num_beams": 1, "do_sample": False, "generation": {}}


@dataclass(frozen=True)
class Variant:
    """An entry and the method that it runs."""

    entry: Entry
    method: AnyMethod


@dataclass(frozen=True)
class SweepPoint:
    """A value of a sweep and the method at it."""

    method: Method
    base: Method
    field: str
    value: float


@dataclass(frozen=True)
class Wanted:
    """Methods, sweeps and decoding as they were asked for, checked as far as no model is needed.

    Attributes:
        methods: in order, without the plain model; "all" stands for all that fit the model.
        points: of all sweeps.
        controls: whether controls are generated for each of `methods`.
        decoding: num_beams, do_sample, generation.
    """

    methods: tuple[AnyMethod | str, ...]
    points: tuple[SweepPoint, ...] = ()
    controls: bool = True
    decoding: Mapping[str, Any] = field(default_factory=lambda: GREEDY)

    @classmethod
    def of(
        cls,
        methods: str,
        sweeps: Sequence[str] = (),
        *,
        controls: bool = True,
        decoding: Mapping[str, Any] = GREEDY,
    ) -> Wanted:
        """Read the texts.

        Raises:
            MethodError, InputError: a method, field or range that does not exist.
        """
        parts: list[AnyMethod | str] = []
        for text in split(methods):
            method = text if text == "all" else method_of(text)
            if isinstance(method, str) or method.methods:
                parts.append(method)
        points = tuple(point for text in sweeps for point in sweep(text))
        return cls(tuple(parts), points, controls, decoding)


def sweep(text: str) -> Iterator[SweepPoint]:
    """The points of "attention-lens.alpha=0.1:0.8:0.1" (both ends are in it) or "….alpha=0.1,0.4".

    Raises:
        MethodError, InputError: an unknown method or field, or no range.
    """
    found = re.fullmatch(r"\s*(.+)\.(\w+)\s*=\s*([^=()]+)", text)
    if found is None:
        raise InputError(
            f"sweep {text!r} is not of the form method.field=first:last:step, such as "
            "attention-lens.alpha=0.1:0.8:0.1"
        )
    base = method_of(found[1])
    if not isinstance(base, Method):
        raise InputError(f"sweep {text!r}: one method can be swept at a time, not a sum")
    known = [f.name for f in fields(base)]  # type: ignore[arg-type]  # every method is a dataclass
    if found[2] not in known:
        raise MethodError(f"{base.name}: unknown field {found[2]!r}; {nearest(found[2], known)}")
    for value in _values(found[3], text):
        yield SweepPoint(replace(base, **{found[2]: value}), base, found[2], value)  # type: ignore[type-var]


def variants(vlm: VLM, wanted: Wanted, note: Callable[[str], None]) -> list[Variant]:
    """What runs on this model: the plain model, its controls, each method with its controls, the
    points of sweeps. `note` is told what is left out, and why.

    Raises:
        EngineError: a method that was named and cannot run on this model or under this decoding.
    """
    chosen: list[AnyMethod] = []
    for method in wanted.methods:
        if not isinstance(method, str):
            chosen.append(_fitting(vlm, method, wanted.decoding))
            continue
        for name, reason in vlm.misfits().items():
            note(f"without {name}: {reason}")
        for one in vlm.all_methods()[1:]:
            refused = _refused(one, wanted.decoding)
            if refused is None:
                chosen.append(one)
            else:
                note(f"without {one}: {refused}")
    made = _Made(vlm, wanted)
    made.add("plain", Stack(), role="plain")
    if wanted.controls and wanted.decoding["do_sample"]:
        made.control("plain greedy", Stack(), "plain-greedy", None, GREEDY)
    for method in chosen:
        made.add(repr(method), method, role="method")
        if wanted.controls:
            made.controls(method, note)
    for point in wanted.points:
        _fitting(vlm, point.method, wanted.decoding)
        sweep = {"method": repr(point.base), "field": point.field, "value": point.value}
        label = f"{point.base}.{point.field}={point.value}"
        made.add(label, point.method, role="sweep", sweep=sweep)
    return list(made.by_label.values())


class _Made:
    """Variants by label; a label that is there stays as it is."""

    def __init__(self, vlm: VLM, wanted: Wanted) -> None:
        self.by_label: dict[str, Variant] = {}
        self._vlm, self._wanted = vlm, wanted

    def add(self, label: str, method: AnyMethod, **more: Any) -> None:
        entry = Entry(
            label=label,
            method=repr(method.resolved_for(self._vlm.view)),
            written=repr(method),
            decoding=dict(more.pop("decoding", self._wanted.decoding)),
            **more,
        )
        self.by_label.setdefault(label, Variant(entry, method))

    def control(
        self,
        label: str,
        method: AnyMethod,
        kind: Control,
        of: str | None,
        decoding: Mapping[str, Any] | None = None,
    ) -> None:
        how = self._wanted.decoding if decoding is None else decoding
        self.add(label, method, role="control", control=kind, of=of, decoding=how)

    def controls(self, method: AnyMethod, note: Callable[[str], None]) -> None:
        """Strength 0; the second stream as the first; a temperature that sharpens as much."""
        name = repr(method)
        try:
            zero = Stack(tuple(part.at_zero() for part in method.methods))
        except MethodError as error:
            note(f"{name} without its control at strength 0: {error}")
        else:
            self.control(f"{name}: strength 0", zero, "strength-0", name)
        settled = method.resolved_for(self._vlm.view)
        if any(map(has_stream, settled.methods)):
            same = Stack(tuple(SameStream.within(part) for part in settled.methods))
            self.control(f"{name}: second stream := first", same, "same-stream", name)
        factor = sharpening(settled)
        if self._wanted.decoding["do_sample"] and factor != 1:
            temperature = self._temperature() / factor
            decoding = {**self._wanted.decoding}
            decoding["generation"] = {**decoding["generation"], "temperature": temperature}
            label = f"{name}: temperature {temperature:.3g}"
            self.control(label, Stack(), "temperature", name, decoding)

    def _temperature(self) -> float:
        own = self._vlm.view.generation_config.temperature
        return float(self._wanted.decoding["generation"].get("temperature") or own or 1.0)


def sharpening(method: AnyMethod) -> float:
    """What the fold multiplies the plain logits with when its second stream says what the first
    one says: 1 + α for AGLA, 1 for contrasts. A gate does so at some steps only and counts as 1.
    """
    probe = torch.ones(1, 1, 1)
    decoding = SimpleNamespace(seen=0, length=0)
    factor = 1.0
    for part in method.methods:
        if has_stream(part) and part.gate_threshold is None:
            term = part.logits_term(probe, probe, decoding)  # type: ignore[arg-type]
            factor += 0.0 if term is None else float(term)
    return factor


def _fitting(vlm: VLM, method: AnyMethod, decoding: Mapping[str, Any]) -> AnyMethod:
    reason = vlm.fits(method) or _refused(method, decoding)
    if reason is not None:
        raise EngineError(f"{method} cannot run on {vlm.id}: {reason}")
    return method


def _refused(method: AnyMethod, decoding: Mapping[str, Any]) -> str | None:
    asked = {"beams": decoding["num_beams"] > 1, "sampling": decoding["do_sample"]}
    for part in method.methods:
        for mode, reason in part.refuses.items():
            if asked.get(mode):
                return f"{mode} are asked for, and {reason}"
    return None


def _values(text: str, whole: str) -> Iterator[float]:
    """Numbers from "first:last:step" or "a,b,c"; whole ones where all are written so."""
    cut = ":" if ":" in text else ","
    try:
        numbers = [Decimal(part.strip()) for part in text.split(cut)]
    except InvalidOperation:
        numbers = []
    usable = numbers and all(number.is_finite() for number in numbers)
    if cut == ":" and usable:
        usable = len(numbers) == 3 and numbers[2] > 0 and numbers[0] <= numbers[1]
        first, last, step = numbers if usable else (Decimal(0), Decimal(0), Decimal(1))
        count = int((last - first) / step) + 1
        if count > MOST_POINTS:
            raise InputError(f"sweep {whole!r} has {count} points; {MOST_POINTS} are the most")
        written = numbers
        numbers = [first + k * step for k in range(count)]
    else:
        written = numbers
    if not usable:
        raise InputError(
            f"sweep {whole!r}: {text!r} is no range; write first:last:step with a step above 0, or "
            "values with commas between them"
        )
    are_whole = all(number == number.to_integral_value() and "." not in str(number)
                    for number in written)  # fmt: skip
    for number in numbers:
        yield int(number) if are_whole else float(number)
