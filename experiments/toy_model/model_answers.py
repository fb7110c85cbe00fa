"""A bundled-kind model that speaks in batches, and what its attention did at each object."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.toy_model.architecture import word_token
from seesay.toy import CONTEXTS, SURFACES, Scene

_BATCH: Final = 60
LONGEST: Final = 96
"""Most tokens of a description; texts that reach it have not ended."""

Item = TypeVar("Item")


@dataclass(frozen=True)
class Told:
    """A greedy text about a scene.

    Attributes:
        scene: what it is about.
        prompt: what was asked.
        text: without special tokens.
        ids: the generated tokens, without the end token.
        ended: whether the model ended it itself.
    """

    scene: Scene
    prompt: str
    text: str
    ids: list[int]
    ended: bool

    @property
    def named(self) -> frozenset[str]:
        """The objects that the text names, whatever their number."""
        words = self.text.lower().replace(".", " ").replace(",", " ").split()
        return frozenset(SURFACES[word] for word in words if word in SURFACES)


@dataclass(frozen=True)
class Mention:
    """The first naming of an object in a text.

    Attributes:
        row: which of the texts.
        name: the object.
        there: whether it is in the picture.
        local: whether it belongs to the scene's place.
        number: 1 for the first object that the text names.
        position: tokens generated before it.
        log_probability: of its token.
        var: (layers,) attention mass on image tokens, mean over heads, of the row that predicts it.
        var_own: (layers,) the same of the row of its own token.
    """

    row: int
    name: str
    there: bool
    local: bool
    number: int
    position: int
    log_probability: float
    var: NDArray[np.float64]
    var_own: NDArray[np.float64]


class Speaker:
    """The model in a folder, in float32 on the CPU."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoProcessor, LlavaForConditionalGeneration

        model = LlavaForConditionalGeneration.from_pretrained(folder, dtype=torch.float32)
        self.model: Any = model.eval()
        self.processor: Any = AutoProcessor.from_pretrained(folder)
        self._tokenizer = self.processor.tokenizer
        self._objects = {word_token(self._tokenizer, w): name for w, name in SURFACES.items()}

    @torch.no_grad()
    def tell(self, requests: Sequence[tuple[Scene, str]], longest: int = LONGEST) -> list[Told]:
        """Greedy answers to (scene, prompt) pairs, in their order."""
        told: list[Told] = []
        for batch in _batches(requests):
            inputs = self._inputs(batch)
            output = self.model.generate(**inputs, do_sample=False, max_new_tokens=longest)
            new = output[:, inputs["input_ids"].shape[1] :].tolist()
            told += [self._told(*pair, ids) for pair, ids in zip(batch, new, strict=True)]
        return told

    @torch.no_grad()
    def mentions(self, told: Sequence[Told]) -> list[Mention]:
        """Every object that each text names, at its first naming, from one forward over each."""
        result: list[Mention] = []
        self.model.set_attn_implementation("eager")  # the kernel that returns its attention
        for batch in _batches(list(enumerate(told))):
            result += self._mentions(batch)
        self.model.set_attn_implementation("sdpa")
        return result

    def _told(self, scene: Scene, prompt: str, ids: list[int]) -> Told:
        end = self._tokenizer.eos_token_id
        ended = end in ids
        ids = ids[: ids.index(end)] if ended else ids
        return Told(scene, prompt, self._tokenizer.decode(ids).strip(), ids, ended)

    def _inputs(self, batch: Sequence[tuple[Scene, str]]) -> Any:
        texts = [self.processor.apply_chat_template(_message(p), add_generation_prompt=True)
                 for _, p in batch]  # fmt: skip
        images = [scene.image for scene, _ in batch]
        return self.processor(images=images, text=texts, padding=True, return_tensors="pt")

    def _mentions(self, batch: Sequence[tuple[int, Told]]) -> Iterator[Mention]:
        inputs = self._inputs([(t.scene, t.prompt) for _, t in batch])
        prompt = inputs["input_ids"]
        longest = max(len(t.ids) for _, t in batch)
        new = torch.full((len(batch), longest), self._tokenizer.pad_token_id)
        for row, (_, t) in enumerate(batch):
            new[row, : len(t.ids)] = torch.tensor(t.ids)
        inputs["input_ids"] = torch.cat([prompt, new], 1)
        # Padding behind a text changes nothing before it: attention is causal.
        inputs["attention_mask"] = torch.cat([inputs["attention_mask"], torch.ones_like(new)], 1)
        output = self.model(**inputs, output_attentions=True)
        image = prompt == self.model.config.image_token_id
        var = _image_mass(output.attentions, image)  # (layers, batch, length)
        log_probabilities = output.logits.log_softmax(-1)
        for row, (index, t) in enumerate(batch):
            for number, (position, name) in enumerate(self._first_namings(t.ids), 1):
                own = prompt.shape[1] + position
                yield Mention(
                    row=index,
                    name=name,
                    there=name in t.scene.present,
                    local=name in CONTEXTS[t.scene.context],
                    number=number,
                    position=position,
                    log_probability=log_probabilities[row, own - 1, t.ids[position]].item(),
                    var=var[:, row, own - 1].double().numpy(),
                    var_own=var[:, row, own].double().numpy(),
                )

    def _first_namings(self, ids: list[int]) -> list[tuple[int, str]]:
        """(position, object) of each object's first naming."""
        first: dict[str, int] = {}
        for position, token in enumerate(ids):
            if token in self._objects:
                first.setdefault(self._objects[token], position)
        return [(position, name) for name, position in first.items()]


def _image_mass(attentions: Sequence[Tensor], image: Tensor) -> Tensor:
    """Layers of (batch, heads, rows, columns), (batch, prompt) -> (layers, batch, rows)."""
    columns = torch.zeros(len(image), attentions[0].shape[-1])
    columns[:, : image.shape[1]] = image
    return torch.stack([torch.einsum("bhrc,bc->br", a, columns) / a.shape[1] for a in attentions])


def _message(prompt: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": prompt}]}]


def _batches(items: Sequence[Item]) -> Iterator[Sequence[Item]]:
    for start in range(0, len(items), _BATCH):
        yield items[start : start + _BATCH]
