"""The contract of methods that act on steps: on models, in batches, under every way of decoding."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass, field, fields
from typing import Any

import torch
from torch import Tensor
from transformers.generation.streamers import BaseStreamer

from seesay import toy
from seesay.engine import REGISTRY, AnyMethod, Method, Stack, parse
from seesay.engine.method import MODES, VERBS
from seesay.errors import EngineError, MethodError, SeesayError
from seesay.methods.gate import Gate
from seesay.models.processors import chat_prompt
from seesay.testing.contract import ContractError

PROMPTS = ("Please describe this image in detail.", "Is there a fork in the image?", "Describe.")
NEW_TOKENS = 8
# Of the largest logit: what a method that computes a row or a map again may differ by rounding.
_NEAR = 1e-5


@dataclass
class StepCase:
    """A method on a model, with a left-padded batch and its prompts one by one."""

    method: Method
    model: Any
    processor: Any
    batch: dict[str, Tensor] = field(init=False)
    singles: list[dict[str, Tensor]] = field(init=False)

    def __post_init__(self) -> None:
        scenes = [toy.scene("broken", seed).image for seed in range(len(PROMPTS))]
        self.batch = self._inputs(list(PROMPTS), scenes)
        pairs = zip(PROMPTS, scenes, strict=True)
        self.singles = [self._inputs([prompt], [scene]) for prompt, scene in pairs]

    def outcomes(self) -> Outcomes:
        """Every check's outcome, in order."""
        for check in _CHECKS:
            yield from check(self)

    def _inputs(self, prompts: list[str], images: list[Any]) -> dict[str, Tensor]:
        texts = [chat_prompt(self.processor, prompt)[0] for prompt in prompts]
        batch = self.processor(images=images, text=texts, padding=True, return_tensors="pt")
        return dict(batch.to(self.model.device, dtype=self.model.dtype))

    def generate(
        self, method: AnyMethod, inputs: Mapping[str, Any], seed: int = 0, **options: Any
    ) -> Tensor:
        """The new tokens (sequences, tokens)."""
        with torch.random.fork_rng(), method(self.model, processor=self.processor):
            return self._new_tokens(inputs, seed, **options)

    def _new_tokens(self, inputs: Mapping[str, Any], seed: int = 0, **options: Any) -> Tensor:
        torch.manual_seed(seed)
        given = {"do_sample": False, "max_new_tokens": NEW_TOKENS, "pad_token_id": 0, **options}
        tokens: Tensor = self.model.generate(**inputs, **given)
        return tokens[:, inputs["input_ids"].shape[1] :]

    @torch.no_grad()
    def logits(self, method: AnyMethod | None = None) -> Tensor:
        """The batch's logits (batch, columns, vocabulary), plain without a method."""
        with method(self.model, processor=self.processor) if method else nullcontext():
            logits: Tensor = self.model(**self.batch).logits
        return logits.float()


class _InterruptedHere(Exception):  # noqa: N818  # no error: a block that is left by exception
    pass


Outcomes = Iterator[tuple[str, str]]


def _repr_round_trips(case: StepCase) -> Outcomes:
    if not case.method.name:
        raise ContractError(f"{type(case.method).__name__} has no name, so no text can name it")
    again = parse(repr(case.method))
    if again != case.method:
        raise ContractError(f"parse({case.method!r}) gives {again!r}; use @dataclass(repr=False)")
    yield "repr round-trips", "held"


def _strength_zero_is_plain(case: StepCase) -> Outcomes:
    zero, plain = case.method.at_zero(), case.logits()
    apart = _apart(case.logits(zero), plain)
    if apart > (_NEAR if zero.active else 0.0):
        raise ContractError(f"{zero!r} should be the plain model; its logits differ by {apart:g}")
    yield "strength 0 is plain", "held"


def _restores(case: StepCase) -> Outcomes:
    plain = case.logits()
    changed = case.logits(case.method)
    if _apart(changed, plain) <= _NEAR:
        raise ContractError(
            f"{case.method!r} changes nothing here; test it at a strength that does"
        )
    if not torch.equal(case.logits(), plain):
        raise ContractError(f"{case.method!r} leaves the model changed after its block")
    with suppress(_InterruptedHere), case.method(case.model, processor=case.processor):
        case.model(**case.batch)
        raise _InterruptedHere
    if not torch.equal(case.logits(), plain):
        raise ContractError(f"{case.method!r} leaves the model changed after an exception")
    yield "restored after exit and exception", "held"


def _padded_is_single(case: StepCase) -> Outcomes:
    for beams in (1, 3):
        title = "batch" if beams == 1 else "beams"
        yield _outcome(case, title, lambda beams=beams: _same_alone(case, beams))  # type: ignore[misc]


def _same_alone(case: StepCase, beams: int) -> None:
    together = case.generate(case.method, case.batch, num_beams=beams)
    for row, single in enumerate(case.singles):
        alone = case.generate(case.method, single, num_beams=beams)[0]
        if not torch.equal(_trimmed(together[row], case.model), _trimmed(alone, case.model)):
            raise ContractError(
                f"{case.method!r}: row {row} of a padded batch is not what it is "
                f"alone ({beams} beams)"
            )


