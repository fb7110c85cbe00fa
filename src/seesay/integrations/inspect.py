"""seesay as a model provider of inspect_ai: their tasks, our methods.

    inspect eval TASK.py --model seesay/bundled -M method="attention-lens"
    inspect eval TASK.py --model seesay/llava-hf/llava-1.5-7b-hf -M method=farsight -M batch_size=4

inspect_ai finds this module through its entry points. What follows "seesay/" is "bundled", a
folder, or an id on the Hugging Face Hub; model arguments are `method`, `batch_size`, `dtype`,
`device`, `revision` and `trust_remote_code`.

Without a temperature answers are greedy. Requests that arrive together are answered in one batch.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from seesay.errors import EngineError, InputError, nearest

try:
    import anyio
    import anyio.to_thread
    from inspect_ai.model import (
        ChatCompletionChoice,
        ChatMessage,
        ChatMessageAssistant,
        GenerateConfig,
        ModelAPI,
        ModelOutput,
        ModelUsage,
        modelapi,
    )
    from inspect_ai.tool import ToolChoice, ToolInfo
except ImportError as error:
    raise InputError(
        "seesay.integrations.inspect needs inspect_ai: pip install 'seesay[inspect]'"
    ) from error

if TYPE_CHECKING:
    from PIL.Image import Image

    from seesay.integrations.dialogues import Answering, Decoding, Dialogue, DialogueReply

_ARGUMENTS = ("method", "batch_size", "dtype", "device", "revision", "trust_remote_code")
# Settings that would change the answer and that are not served; said, rather than passed over.
_UNSERVED = (
    "best_of", "frequency_penalty", "presence_penalty", "logit_bias", "logprobs",
    "prompt_logprobs", "response_schema",
)  # fmt: skip
_TOGETHER = 0.02
"""Seconds in which requests count as having arrived together."""


@modelapi(name="seesay")  # type: ignore[untyped-decorator]  # as for the class below
def seesay() -> type[ModelAPI]:
    """The provider, as inspect_ai's registry takes it."""
    return SeesayAPI


class SeesayAPI(ModelAPI):  # type: ignore[misc]  # inspect_ai is not there when types are checked
    """A vision-language model under a method, for inspect_ai.

    Args:
        model_name: what follows "seesay/".
        model_args: see the module.

    Raises:
        InputError, MethodError: an argument or method that does not exist.
        ModelError: a model that cannot be loaded.
    """

    def __init__(
        self,
        model_name: str,
        base_url: str | None = None,
        api_key: str | None = None,
        config: GenerateConfig | None = None,
        **model_args: Any,
    ) -> None:
        super().__init__(model_name, base_url, api_key, [], config or GenerateConfig())
        for name in model_args:
            if name not in _ARGUMENTS:
                raise InputError(f"unknown model argument {name!r}; {nearest(name, _ARGUMENTS)}")
        method = model_args.get("method")
        if isinstance(method, list):  # their command line cuts at commas
            model_args["method"] = ",".join(map(str, method))
        from seesay.integrations.dialogues import Answering

        self.answering = Answering.load(model_name, **model_args)
        self._waiting: list[_Request] = []
        self._turn = anyio.Lock()

    async def generate(
        self,
        input: list[ChatMessage],
        tools: list[ToolInfo],
        tool_choice: ToolChoice,
        config: GenerateConfig,
    ) -> ModelOutput:
        """Answer a dialogue.

        Raises:
            InputError: tools, settings that are not served, contents that are neither text nor an
                inline picture.
        """
        if tools:
            raise InputError("seesay offers no tools to a model; run the task without them")
        reply = await self._reply(_Request(_dialogue(input), _decoding(config, self.max_tokens())))
        message = ChatMessageAssistant(content=reply.text, model=self.model_name, source="generate")
        choice = ChatCompletionChoice(
            message=message, stop_reason="stop" if reply.ended else "max_tokens"
        )
        usage = ModelUsage(
            input_tokens=reply.prompt_tokens,
            output_tokens=reply.tokens,
            total_tokens=reply.prompt_tokens + reply.tokens,
        )
        said_by = {"method": repr(self.answering.method), "revision": self.answering.vlm.revision}
        return ModelOutput(
            model=self.model_name, choices=[choice], usage=usage, time=reply.seconds,
            metadata=said_by,
        )  # fmt: skip

    def max_tokens(self) -> int:
        """The answer's length unless a task says otherwise: that of `seesay describe`."""
        return 256

    def max_connections(self) -> int:
        """As many requests at once as a batch holds."""
        return self.answering.batch_size

    def connection_key(self) -> str:
        """One pool of connections a model."""
        return str(self.model_name)

    async def _reply(self, request: _Request) -> DialogueReply:
        """Wait for the model; whoever has its turn answers for those who ask in the same way."""
        self._waiting.append(request)
        await anyio.sleep(_TOGETHER)
        async with self._turn:
            if request in self._waiting:
                alike = [one for one in self._waiting if one.how == request.how and one != request]
                batch = [request, *alike][: self.answering.batch_size]
                self._waiting = [one for one in self._waiting if one not in batch]
                await anyio.to_thread.run_sync(_answer, self.answering, batch)
        if request.reply is None:
            raise request.error or EngineError("a request got no reply; please report this")
        return request.reply


@dataclass(eq=False)
class _Request:
    dialogue: Dialogue
    how: Decoding
    reply: DialogueReply | None = None
    error: Exception | None = None


def _answer(answering: Answering, batch: list[_Request]) -> None:
    """Answer requests of one way of decoding; one that fails costs only itself."""
    try:
        replies = answering.answer([one.dialogue for one in batch], batch[0].how)
    except Exception as error:  # noqa: BLE001  it is raised again where the request came from
        if len(batch) == 1:
            batch[0].error = error
            return
        for one in batch:
            _answer(answering, [one])
    else:
        for one, reply in zip(batch, replies, strict=True):
            one.reply = reply


def _decoding(config: GenerateConfig, longest: int) -> Decoding:
    from seesay.integrations.dialogues import Decoding

    for name in _UNSERVED:
        if getattr(config, name, None):
            raise InputError(f"seesay does not serve {name}; leave it out")
    if (config.num_choices or 1) > 1:
        raise InputError("seesay gives one answer a request; use epochs instead of num_choices")
    return Decoding(
        max_new_tokens=config.max_tokens or longest,
        temperature=config.temperature or 0.0,
        top_p=config.top_p,
        top_k=config.top_k,
        seed=config.seed,
        stop=tuple(config.stop_seqs or ()),
    )


def _dialogue(messages: list[ChatMessage]) -> Dialogue:
    from seesay.integrations.dialogues import Turn

    turns = []
    for message in messages:
        if message.role not in ("system", "user", "assistant"):
            raise InputError(f"seesay has no place for a turn of role {message.role!r}")
        content = message.content
        parts = [content] if isinstance(content, str) else [_part(one) for one in content]
        turns.append(Turn(message.role, tuple(parts)))
    return tuple(turns)


def _part(content: Any) -> str | Image:
    from seesay.models.images import open_image

    if content.type == "text":
        return str(content.text)
    if content.type != "image":
        raise InputError(f"seesay reads text and pictures, no {content.type}")
    head, comma, data = content.image.partition(",")
    if not (head.startswith("data:") and head.endswith(";base64") and comma):
        raise InputError(
            f"{content.image[:60]!r} is no inline picture; where you trust it, inline it with "
            "inspect_ai.util.materialize_media"
        )
    try:
        return open_image(base64.b64decode(data, validate=True))
    except binascii.Error as error:
        raise InputError(f"an inline picture is not base64: {error}") from error
