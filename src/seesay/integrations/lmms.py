"""seesay as a model of lmms-eval: their tasks, our methods.

    python -m lmms_eval --model seesay --tasks pope --batch_size 8 \\
        --model_args "pretrained=llava-hf/llava-1.5-7b-hf,method=attention-lens(alpha=0.4) + agla"

lmms-eval finds `models` through its entry points. Model arguments are `pretrained` ("bundled", a
folder or an id on the Hugging Face Hub), `method`, `dtype`, `revision` and `trust_remote_code`;
quote a method that has commas: method='agla(alpha=1, beta=0.2)'.

Tasks that generate text are served, with pictures; log-likelihoods of given texts, rounds, audio
and video are refused by name.
"""

from __future__ import annotations

import json
import logging
import os
from typing import TYPE_CHECKING, Any, NoReturn

from seesay.errors import InputError, nearest

try:
    from lmms_eval.api.instance import GenerationResult, Instance, TokenCounts
    from lmms_eval.api.model import lmms
    from lmms_eval.models.registry_v2 import ModelManifest
    from tqdm import tqdm  # type: ignore[import-untyped]
except ImportError as error:
    raise InputError(
        "seesay.integrations.lmms needs lmms-eval: pip install 'seesay[lmms]'"
    ) from error

if TYPE_CHECKING:
    from PIL.Image import Image

    from seesay.integrations.dialogues import Decoding, Dialogue

_ARGUMENTS = ("pretrained", "method", "batch_size", "device", "dtype", "revision")
_SERVED = ("max_new_tokens", "temperature", "do_sample", "top_p", "top_k", "num_beams", "until")
_log = logging.getLogger(__name__)


def models() -> ModelManifest:
    """What lmms-eval's registry takes: the name "seesay" and where its class is."""
    return ModelManifest(model_id="seesay", chat_class_path=f"{__name__}.Seesay")


class Seesay(lmms):  # type: ignore[misc]  # lmms-eval is not there when types are checked
    """A vision-language model under a method, for lmms-eval.

    Args:
        pretrained: "bundled", a folder, or an id on the Hugging Face Hub.
        method: such as "attention-lens + agla"; None is the plain model.
        batch_size: requests at once.
        device, dtype, revision, trust_remote_code: see `seesay.load`.

    Raises:
        InputError, MethodError: an argument or method that does not exist; several processes.
        ModelError: a model that cannot be loaded.
    """

    is_simple = False

    def __init__(
        self,
        pretrained: str = "bundled",
        method: str | None = None,
        batch_size: int | str = 1,
        device: str | None = None,
        dtype: str | None = None,
        revision: str | None = None,
        trust_remote_code: bool = False,
        **unknown: Any,
    ) -> None:
        super().__init__()
        unknown.pop("max_batch_size", None)  # lmms-eval passes its own option on
        for name in unknown:
            raise InputError(f"unknown model argument {name!r}; {nearest(name, _ARGUMENTS)}")
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise InputError(
                "seesay runs in one process here; start lmms-eval without accelerate or torchrun"
            )
        from seesay.integrations.dialogues import Answering

        self.answering = Answering.load(
            pretrained,
            method=method and method.strip("'\""),
            batch_size=_whole(batch_size),
            device=device,
            dtype=dtype,
            revision=revision,
            trust_remote_code=trust_remote_code,
        )
        self._passed_over: set[str] = set()

    def generate_until(self, requests: list[Instance]) -> list[GenerationResult]:
        """Answer every request, in their order; those with the same settings in batches.

        Raises:
            InputError: audio, video, or a text that holds the model's image placeholder.
        """
        groups: dict[str, list[int]] = {}
        for place, request in enumerate(requests):
            groups.setdefault(json.dumps(request.args[2], sort_keys=True, default=str), []).append(
                place
            )
        results: dict[int, GenerationResult] = {}
        size = self.answering.batch_size
        with tqdm(total=len(requests), desc="seesay", disable=self.rank != 0) as progress:
            for places in groups.values():
                how = self._decoding(requests[places[0]].args[2])
                for first in range(0, len(places), size):
                    batch = places[first : first + size]
                    dialogues = [self._dialogue(requests[place]) for place in batch]
                    replies = self.answering.answer(dialogues, how)
                    for place, reply in zip(batch, replies, strict=True):
                        context, _, settings, *_ = requests[place].args
                        counts = TokenCounts(
                            input_tokens=reply.prompt_tokens, output_tokens=reply.tokens
                        )
                        results[place] = GenerationResult(reply.text, counts)
                        self.cache_hook.add_partial(
                            "generate_until", (context, settings), reply.text
                        )
                    progress.update(len(batch))
        return [results[place] for place in range(len(requests))]

    def loglikelihood(self, requests: list[Instance]) -> NoReturn:
        """Refused: methods act on texts that the model writes."""
        raise InputError(
            "this task asks for log-likelihoods of given answers, and methods act while a text is "
            "written; choose a task that generates"
        )

    def generate_until_multi_round(self, requests: list[Instance]) -> NoReturn:
        """Refused."""
        raise InputError("seesay does not serve tasks in rounds; choose one with single requests")

    def _dialogue(self, request: Instance) -> Dialogue:
        from seesay.integrations.dialogues import Turn

        _, to_messages, _, doc_id, task, split = request.args
        messages = to_messages(self.task_dict[task][split][doc_id])
        return tuple(
            Turn(
                message["role"],
                (content,) if isinstance(content, str) else tuple(map(_part, content)),
            )
            for message in messages
            for content in [message["content"]]
        )

    def _decoding(self, settings: dict[str, Any]) -> Decoding:
        from seesay.integrations.dialogues import Decoding

        for name in sorted(set(settings) - {*_SERVED} - self._passed_over):
            self._passed_over.add(name)
            _log.warning("the task's generation setting %s is not served and passed over", name)
        temperature = float(settings.get("temperature") or 0)
        until = settings.get("until") or ()
        return Decoding(
            max_new_tokens=settings.get("max_new_tokens", 256),
            temperature=0.0 if settings.get("do_sample") is False else temperature,
            top_p=settings.get("top_p"),
            top_k=settings.get("top_k"),
            num_beams=settings.get("num_beams") or 1,
            stop=tuple(text for text in ([until] if isinstance(until, str) else until) if text),
        )


def _part(content: dict[str, Any]) -> str | Image:
    from seesay.models.images import open_image

    if content["type"] == "text":
        return str(content["text"])
    if content["type"] != "image":
        raise InputError(f"seesay reads text and pictures, no {content['type']}")
    return open_image(content["url"])


def _whole(number: int | str) -> int:
    try:
        return int(number)
    except ValueError as error:
        raise InputError(
            f"batch_size must be a whole number of at least 1, not {number!r}"
        ) from error
