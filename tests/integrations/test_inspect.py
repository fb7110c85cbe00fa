"""The provider for inspect_ai: against its own base classes where it is installed, and otherwise
against stand-ins with the fields of its documentation."""

from __future__ import annotations

import asyncio
import base64
import importlib
import io
import sys
from dataclasses import dataclass, field
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from PIL import Image

import families
from seesay.errors import InputError, MethodError
from seesay.integrations.dialogues import Answering, Decoding, Turn

REAL = find_spec("inspect_ai") is not None
needs_inspect = pytest.mark.skipif(not REAL, reason="inspect_ai is not installed")


# ---- stand-ins -----------------------------------------------------------------------------


class ModelAPI:
    def __init__(self, model_name, base_url=None, api_key=None, api_key_vars=(), config=None):
        self.model_name = model_name


@dataclass
class GenerateConfig:
    max_tokens: int | None = None
    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    seed: int | None = None
    stop_seqs: list[str] | None = None
    num_choices: int | None = None
    best_of: int | None = None
    logprobs: bool | None = None


@dataclass
class Message:
    content: Any
    role: str = "user"
    model: str | None = None
    source: str | None = None


@dataclass
class Content:
    type: str
    text: str = ""
    image: str = ""


@dataclass
class Output:
    model: str = ""
    choices: list[Any] = field(default_factory=list)
    usage: Any = None
    time: float | None = None
    metadata: dict[str, Any] | None = None

    @property
    def completion(self) -> str:
        return self.choices[0].message.content

    @property
    def stop_reason(self) -> str:
        return self.choices[0].stop_reason


def stand_ins() -> dict[str, ModuleType]:
    model, tool, package = (ModuleType(name) for name in ("model", "tool", "inspect_ai"))
    model.__dict__.update(
        ModelAPI=ModelAPI,
        GenerateConfig=GenerateConfig,
        ChatMessage=Message,
        ChatMessageUser=Message,
        ChatMessageSystem=lambda content: Message(content, "system"),
        ChatMessageAssistant=lambda **fields: Message(**{**fields, "role": "assistant"}),
        ChatMessageTool=lambda content: Message(content, "tool"),
        ContentText=lambda text: Content("text", text=text),
        ContentImage=lambda image: Content("image", image=image),
        ContentAudio=lambda audio, format: Content("audio"),
        ChatCompletionChoice=SimpleNamespace,
        ModelUsage=SimpleNamespace,
        ModelOutput=Output,
        modelapi=lambda name: lambda function: function,
    )
    tool.__dict__.update(ToolChoice=object, ToolInfo=lambda name, description: name)
    return {"inspect_ai": package, "inspect_ai.model": model, "inspect_ai.tool": tool}


@pytest.fixture(scope="module")
def theirs():
    """inspect_ai's names, and our provider made from them."""
    patch = pytest.MonkeyPatch()
    if not REAL:
        for name, module in stand_ins().items():
            patch.setitem(sys.modules, name, module)
    provider = importlib.import_module("seesay.integrations.inspect")
    names = vars(importlib.import_module("inspect_ai.model"))
    yield SimpleNamespace(
        **{name: names[name] for name in stand_ins()["inspect_ai.model"].__dict__ if name in names},
        ToolInfo=importlib.import_module("inspect_ai.tool").ToolInfo,
        SeesayAPI=provider.SeesayAPI,
    )
    patch.undo()
    if not REAL:
        del sys.modules["seesay.integrations.inspect"]


@pytest.fixture(scope="module")
def api(theirs, checkpoints):
    return theirs.SeesayAPI(str(checkpoints("llava")), method="attention-lens", batch_size=4)


