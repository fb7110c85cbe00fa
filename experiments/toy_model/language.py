"""Stage 2: projector and decoder learn to speak about what the frozen tower sees.

Plain yes/no questions stay at chance for long, because one label at the end of a question teaches
little. Three things bring presence forward: the object's token inside every question is itself
followed by a Yes or No to predict, checklists ask about many objects at once, and in the first half
of training projected patches are pulled towards the embedding of the object that they show.
"""

from __future__ import annotations

import math
from random import Random
from typing import Any, Final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F  # noqa: N812

from experiments.toy_model.architecture import (
    IMAGE_TOKENS,
    VISION_WIDTH,
    image_features,
    pixel_values,
    word_token,
)
from experiments.toy_model.captions import Turn, checklist_turn, describe_turn, object_turn
from experiments.toy_model.dataset import Dataset, batch_rows
from seesay.toy.scenes import NOTHING, Scene
from seesay.toy.world import COLORS, OBJECTS, plural

_IGNORE: Final = -100
_LONGEST: Final = 88
"""Tokens of text in a training example; what is longer is cut."""


class Script:
    """Turns dialogues into token ids and labels, as the processor would."""

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._yes, self._no = word_token(tokenizer, "Yes"), word_token(tokenizer, "No")
        self._names = {word_token(tokenizer, name): name for name in OBJECTS}
        image = tokenizer.convert_tokens_to_ids("<image>")
        before = [tokenizer.bos_token_id, *self._ids("USER: ")]
        self.image_start = len(before)
        self._head = before + [image] * IMAGE_TOKENS

    def write(self, scene: Scene, turns: list[Turn]) -> tuple[list[int], list[int]]:
        """Ids, and for each the label to predict there, `_IGNORE` for what the user says.

        An object's name in a question is followed by the label Yes or No: is it in the picture?
        """
        ids, labels = list(self._head), [_IGNORE] * len(self._head)
        for number, (said, answer) in enumerate(turns):
            start = "USER: " if number else "\n"
            prompt = self._ids(f"{start}{said} ASSISTANT:")
            reply = [*self._ids(answer), self._tokenizer.eos_token_id]
            ids += prompt + reply
            presence = (self._presence(scene, token) for token in prompt[:-1])
            labels += [_IGNORE, *presence, *reply]
        return ids[: len(self._head) + _LONGEST], labels[: len(self._head) + _LONGEST]

    def _presence(self, scene: Scene, token: int) -> int:
        if token not in self._names:
            return _IGNORE
        return self._yes if self._names[token] in scene.present else self._no

    def _ids(self, text: str) -> list[int]:
        ids: list[int] = self._tokenizer(text, add_special_tokens=False)["input_ids"]
        return ids