def _modes_agree(case: StepCase) -> Outcomes:
    greedy = case.generate(case.method, case.batch)
    single = case.generate(case.method, case.singles[0])

    def same(title: str, expected: Tensor, got: Tensor) -> None:
        if not torch.equal(expected, got):
            raise ContractError(f"{case.method!r}: {title} gives another text")

    def sampling() -> None:
        one, two = (case.generate(case.method, case.batch, do_sample=True) for _ in range(2))
        same("sampling twice with one seed", one, two)

    def static() -> None:
        got = case.generate(case.method, case.batch, cache_implementation="static")
        same("a static cache", greedy, got)

    def streaming() -> None:
        heard = _Ear()
        same("a streamer", single, case.generate(case.method, case.singles[0], streamer=heard))
        same("what a streamer hears", single[0], torch.tensor(heard.tokens))

    def chunks() -> None:
        aside = "prefill in chunks" in case.method.inactive_in
        expected = case.generate(Stack(), case.batch) if aside else greedy
        got = case.generate(case.method, case.batch, prefill_chunk_size=16)
        same("a prompt read in chunks", expected, got)

    runs = (sampling, streaming, static, chunks)
    for title, run in zip(MODES[2:], runs, strict=True):
        yield _outcome(case, title, run)


def _nothing_leaks(case: StepCase) -> Outcomes:
    fresh = [case.generate(case.method, single) for single in case.singles]
    with case.method(case.model, processor=case.processor):
        for single, expected in zip(case.singles, fresh, strict=True):
            if not torch.equal(case._new_tokens(single), expected):
                raise ContractError(f"{case.method!r} remembers an earlier generation")
    yield "no state between generations", "held"


def _composes(case: StepCase) -> Outcomes:
    for name, kind in sorted(REGISTRY.items()):
        if not kind.standalone or name == case.method.name or kind.acts_on == "texts":
            continue  # a method that acts on texts joins none in a generation
        try:
            both = case.method + kind()
            case.generate(both, case.singles[0], max_new_tokens=2)
        except SeesayError as error:
            if not isinstance(error, MethodError | EngineError):
                raise
            yield f"with {name}", f"refused: {error}"
        else:
            yield f"with {name}", "held"


def _calls_every_verb_under_a_gate(case: StepCase) -> Outcomes:
    title = "every verb under a gate"
    if not case.method.standalone:
        return
    bare, gated = set[str](), set[str]()
    case.generate(_counted(case.method, bare), case.singles[0])
    try:
        case.generate(Gate(_counted(case.method, gated), below=1.0), case.singles[0])
    except (EngineError, MethodError) as error:
        yield title, f"refused: {error}"
        return
    if lost := sorted(bare - gated):
        raise ContractError(f"gate({case.method!r}) never calls {', '.join(lost)}")
    yield title, "held"


def _counted(method: Method, called: set[str]) -> Method:
    """`method`, which notes the names of its verbs as they are called."""

    def counting(verb: str, own: Callable[..., Any]) -> Callable[..., Any]:
        def call(self: Method, *arguments: Any) -> Any:
            called.add(verb)
            return own(self, *arguments)

        return call

    kind = type(method)
    verbs = {verb: counting(verb, getattr(kind, verb)) for verb in VERBS if method.overrides(verb)}
    # Without a name of its own the variant is no new entry of the registry.
    variant: type[Method] = type(kind.__name__, (kind,), verbs)
    given = {f.name: getattr(method, f.name) for f in fields(kind) if f.init}  # type: ignore[arg-type]
    return variant(**given)


def _outcome(case: StepCase, title: str, run: Callable[[], None]) -> tuple[str, str]:
    """Run a mode: right, or refused as the method declares."""
    declared = case.method.refuses.get(title)
    try:
        run()
    except EngineError as error:
        if declared is None:
            raise ContractError(f"{case.method!r} refuses {title} without declaring it") from error
        return title, f"refused: {declared}"
    if declared is not None:
        raise ContractError(f"{case.method!r} declares that it refuses {title}, and does not")
    aside = case.method.inactive_in.get(title)
    return title, "held" if aside is None else f"stands aside: {aside}"


def _apart(logits: Tensor, plain: Tensor) -> float:
    """The largest difference, as a share of the largest plain logit; infinite after a cut."""
    return float((logits - plain).abs().max() / plain.abs().max())


def _trimmed(tokens: Tensor, model: Any) -> Tensor:
    """Up to the token that ends the text; what pads it depends on the batch."""
    ends = torch.as_tensor(model.generation_config.eos_token_id).flatten()
    ended = torch.isin(tokens, ends).nonzero()
    return tokens[: int(ended[0]) + 1] if len(ended) else tokens


class _Ear(BaseStreamer):  # type: ignore[misc]
    """Keeps the tokens that a streamer is told, the prompt left out."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self._prompt = True

    def put(self, value: Tensor) -> None:
        if not self._prompt:
            self.tokens += value.flatten().tolist()
        self._prompt = False

    def end(self) -> None:
        pass


_CHECKS = (
    _repr_round_trips,
    _strength_zero_is_plain,
    _restores,
    _padded_is_single,
    _modes_agree,
    _nothing_leaks,
    _composes,
    _calls_every_verb_under_a_gate,
)
