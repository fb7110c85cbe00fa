"""The face of seesay: load a model, describe a picture, ask about it, compare methods.

vlm = seesay.load()                                  # the bundled model
seen = vlm.describe("photo.jpg", method="attention-lens + agla")
print(seen.text, [mention.word for mention in seen.doubtful])
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, Unpack, overload

import torch
from PIL.Image import Image

from seesay import asking, methods, toy
from seesay.asking import Asked, Options, method_of
from seesay.engine import AnyMethod, Method, Record, Stack
from seesay.errors import EngineError, InputError, SeesayError
from seesay.grounding import Reference, Vocabulary, read
from seesay.grounding.risk import UNCALIBRATED
from seesay.loading import load_model
from seesay.models import ModelView
from seesay.pictures import Opened, Picture, open_picture
from seesay.seen import Protocol, Seen
from seesay.sights import Sight, sights

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
            picture: a path, bytes, a PIL image, "toy:broken/7", or a list of these.
            prompt: what to ask for.
            options: method, max_new_tokens, num_beams, do_sample, seed, ...: see `Options`.

        Raises:
            InputError, MethodError: a picture, number or method that cannot be used.
            EngineError: a method that this model or this way of decoding cannot carry.
            ModelError: no chat template, or not enough memory.
        """
        asked = Asked.of(prompt, **options)
        if isinstance(picture, list | tuple):
            return self._answer([open_picture(one) for one in picture], asked)
        return self._answer([open_picture(picture)], asked)[0]

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
            methods: methods or their texts, or one text with semicolons between them; "all" among
                them stands for `all_methods()`.
            prompt, options: as for `describe`; an option `method` is not looked at.
        """
        asked, opened = Asked.of(prompt, **options), [open_picture(picture)]
        chosen = self.chosen(methods)
        return [self._answer(opened, replace(asked, method=one))[0] for one in chosen]

    def chosen(self, methods: str | Iterable[str | AnyMethod]) -> list[AnyMethod]:
        """The methods that `compare` would run, in order; arguments as there."""
        listed: list[AnyMethod] = []
        for one in methods.split(";") if isinstance(methods, str) else methods:
            if isinstance(one, str) and one.strip() == "all":
                listed += self.all_methods()
            elif not isinstance(one, str) or one.strip():
                listed.append(method_of(one))
        if not listed:
            raise InputError("no method to compare; name some, separated by ';', or say all")
        return listed

    def all_methods(self) -> list[AnyMethod]:
        """The plain model, then every method that stands alone and fits, with its defaults."""
        misfits = self.misfits()
        fitting = [kind() for name, kind in _standalone().items() if name not in misfits]
        return [Stack(), *fitting]

    def misfits(self) -> dict[str, str]:
        """The methods that stand alone but cannot run on this model, by name, and why."""
        reasons = {name: self.fits(kind()) for name, kind in _standalone().items()}
        return {name: reason for name, reason in reasons.items() if reason is not None}

    def fits(self, method: str | AnyMethod) -> str | None:
        """None if the method can be installed on this model, else the reason why not."""
        try:
            with method_of(method)(self.model, processor=self.processor):
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

    def _answer(self, pictures: Sequence[Opened], asked: Asked) -> list[Seen]:
        seen: list[Seen] = []
        for first in range(0, len(pictures), asked.batch_size):
            batch = pictures[first : first + asked.batch_size]
            images = [picture.image for picture in batch]
            inputs = asking.inputs_for(self.model, self.processor, images, asked.prompt)
            record, seconds = self._generate(inputs, images, asked)
            looks = sights(self.view, inputs, images)
            for row, (picture, sight) in enumerate(zip(batch, looks, strict=True)):
                seen.append(self._seen(record, row, picture, sight, asked, seconds / len(batch)))
        return seen

    def _generate(
        self, inputs: Mapping[str, Any], images: list[Image], asked: Asked
    ) -> tuple[Record, float]:
        """Generate for a batch; what was recorded, and the seconds that it took."""
        session = asked.method(self.model, processor=self.processor, images=images, readout=True)
        started = time.perf_counter()
        with asking.seeded(asked.seed), asking.explained(), session:
            session.generate(**inputs, **asked.arguments())
        if session.record is None:
            raise EngineError(f"{asked.method}: the session recorded nothing; please report this")
        return session.record, time.perf_counter() - started

    def _seen(
        self,
        record: Record,
        row: int,
        picture: Opened,
        sight: Sight | None,
        asked: Asked,
        seconds: float,
    ) -> Seen:
        words = asked.vocabulary or picture.vocabulary or self.vocabulary
        reading = read(
            record,
            row,
            tokenizer=self.processor.tokenizer,
            end_ids=asked.end_ids(self.model),
            vocabulary=words,
            reference=self.reference,
            cells=None if sight is None else sight.cells,
        )
        protocol = Protocol(
            model=self.id,
            revision=self.revision,
            method=repr(asked.method.settled(self.view)),
            prompt=asked.prompt,
            decoding=asked.decoding,
            seed=asked.seed,
            picture=picture.name,
            picture_sha256=hashlib.sha256(picture.image.tobytes()).hexdigest(),
            dtype=str(self.model.dtype).removeprefix("torch."),
            device=str(self.model.device),
            vocabulary=words.name,
            risk=self.scale if asked.plain else self.scale + _UNDER_A_METHOD,
            versions=_versions(),
        )
        return Seen(
            text=reading.text,
            tokens=reading.tokens,
            mentions=reading.mentions,
            method=repr(asked.method),
            seconds=seconds,
            ended=reading.ended,
            acted=reading.acted,
            protocol=protocol,
            present=picture.present if words is picture.vocabulary else None,
            picture=picture.image,
            sight=sight,
        )


# A method moves the scores themselves: Attention Lens raises every SVAR, for instance.
_UNDER_A_METHOD = "; the method's own effect on the scores is not allowed for"


def _standalone() -> dict[str, type[Method]]:
    """Registered methods that need no other method to act on."""
    return {name: kind for name, kind in methods.REGISTRY.items() if kind.standalone}


@lru_cache
def _versions() -> dict[str, str]:
    return {name: version(name) for name in ("seesay", "torch", "transformers")}


def _digest(folder: Path) -> str | None:
    """A digest of a folder's weights, where that is quick: small ones only (64 MiB)."""
    files = sorted(folder.glob("*.safetensors"))
    if sum(file.stat().st_size for file in files) > 64 * 2**20:
        return None
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return f"sha256:{digest.hexdigest()[:16]}"