class LanguageStage:
    """The speaker's training: half captions, half questions, then more captions."""

    name = "language"
    learning_rate = 1.5e-3
    weight_decay = 0.05

    def __init__(
        self, model: Any, tokenizer: Any, data: Dataset, *, steps: int, batch: int, seed: int
    ) -> None:
        self.steps = steps
        self.trained = model
        self._data, self._batch, self._seed = data, batch, seed
        self._script = Script(tokenizer)
        self._pad = tokenizer.pad_token_id
        self._objects = torch.tensor([word_token(tokenizer, name) for name in OBJECTS])
        self._weights = _token_weights(tokenizer)
        self._answers = torch.zeros(len(tokenizer), dtype=torch.bool)
        self._answers[[word_token(tokenizer, word) for word in ("Yes", "No")]] = True

        tower = model.model.vision_tower.requires_grad_(False)
        self._features = _all_features(tower, data)
        self._spread = self._features[:500].float().std().item()
        _start_projector(model.model.multi_modal_projector, self._spread)

    def loss(self, step: int) -> tuple[Tensor, dict[str, Tensor]]:
        """See `Stage.loss`."""
        rows = batch_rows(step, self._batch, len(self._data.scenes), self._seed)
        ids, labels = self._texts(rows, step)
        parts = self.trained.model
        seen = parts.multi_modal_projector(self._noisy(rows, step))  # (b, 64, width)
        embedded = parts.language_model.embed_tokens(ids)
        first, last = self._script.image_start, self._script.image_start + IMAGE_TOKENS
        embedded = torch.cat([embedded[:, :first], seen, embedded[:, last:]], 1)
        hidden = parts.language_model(inputs_embeds=embedded, use_cache=False).last_hidden_state

        target = labels[:, 1:]
        spoken = target != _IGNORE
        target = target[spoken]
        logits = self.trained.lm_head(hidden[:, :-1][spoken]).float()
        losses = F.cross_entropy(logits, target, reduction="none")
        weights = self._weights[target]
        total = (losses * weights).sum() / weights.sum()
        if step < self.steps / 2:
            total = total + 0.3 * self._pull(seen, rows)

        right = (logits.argmax(-1) == target).float()
        heavy, answers = weights > 1, self._answers[target]
        return total, {
            "loss": losses.mean().detach(),
            "objects and colors right": right[heavy & ~answers].mean(),
            "yes or no right": right[answers].mean(),
        }

    def _texts(self, rows: NDArray[np.int64], step: int) -> tuple[Tensor, Tensor]:
        """Ids and labels of a batch, padded on the right: (b, length) both."""
        rng = Random(f"{self._seed}:{step}")
        written = []
        for row in rows:
            scene = self._data.scenes[row]
            written.append(self._script.write(scene, self._dialogue(scene, step, rng)))
        shape = (len(rows), max(len(ids) for ids, _ in written))
        ids, labels = torch.full(shape, self._pad), torch.full(shape, _IGNORE)
        for row, (some_ids, some_labels) in enumerate(written):
            ids[row, : len(some_ids)] = torch.tensor(some_ids)
            labels[row, : len(some_labels)] = torch.tensor(some_labels)
        return ids, labels

    def _dialogue(self, scene: Scene, step: int, rng: Random) -> list[Turn]:
        """A caption and a question, or questions alone, sometimes after a checklist."""
        caption_share = 0.5 if step < 0.7 * self.steps else 0.7
        if rng.random() < caption_share:
            return [describe_turn(scene, rng), object_turn(scene, rng)]
        if rng.random() < 0.6:
            return [checklist_turn(scene, rng), *(object_turn(scene, rng) for _ in range(3))]
        return [object_turn(scene, rng) for _ in range(5)]

    def _noisy(self, rows: NDArray[np.int64], step: int) -> Tensor:
        features = self._features[rows]
        noise = np.random.default_rng([self._seed, step]).normal(size=features.shape)
        return features + (0.05 * self._spread * torch.from_numpy(noise)).to(features.dtype)

    def _pull(self, seen: Tensor, rows: NDArray[np.int64]) -> Tensor:
        """Cross-entropy of which object's embedding a patch that shows one is most like."""
        labels = torch.from_numpy(self._data.labels[rows].astype(np.int64))
        shown = labels != NOTHING
        embeddings = self.trained.model.language_model.embed_tokens(self._objects)
        patches = F.normalize(seen[shown].float(), dim=-1)
        return F.cross_entropy(10 * patches @ F.normalize(embeddings.float()).T, labels[shown])


def _token_weights(tokenizer: Any) -> Tensor:
    """(vocabulary,) how much each token counts: the words that carry the picture count more."""
    weights = torch.ones(len(tokenizer))
    for word in (*OBJECTS, *map(plural, OBJECTS), *COLORS):
        weights[word_token(tokenizer, word)] = 2.0
    for word in ("Yes", "No"):
        weights[word_token(tokenizer, word)] = 3.0
    return weights


@torch.no_grad()
def _all_features(tower: Any, data: Dataset) -> Tensor:
    """(n, 64, width) bfloat16: the tower is frozen, so each picture is looked at once."""
    features = torch.empty(len(data.scenes), IMAGE_TOKENS, VISION_WIDTH, dtype=torch.bfloat16)
    for start in range(0, len(features), 100):
        pixels = pixel_values(data.images[start : start + 100])
        with torch.autocast("cpu", torch.bfloat16):
            features[start : start + 100] = image_features(tower, pixels)
    return features


def _start_projector(projector: Any, spread: float) -> None:
    """Scale the first weights so that projected patches are as large as word embeddings."""
    with torch.no_grad():
        projector.linear_1.weight.normal_(0, 1 / (spread * math.sqrt(VISION_WIDTH)))
        projector.linear_2.weight.normal_(0, 0.06)
