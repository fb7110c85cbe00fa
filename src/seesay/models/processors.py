"""A model's processor: tokenizer, image processor and chat template in one.

Many families' processors hold a video part that needs torchvision, whose wheel does not load beside
a CPU-only torch. Without torchvision such a processor is put together for images alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from PIL.Image import Image
from transformers import AutoProcessor
from transformers.utils import is_torchvision_available

from seesay.errors import InputError, ModelError
from seesay.models.compat import ProcessorMixin, processor_of
from seesay.models.view import ModelView


def load_processor(source: str, config: Any, pinned: dict[str, Any]) -> Any:
    """The processor of the model at `source`: the full one, or one for images alone.

    Args:
        source: folder or Hub id.
        config: the model's config.
        pinned: `revision` and `trust_remote_code` for `from_pretrained`.

    Raises:
        ModelError: the checkpoint has no tokenizer or no image processor.
    """
    family_class = processor_of(config)
    wants_video = family_class is not None and any(
        "video" in name for name in family_class.get_attributes()
    )
    if family_class is not None and wants_video and not is_torchvision_available():
        processor = images_only(family_class).from_pretrained(source, **pinned)
    else:
        processor = AutoProcessor.from_pretrained(source, **pinned)
    for part in ("tokenizer", "image_processor"):
        if getattr(processor, part, None) is None:
            raise ModelError(f"{source} has no {part}; save its whole processor beside the model")
    processor.tokenizer.padding_side = "left"  # generation continues at the right end of each row
    if processor.tokenizer.pad_token is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
    return processor


def images_only(processor_class: type[Any]) -> type[Any]:
    """A family's processor without its video part, which needs torchvision.

    The family's own code expands image placeholders, so tokens and grids are those of the full
    processor; a video raises InputError.
    """
    bases = (_ImagesOnly, processor_class, _NoVideoProcessor)
    return type(processor_class.__name__, bases, {"__module__": processor_class.__module__})


class _ImagesOnly:
    """Stands before a family's processor and turns videos away."""

    def __call__(self, images: Any = None, text: Any = None, videos: Any = None, **kw: Any) -> Any:
        if videos is not None:
            raise InputError(
                f"{type(self).__name__} was loaded for images only, because torchvision is not "
                "installed; for video: pip install torchvision, then load the model again"
            )
        return super().__call__(images=images, text=text, **kw)  # type: ignore[misc]


class _NoVideoProcessor(ProcessorMixin):  # type: ignore[misc]  # transformers is untyped to us
    """Stands behind a family's processor and drops the video part that its `__init__` passes on."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        given = {**dict(zip(super().get_attributes(), args, strict=False)), **kwargs}
        super().__init__(**{name: part for name, part in given.items() if "video" not in name})

    @classmethod
    def get_attributes(cls) -> list[str]:
        return [name for name in super().get_attributes() if "video" not in name]

    @classmethod
    def from_args_and_dict(cls, args: Any, processor_dict: dict[str, Any], **kwargs: Any) -> Any:
        given = iter(args)  # in the order of the family's own parts, the video one left out
        filled = [None if "video" in name else next(given) for name in super().get_attributes()]
        return super().from_args_and_dict(filled, processor_dict, **kwargs)


def answer_lead(prompt: str) -> str:
    """What stands between a prompt in its chat template and the answer: a model begins its answer
    with a space where the template ends in a word."""
    return "" if prompt[-1:].isspace() or prompt.endswith(">") else " "


def chat_prompt(processor: Any, prompt: str, pictures: int = 1) -> tuple[str, bool]:
    """A prompt about pictures in the chat template, and whether its tokens still want the special
    ones at their ends.

    Q-former processors have no template: they put the picture in front themselves, and the prompt
    is asked as it stands, which is how their models were trained.

    Raises:
        ModelError: the processor has no chat template.
        InputError: several pictures for a Q-former model, which reads one a prompt.
    """
    if getattr(processor, "num_query_tokens", None):
        if pictures != 1:
            raise InputError(
                f"{type(processor).__name__} puts one picture before a prompt, not {pictures}; ask "
                "about one picture at a time"
            )
        return prompt, True
    content = [*({"type": "image"} for _ in range(pictures)), {"type": "text", "text": prompt}]
    try:
        text: str = processor.apply_chat_template(
            [{"role": "user", "content": content}], add_generation_prompt=True
        )
    except ValueError as error:
        raise ModelError(
            f"{type(processor).__name__} has no chat template, so seesay cannot know how it wants "
            "to be asked; set `processor.chat_template`, or add a chat_template.jinja to the "
            "model's folder"
        ) from error
    begin = getattr(processor.tokenizer, "bos_token", None)
    # A template that writes the begin-of-text token itself must not get a second one.
    return text, not (begin and text.startswith(begin))


def inputs_for(
    model: Any, processor: Any, images: Sequence[Image], prompt: str, *, together: bool = False
) -> dict[str, Any]:
    """What `model.generate` takes for the same prompt about each image: a left-padded batch on the
    model's device; or, with `together`, for one prompt about all of them.

    Raises:
        InputError: a prompt that holds the model's image placeholder.
        ModelError: the processor has no chat template, or one without a place for a picture.
    """
    image_token = str(getattr(processor, "image_token", None) or "")  # or an AddedToken
    if image_token and image_token in prompt:
        raise InputError(
            f"the prompt holds {image_token!r}, which this model reads as a picture; leave it "
            "out, the picture is put in by itself"
        )
    asked = [list(images)] if together else [[image] for image in images]
    text, adds_special = chat_prompt(processor, prompt, len(images) if together else 1)
    try:
        batch = processor(
            images=asked,
            text=[text] * len(asked),
            padding=True,
            padding_side="left",
            add_special_tokens=adds_special,
            return_tensors="pt",
        )
    except (ValueError, IndexError) as error:  # IndexError: a picture too thin for tiles
        raise ModelError(
            f"{type(processor).__name__} cannot put the picture into the prompt: {error} "
            "Check that its chat template has a place for an image"
        ) from error
    inputs: dict[str, Any] = dict(batch.to(model.device, dtype=model.dtype))
    inputs.pop("labels", None)  # of a processor that thinks of training
    if not bool(ModelView.of(model, processor).image_columns(**inputs).any(1).all()):
        raise ModelError(
            f"{type(processor).__name__} left the picture out of the prompt, so the model would "
            "answer blindly; check that its chat template has a place for an image"
        )
    return inputs