def inline(picture: Image.Image) -> str:
    buffer = io.BytesIO()
    picture.save(buffer, "PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def ask(theirs, text: str, *pictures: Image.Image) -> list[Any]:
    images = [theirs.ContentImage(image=inline(picture)) for picture in pictures]
    return [theirs.ChatMessageUser(content=[*images, theirs.ContentText(text=text)])]


def outputs(api, *asked: tuple[list[Any], Any], tools: Any = ()) -> list[Any]:
    """All requests at once, as an evaluation sends them."""

    async def together() -> list[Any]:
        return await asyncio.gather(
            *(api.generate(messages, list(tools), "auto", config) for messages, config in asked)
        )

    return asyncio.run(together())


# ---- answers -------------------------------------------------------------------------------


def test_an_answer_is_the_methods(theirs, api) -> None:
    [picture] = families.pictures(1)
    config = theirs.GenerateConfig(max_tokens=6)
    [output] = outputs(api, (ask(theirs, "what is in the picture ?", picture), config))
    seen = api.answering.vlm.ask(
        picture, "what is in the picture ?", method="attention-lens", max_new_tokens=6
    )
    assert output.completion == seen.text
    assert output.stop_reason == ("stop" if seen.ended else "max_tokens")
    assert output.usage.output_tokens == len(seen.tokens)
    assert output.usage.total_tokens == output.usage.input_tokens + len(seen.tokens)
    assert output.metadata["method"] == "attention-lens"
    plain = api.answering.vlm.ask(picture, "what is in the picture ?", max_new_tokens=6)
    assert plain.protocol.method != seen.protocol.method


def test_requests_that_arrive_together_are_one_batch(theirs, api, monkeypatch) -> None:
    sizes = []
    answer = Answering.answer

    def counted(self, dialogues, how):
        sizes.append(len(dialogues))
        return answer(self, dialogues, how)

    monkeypatch.setattr(Answering, "answer", counted)
    short = theirs.GenerateConfig(max_tokens=5)
    asked = [(ask(theirs, "a dog ?", picture), short) for picture in families.pictures(6)]
    together = [output.completion for output in outputs(api, *asked)]
    assert sorted(sizes) == [2, 4]
    assert together == [outputs(api, one)[0].completion for one in asked]
    assert api.max_connections() == 4


def test_requests_of_different_settings_are_batches_of_their_own(theirs, api) -> None:
    [picture] = families.pictures(1)
    asked = ask(theirs, "what is in the picture ?", picture)
    settings = [theirs.GenerateConfig(max_tokens=number) for number in (3, 7, 3)]
    lengths = [
        output.usage.output_tokens for output in outputs(api, *((asked, one) for one in settings))
    ]
    assert lengths == [3, 7, 3]


def test_earlier_turns_reach_the_model(theirs, api, monkeypatch) -> None:
    seen = []
    monkeypatch.setattr(
        Answering, "answer", lambda self, dialogues, how: seen.append((*dialogues, how)) or 1 / 0
    )
    [picture] = families.pictures(1)
    messages = [
        theirs.ChatMessageSystem(content="answer in short"),
        *ask(theirs, "what is this ?", picture),
        theirs.ChatMessageAssistant(content="a dog"),
        theirs.ChatMessageUser(content="and its colour ?"),
    ]
    config = theirs.GenerateConfig(temperature=0.7, top_p=0.9, seed=3, stop_seqs=["\n"])
    with pytest.raises(ZeroDivisionError):
        outputs(api, (messages, config))
    (system, question, answer, last), how = seen[0]
    assert system == Turn("system", ("answer in short",))
    assert question.parts[0].size == picture.size
    assert question.parts[1] == "what is this ?"
    assert (answer, last) == (Turn("assistant", ("a dog",)), Turn("user", ("and its colour ?",)))
    assert how == Decoding(temperature=0.7, top_p=0.9, seed=3, stop=("\n",))


def test_one_request_that_fails_costs_only_itself(theirs, api) -> None:
    [picture] = families.pictures(1)
    config = theirs.GenerateConfig(max_tokens=3)
    bad = ask(theirs, f"what is {api.answering.vlm.processor.image_token} ?", picture)
    good = ask(theirs, "a dog ?", picture)

    async def together() -> list[Any]:
        return await asyncio.gather(
            *(api.generate(one, [], "auto", config) for one in (good, bad, good)),
            return_exceptions=True,
        )

    first, second, third = asyncio.run(together())
    assert isinstance(second, InputError)
    assert first.completion == third.completion


# ---- refusals ------------------------------------------------------------------------------


def test_what_is_not_served_is_refused_by_name(theirs, api) -> None:
    plain = theirs.GenerateConfig(max_tokens=3)
    [picture] = families.pictures(1)
    good = ask(theirs, "a dog ?", picture)
    path = theirs.ChatMessageUser(content=[theirs.ContentImage(image="/etc/passwd")])
    noise = theirs.ChatMessageUser(content=[theirs.ContentAudio(audio="a.wav", format="wav")])
    spoiled = theirs.ChatMessageUser(
        content=[theirs.ContentImage(image="data:image/png;base64,@@")]
    )
    for messages, config, reason in [
        ([path], plain, "no inline picture.*materialize_media"),
        ([noise], plain, "no audio"),
        ([spoiled], plain, "not base64"),
        ([*good, theirs.ChatMessageTool(content="4")], plain, "role 'tool'"),
        (good, theirs.GenerateConfig(num_choices=2), "one answer a request"),
        (good, theirs.GenerateConfig(logprobs=True), "does not serve logprobs"),
        (good, theirs.GenerateConfig(best_of=2), "does not serve best_of"),
    ]:
        with pytest.raises(InputError, match=reason):
            outputs(api, (messages, config))
    with pytest.raises(InputError, match="no tools"):
        outputs(api, (good, plain), tools=[theirs.ToolInfo(name="calc", description="adds")])


def test_arguments(theirs, checkpoints) -> None:
    folder = str(checkpoints("llava"))
    with pytest.raises(InputError, match="unknown model argument 'metod'; did you mean method"):
        theirs.SeesayAPI(folder, metod="farsight")
    with pytest.raises(MethodError, match="did you mean farsight"):
        theirs.SeesayAPI(folder, method="farsigt")
    cut = ["attention-lens(layers=(1", "2))"]  # what their command line makes of commas
    made = theirs.SeesayAPI(folder, method=cut)
    assert repr(made.answering.method) == "attention-lens(layers=(1, 2))"


# ---- inspect_ai itself ---------------------------------------------------------------------


@needs_inspect
@pytest.mark.filterwarnings("ignore")  # of inspect_ai's own libraries
def test_a_task_runs_on_us(checkpoints, tmp_path, monkeypatch) -> None:
    from inspect_ai import Task, eval
    from inspect_ai.dataset import MemoryDataset, Sample
    from inspect_ai.model import ChatMessageUser, ContentImage, ContentText, get_model
    from inspect_ai.scorer import includes

    importlib.import_module("seesay.integrations.inspect")  # as their entry points do
    monkeypatch.chdir(tmp_path)
    samples = []
    for number, picture in enumerate(families.pictures(3)):
        picture.save(f"{number}.png")
        content = [
            ContentImage(image=f"{number}.png"),
            ContentText(text="what is in the picture ?"),
        ]
        samples.append(Sample(input=[ChatMessageUser(content=content)], target="a"))
    model = get_model(
        f"seesay/{checkpoints('llava')}", method="farsight", batch_size=2, memoize=False
    )
    task = Task(dataset=MemoryDataset(samples), scorer=includes())
    [log] = eval(task, model=model, max_tokens=6, log_dir=str(tmp_path / "logs"), display="none")
    assert log.status == "success"
    for sample in log.samples:
        assert sample.output.metadata["method"] == "farsight"
        picture = sample.input[0].content[0]
        assert sample.output.usage.output_tokens <= 6
        assert picture.type == "image"
    said = [sample.output.completion for sample in log.samples]
    vlm = model.api.answering.vlm
    assert said == [
        vlm.ask(
            f"{number}.png", "what is in the picture ?", method="farsight", max_new_tokens=6
        ).text
        for number in range(3)
    ]
