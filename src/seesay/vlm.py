"""The face of seesay: load a model, describe a picture, ask about it, compare methods.

vlm = seesay.load()                                  # the bundled model
seen = vlm.describe("photo.jpg", method="attention-lens + agla")
print(seen.text, [mention.word for mention in seen.doubtful])
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Unpack, overload

import torch
from PIL.Image import Image

from seesay import bundled, methods, pipeline, toy, verification
from seesay.engine import AnyMethod, Method, Stack
from seesay.errors import InputError, ModelError, SeesayError
from seesay.grounding import Calibration, Vocabulary
from seesay.grounding.attributes import (
    AttributeQualification,
    Form,
    Kind,
    by_yes_and_no,
    examine,
)
from seesay.grounding.qualification import Qualification, can_answer
from seesay.grounding.risk import UNCALIBRATED
from seesay.models.loading import load_model
from seesay.models.processors import inputs_for
from seesay.models.view import ModelView
from seesay.options import GenerationOptions, Options, method_of
from seesay.pictures import Picture, open_picture
from seesay.response import Response

PROMPT = "Please describe this image in detail."
BUNDLED = "bundled"


def load(
    id_or_folder: str | Path | None = None,
    *,
    dtype: str | torch.dtype | None = None,
    device: str | torch.device | None = None,
    device_map: str | Mapping[str, Any] | None = None,
    revision: str | None = None,
    trust_remote_code: bool = False,
) -> VLM:
    """A vision-language model ready to describe pictures.

    Args:
        id_or_folder: a Hugging Face id or a folder; None is the bundled model.
        dtype: "float32", "bfloat16", ...; None keeps the checkpoint's.
        device: "cpu", "cuda", ...; None leaves the choice to the loader.
        device_map: "auto", or a device for each part; needs accelerate. In the place of `device`.
        revision: branch, tag or commit on the Hub.
        trust_remote_code: run Python code that the repository brings. Off unless asked.

    Raises:
        ModelError: not found, no vision, pickled weights, remote code, an unsupported family.
    """
    model, processor = load_model(
        id_or_folder,
        dtype=dtype,
        device=device,
        device_map=device_map,
        revision=revision,
        trust_remote_code=trust_remote_code,
    )
    view = ModelView.of(model, processor)
    folder = toy.MODEL_DIR if id_or_folder is None else Path(id_or_folder)
    local = folder.is_dir()
    commit = _digest(folder) if local else getattr(model.config, "_commit_hash", None)
    own = local and folder.resolve() == toy.MODEL_DIR.resolve()
    name = BUNDLED if own else str(id_or_folder)
    found = Calibration.find(name, folder if local else None, commit)
    return VLM(
        model,
        processor,
        view,
        id=name,
        revision=commit,
        calibration=found.calibration,
        remark=found.remark,
        vocabulary=Vocabulary.toy() if own else Vocabulary.coco(),
        detail_form=bundled.by_going_on if own else by_yes_and_no,
    )


@dataclass(frozen=True, eq=False)
class VLM:
    """A model, its processor and what seesay knows about both.

    `id` and `revision` name it in every protocol; `calibration` turns scores into risks (None:
    risks are ranks within each text; `remark` says why one that is there cannot be used);
    `vocabulary` are the object words looked for unless a call brings its own; `detail_form` is how
    it is asked whether what it says of an object holds; `detail_exams` fills as `detail_exam` is
    asked.
    """

    model: Any
    processor: Any
    view: ModelView
    id: str
    revision: str | None = None
    calibration: Calibration | None = field(default=None, repr=False)
    remark: str = field(default="", repr=False)
    vocabulary: Vocabulary = field(default_factory=Vocabulary.coco, repr=False)
    detail_form: Form = field(default=by_yes_and_no, repr=False)
    detail_exams: dict[Kind, AttributeQualification] = field(default_factory=dict, repr=False)

    @overload
    def describe(
        self, picture: list[Picture], *, prompt: str = ..., **options: Unpack[Options]
    ) -> list[Response]: ...
    @overload
    def describe(
        self, picture: Picture, *, prompt: str = ..., **options: Unpack[Options]
    ) -> Response: ...
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
        asked = GenerationOptions.of(prompt, **options)
        if isinstance(picture, list | tuple):
            return pipeline.answer(self, [open_picture(one) for one in picture], asked)
        return pipeline.answer(self, [open_picture(picture)], asked)[0]

    @overload
    def ask(
        self, picture: list[Picture], question: str, **options: Unpack[Options]
    ) -> list[Response]: ...
    @overload
    def ask(self, picture: Picture, question: str, **options: Unpack[Options]) -> Response: ...
    def ask(self, picture: Any, question: str, **options: Unpack[Options]) -> Any:
        """Answer a question about a picture, or about each of a list; as `describe` otherwise."""
        return self.describe(picture, prompt=question, **options)

    def audit(
        self, picture: Picture, text: str, *, prompt: str = PROMPT, **options: Unpack[Options]
    ) -> Response:
        """The scores and risks of a given text, from whatever system: read in one forward.

        Args:
            picture: as for `describe`.
            text: what is said of the picture.
            prompt: what the text is taken to answer.
            options: as for `describe`; how to decode has no meaning here, and no method either.

        Raises:
            InputError: an empty text, or one with more tokens than the model takes.
        """
        return pipeline.audit(
            self, open_picture(picture), text, GenerationOptions.of(prompt, **options)
        )

    def compare(
        self,
        picture: Picture,
        methods: str | Iterable[str | AnyMethod] = "all",
        *,
        prompt: str = PROMPT,
        **options: Unpack[Options],
    ) -> list[Response]:
        """The same picture under several methods, in their order.

        Args:
            methods: methods or their texts, or one text with semicolons between them; "all" among
                them stands for `all_methods()`.
            prompt, options: as for `describe`; an option `method` is not looked at.
        """
        asked, opened = GenerationOptions.of(prompt, **options), [open_picture(picture)]
        chosen = self.chosen(methods)
        return [pipeline.answer(self, opened, replace(asked, method=one))[0] for one in chosen]

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
        """None if the model generates under the method, else the reason why not; found out on a
        drawn scene, two tokens long."""
        asked = GenerationOptions.of(PROMPT, method=method, max_new_tokens=2)
        steps = verification.steps_of(asked.method)
        try:
            if steps.parts:
                scene = open_picture(bundled.presence_exam(1)[0][0])
                pipeline.answer(self, [scene], replace(asked, method=steps))
        except SeesayError as error:
            return str(error)
        return verification.unfit(self, asked.method)

    @property
    def scale(self) -> str:
        """What `risk` means for this model, in a clause."""
        return str(self.calibration) if self.calibration else UNCALIBRATED

    def identity(self) -> float:
        """How far an empty session moves the logits on a drawn scene: 0.0 if not at all."""
        return pipeline.untouched(self)

    @cached_property
    def exam(self) -> Qualification:
        """How this model answers yes/no questions about drawn scenes: can it be asked at all?"""
        return can_answer(self.view, self.encode, bundled.presence_exam())

    def detail_exam(self, kind: Kind) -> AttributeQualification:
        """How this model tells right from wrong attributes or counts of drawn scenes."""
        if kind not in self.detail_exams:
            exam = bundled.attribute_exam if kind == "attribute" else bundled.count_exam
            self.detail_exams[kind] = examine(
                self.view, self.encode, kind, self.detail_form, exam()
            )
        return self.detail_exams[kind]

    def encode(self, images: Sequence[Image], prompt: str) -> Mapping[str, Any]:
        """What the model takes for the same prompt about each picture."""
        return inputs_for(self.model, self.processor, images, prompt)

    def refuse_unless_it_answers(self) -> None:
        """Raise ModelError if this model's yes and no are worth nothing; asked once a model."""
        if (reason := self.exam.reason) is not None:
            raise ModelError(f"{self.id} cannot check what it says: {reason}; leave out self-check")


def _standalone() -> dict[str, type[Method]]:
    """Registered methods that need no other method to act on."""
    return {name: kind for name, kind in methods.REGISTRY.items() if kind.standalone}


def _digest(folder: Path) -> str | None:
    """A digest of a folder's weights, where that is quick: small ones only (64 MiB)."""
    files = sorted(folder.glob("*.safetensors"))
    if sum(file.stat().st_size for file in files) > 64 * 2**20:
        return None
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return f"sha256:{digest.hexdigest()[:16]}"
