"""The face of seesay: load a model, describe a picture, ask about it, compare methods.

vlm = seesay.load()                                  # the bundled model
seen = vlm.describe("photo.jpg", method="attention-lens + agla")
print(seen.text, [mention.word for mention in seen.doubtful])
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, Unpack, overload

import torch

from seesay import asking, methods, toy
from seesay.asking import OnToken, Options
from seesay.engine import AnyMethod, Method, Stack
from seesay.errors import EngineError, InputError, SeesayError
from seesay.grounding import Reference, Vocabulary, read
from seesay.grounding.risk import UNCALIBRATED
from seesay.loading import load_model
from seesay.models import ModelView
from seesay.pictures import Opened, Picture, open_picture
from seesay.seen import Protocol, Seen

PROMPT = "Please describe this image in detail."
BUNDLED = "bundled"


def load(
    id_or_folder: str | Path | None = None,
    *,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> VLM:
    """A vision-language model ready to describe pictures.

    Args:
        id_or_folder: a Hugging Face id or a folder; None is the bundled model.
        dtype: "float32", "bfloat16", ...; None keeps the checkpoint's.
        device: "cpu", "cuda", ...; None leaves the choice to the loader.
        revision: branch, tag or commit on the Hub.
        trust_remote_code: run Python code that the repository brings. Off unless asked.

    Raises:
        ModelError: not found, no vision, pickled weights, remote code, an unsupported family.
    """
    model, processor = load_model(
        id_or_folder,
        dtype=dtype,
        device=device,
        revision=revision,
        trust_remote_code=trust_remote_code,
    )
    view = ModelView.of(model, processor)
    folder = toy.MODEL_DIR if id_or_folder is None else Path(id_or_folder)
    local = folder.is_dir()
    commit = _digest(folder) if local else getattr(model.config, "_commit_hash", None)
    bundled = local and folder.resolve() == toy.MODEL_DIR.resolve()
    return VLM(
        model,
        processor,
        view,
        id=BUNDLED if bundled else str(id_or_folder),
        revision=commit,
        reference=Reference.find(folder, commit) if local else None,
        vocabulary=Vocabulary.toy() if bundled else Vocabulary.coco(),
    )


@dataclass(frozen=True, eq=False)
class VLM:
    """A model, its processor and what seesay knows about both.

    `id` and `revision` name it in every protocol; `reference` is what its scores look like for
    objects that are there (None: risks are ranks within each text); `vocabulary` are the object
    words looked for unless a call brings its own.
    """

    model: Any
    processor: Any
    view: ModelView
    id: str
    revision: str | None = None
    reference: Reference | None = field(default=None, repr=False)
    vocabulary: Vocabulary = field(default_factory=Vocabulary.coco, repr=False)

    @overload
    def describe(
        self, picture: list[Picture], *, prompt: str = ..., **options: Unpack[Options]
    ) -> list[Seen]: ...
    @overload
    def describe(
        self, picture: Picture, *, prompt: str = ..., **options: Unpack[Options]
    ) -> Seen: ...
    def describe(self, picture: Any, *, prompt: str = PROMPT, **options: Unpack[Options]) -> Any:
        """Describe a picture, or each of a list of pictures (batched, the same texts as singly).

        Args:
            picture: a path, bytes, PIL image, array, "toy:broken/7", or a list of these.
            prompt: what to ask for.
            options: method, max_new_tokens, num_beams, do_sample, seed, ...: see `Options`.

        Raises:
            InputError, MethodError: a picture, number or method that cannot be used.
            EngineError: a method that this model or this way of decoding cannot carry.
            ModelError: no chat template, or not enough memory.
        """
        if isinstance(picture, list | tuple):
            return self._answer(picture, prompt, **options)
        return self._answer([picture], prompt, **options)[0]

    @overload
    def ask(
        self, picture: list[Picture], question: str, **options: Unpack[Options]
    ) -> list[Seen]: ...
    @overload
    def ask(self, picture: Picture, question: str, **options: Unpack[Options]) -> Seen: ...
    def ask(self, picture: Any, question: str, **options: Unpack[Options]) -> Any:
        """Answer a question about a picture, or about each of a list; as `describe` otherwise."""
        return self.describe(picture, prompt=question, **options)

    def compare(
        self,
        picture: Picture,
        methods: str | Iterable[str | AnyMethod] = "all",
        *,
        prompt: str = PROMPT,
        **options: Unpack[Options],
    ) -> list[Seen]:
        """The same picture under several methods, in their order.

        Args:
            methods: methods or their texts, or one text with semicolons between them; "all" is
                `all_methods()`.
            prompt, options: as for `describe`; an option `method` is not looked at.
        """
        opened = open_picture(picture)
        chosen = self.all_methods() if methods == "all" else [_method(m) for m in _listed(methods)]
        seen = []
        for method in chosen:
            options["method"] = method
            seen += self._answer([opened], prompt, **options)
        return seen

    def all_methods(self) -> list[AnyMethod]:
        """The plain model, then every registered method that fits this one, with its defaults."""
        misfits = self.misfits()
        fitting = [kind() for name, kind in methods.REGISTRY.items() if name not in misfits]
        return [Stack(), *fitting]

    def misfits(self) -> dict[str, str]:
        """The registered methods that cannot run on this model, by name, and why."""
        reasons = {name: self.fits(kind()) for name, kind in methods.REGISTRY.items()}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def fits(self, method: str | AnyMethod) -> str | None:
        """None if the method can be installed on this model, else the reason why not."""
        try:
            with _method(method)(self.model, processor=self.processor):
                return None
        except SeesayError as error:
            return str(error)

    @property
    def scale(self) -> str:
        """What `risk` means for this model, in a clause."""
        return str(self.reference) if self.reference else UNCALIBRATED

    def identity(self) -> float:
        """How far an empty session moves the logits on a drawn scene: 0.0 if not at all."""
        image = open_picture("toy:kept/0").image
        inputs = asking.inputs_for(self.model, self.processor, [image], PROMPT)
        with torch.no_grad():
            untouched = self.model(**inputs).logits
            with Stack()(self.model, processor=self.processor, readout=True):
                inside = self.model(**inputs).logits
        return float((untouched - inside).abs().max())

    def _answer(
        self,
        pictures: Sequence[Picture],
        prompt: str,
        *,
        method: str | AnyMethod | None = None,
        max_new_tokens: int = 256,
        num_beams: int = 1,
        do_sample: bool = False,
        seed: int | None = None,
        generation: Mapping[str, Any] | None = None,
        vocabulary: Vocabulary | None = None,
        batch_size: int = 8,
        on_token: OnToken | None = None,
    ) -> list[Seen]:
        limits = {"max_new_tokens": max_new_tokens, "num_beams": num_beams}
        for name, number in {**limits, "batch_size": batch_size}.items():
            asking.check_at_least_one(name, number)
        stack = _method(method)
        decoding = {**limits, "do_sample": do_sample, **(generation or {})}
        opened = [open_picture(picture) for picture in pictures]
        seen: list[Seen] = []
        for first in range(0, len(opened), batch_size):
            batch = opened[first : first + batch_size]
            images = [picture.image for picture in batch]
            inputs = asking.inputs_for(self.model, self.processor, images, prompt)
            arguments = {**asking.settled(decoding), **asking.watch(on_token, max_new_tokens)}
            session = stack(self.model, processor=self.processor, images=images, readout=True)
            started = time.perf_counter()
            with asking.seeded(seed), asking.explained(), session:
                session.generate(**inputs, **arguments)
            seconds = (time.perf_counter() - started) / len(batch)
            record = session.record
            if record is None:
                raise EngineError(f"{stack}: the session recorded nothing; please report this")
            for row, picture in enumerate(batch):
                words = vocabulary or picture.vocabulary or self.vocabulary
                reading = read(
                    record,
                    row,
                    tokenizer=self.processor.tokenizer,
                    end_ids=self._end_ids(),
                    vocabulary=words,
                    reference=self.reference,
                )
                seen.append(
                    Seen(
                        text=reading.text,
                        tokens=reading.tokens,
                        mentions=reading.mentions,
                        method=repr(stack),
                        seconds=seconds,
                        ended=reading.ended,
                        protocol=self._protocol(
                            repr(stack), prompt, decoding, seed, picture, words
                        ),
                        present=picture.present if words is picture.vocabulary else None,
                        picture=picture.image,
                    )
                )
        return seen

    def _end_ids(self) -> frozenset[int]:
        ends = self.model.generation_config.eos_token_id
        return frozenset([ends] if isinstance(ends, int) else ends or [])

    def _protocol(
        self,
        method: str,
        prompt: str,
        decoding: dict[str, Any],
        seed: int | None,
        picture: Opened,
        vocabulary: Vocabulary,
    ) -> Protocol:
        return Protocol(
            model=self.id,
            revision=self.revision,
            method=method,
            prompt=prompt,
            decoding=decoding,
            seed=seed,
            picture=picture.name,
            picture_sha256=hashlib.sha256(picture.image.tobytes()).hexdigest(),
            dtype=str(self.model.dtype).removeprefix("torch."),
            device=str(self.model.device),
            vocabulary=vocabulary.name,
            risk=self.scale,
            versions={name: version(name) for name in ("seesay", "torch", "transformers")},
        )


def _method(method: str | AnyMethod | None) -> AnyMethod:
    return method if isinstance(method, Method | Stack) else methods.parse(method or "plain")


def _listed(methods: str | Iterable[str | AnyMethod]) -> list[str | AnyMethod]:
    """A list of methods; in one text they are separated by semicolons."""
    if isinstance(methods, str):
        methods = [part.strip() for part in methods.split(";") if part.strip()]
    listed = list(methods)
    if not listed:
        raise InputError("no method to compare; name some, separated by ';', or say all")
    return listed


def _digest(folder: Path) -> str | None:
    """A digest of a folder's weights, where that is quick: small ones only (64 MiB)."""
    files = sorted(folder.glob("*.safetensors"))
    if sum(file.stat().st_size for file in files) > 64 * 2**20:
        return None
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return f"sha256:{digest.hexdigest()[:16]}"
