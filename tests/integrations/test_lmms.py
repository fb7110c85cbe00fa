"""The model for lmms-eval: against its own base classes where it is installed, and otherwise
against stand-ins with the fields of its documentation."""

from __future__ import annotations

import importlib
import logging
import sys
from dataclasses import dataclass
from importlib.util import find_spec
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

import families
from seesay.errors import InputError, MethodError
from seesay.integrations.dialogues import Answering, Decoding

REAL = find_spec("lmms_eval") is not None
needs_lmms = pytest.mark.skipif(not REAL, reason="lmms-eval is not installed")
pytestmark = pytest.mark.filterwarnings("ignore")  # of lmms-eval's own libraries

QUESTION = "what is in the picture ?"


# ---- stand-ins -----------------------------------------------------------------------------


class lmms:  # noqa: N801  their name
    is_simple = True
    rank = 0

    def __init__(self) -> None:
        self.task_dict: dict[str, Any] = {}
        self.cache_hook = SimpleNamespace(add_partial=lambda kind, request, answer: None)


@dataclass
class Instance:
    request_type: str
    arguments: tuple[Any, ...]
    idx: int
    metadata: dict[str, Any]

    @property
    def args(self) -> tuple[Any, ...]:
        return self.arguments


@dataclass
class GenerationResult:
    text: str
    token_counts: Any = None


@dataclass
class TokenCounts:
    input_tokens: int | None = None
    output_tokens: int | None = None


@dataclass
class ModelManifest:
    model_id: str
    chat_class_path: str


def stand_ins() -> dict[str, ModuleType]:
    names: dict[str, dict[str, Any]] = {
        "lmms_eval": {},
        "lmms_eval.api": {},
        "lmms_eval.api.instance": {
            "GenerationResult": GenerationResult,
            "Instance": Instance,
            "TokenCounts": TokenCounts,
        },
        "lmms_eval.api.model": {"lmms": lmms},
        "lmms_eval.models": {},
        "lmms_eval.models.registry_v2": {"ModelManifest": ModelManifest},
    }
    modules = {}
    for name, content in names.items():
        modules[name] = ModuleType(name)
        modules[name].__dict__.update(content)
    return modules


@pytest.fixture(scope="module")
def ours():
    """Our module, made from theirs."""
    patch = pytest.MonkeyPatch()
    if not REAL:
        for name, module in stand_ins().items():
            patch.setitem(sys.modules, name, module)
    yield importlib.import_module("seesay.integrations.lmms")
    patch.undo()
    if not REAL:
        del sys.modules["seesay.integrations.lmms"]


@pytest.fixture(scope="module")
def model(ours, checkpoints):
    made = ours.Seesay(str(checkpoints("llava")), method="'attention-lens'", batch_size="4")
    documents = [{"picture": picture} for picture in families.pictures(6)]
    made.task_dict["pets"] = {"test": documents}
    return made


def messages(document: dict[str, Any]) -> list[dict[str, Any]]:
    picture = {"type": "image", "url": document["picture"]}
    return [{"role": "user", "content": [picture, {"type": "text", "text": QUESTION}]}]


def request(ours, doc_id: int, to_messages: Any = messages, **settings: Any) -> Any:
    arguments = ("context", to_messages, {"max_new_tokens": 6, **settings}, doc_id, "pets", "test")
    metadata = {"task": "pets", "doc_id": doc_id, "repeats": 1}
    return ours.Instance("generate_until", arguments, 0, metadata)


# ---- answers -------------------------------------------------------------------------------


def test_answers_are_the_methods_in_the_order_of_the_requests(ours, model) -> None:
    order = [4, 0, 5, 2, 1, 3]
    results = model.generate_until([request(ours, doc_id) for doc_id in order])
    vlm = model.answering.vlm
    for doc_id, result in zip(order, results, strict=True):
        picture = model.task_dict["pets"]["test"][doc_id]["picture"]
        seen = vlm.ask(picture, QUESTION, method="attention-lens", max_new_tokens=6)
        assert result.text == seen.text
        assert result.token_counts.output_tokens == len(seen.tokens)
        assert result.token_counts.input_tokens > len(QUESTION.split())


def test_requests_of_the_same_settings_are_batched(ours, model, monkeypatch) -> None:
    seen = []
    answer = Answering.answer

    def counted(self, dialogues, how):
        seen.append((len(dialogues), how.max_new_tokens))
        return answer(self, dialogues, how)

    monkeypatch.setattr(Answering, "answer", counted)
    requests = [request(ours, doc_id, max_new_tokens=3 + doc_id % 2) for doc_id in range(6)]
    results = model.generate_until(requests * 2)
    assert seen == [(4, 3), (2, 3), (4, 4), (2, 4)]
    assert [result.token_counts.output_tokens for result in results] == [3, 4] * 6


@pytest.mark.parametrize(
    ("settings", "how"),
    [
        ({"temperature": 0, "top_p": 1.0, "num_beams": 1, "do_sample": False}, {"top_p": 1.0}),
        ({"temperature": 0.7}, {"temperature": 0.7}),
        ({"temperature": 0.7, "do_sample": False}, {}),
        ({"temperature": None, "num_beams": 3}, {"num_beams": 3}),
        ({"until": ["\n\n", ""]}, {"stop": ("\n\n",)}),
        ({"until": "ASSISTANT:"}, {"stop": ("ASSISTANT:",)}),
        ({"until": None, "max_new_tokens": 9}, {"max_new_tokens": 9}),
    ],
)
def test_a_tasks_settings(ours, model, monkeypatch, settings, how) -> None:
    seen = []
    monkeypatch.setattr(Answering, "answer", lambda self, asked, how: seen.append(how) or [])
    with pytest.raises(ValueError, match="zip"):  # the answers are left out on purpose
        model.generate_until([request(ours, 0, **settings)])
    assert seen == [Decoding(**{"max_new_tokens": 6, **how})]


def test_a_setting_that_is_passed_over_is_told_once(ours, model, caplog) -> None:
    with caplog.at_level(logging.WARNING):
        model.generate_until([request(ours, 0, image_aspect_ratio="pad")])
        model.generate_until([request(ours, 1, image_aspect_ratio="pad")])
    assert [record.getMessage() for record in caplog.records] == [
        "the task's generation setting image_aspect_ratio is not served and passed over"
    ]


def test_answers_reach_the_cache(ours, model, monkeypatch) -> None:
    kept = []
    hook = SimpleNamespace(add_partial=lambda *entry: kept.append(entry))
    monkeypatch.setattr(model, "cache_hook", hook)
    [result] = model.generate_until([request(ours, 2)])
    assert kept == [("generate_until", ("context", {"max_new_tokens": 6}), result.text)]


# ---- refusals ------------------------------------------------------------------------------


def test_what_is_not_served_is_refused_by_name(ours, model) -> None:
    def video(document: dict[str, Any]) -> list[dict[str, Any]]:
        return [{"role": "user", "content": [{"type": "video", "url": "a.mp4"}]}]

    with pytest.raises(InputError, match="no video"):
        model.generate_until([request(ours, 0, video)])
    with pytest.raises(InputError, match="log-likelihoods"):
        model.loglikelihood([])
    with pytest.raises(InputError, match="rounds"):
        model.generate_until_multi_round([])


def test_arguments(ours, checkpoints, monkeypatch) -> None:
    folder = str(checkpoints("llava"))
    with pytest.raises(InputError, match="unknown model argument 'metod'; did you mean method"):
        ours.Seesay(folder, metod="farsight")
    with pytest.raises(MethodError, match="did you mean farsight"):
        ours.Seesay(folder, method="farsigt")
    with pytest.raises(InputError, match="batch_size must be a whole number"):
        ours.Seesay(folder, batch_size="auto")
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match="one process"):
        ours.Seesay(folder)


def test_the_registry_is_told_where_the_class_is(ours) -> None:
    manifest = ours.models()
    assert manifest.model_id == "seesay"
    module, _, name = manifest.chat_class_path.rpartition(".")
    assert getattr(importlib.import_module(module), name) is ours.Seesay
    assert ours.Seesay.is_simple is False


# ---- lmms-eval itself ----------------------------------------------------------------------


@needs_lmms
def test_their_registry_finds_and_makes_us(ours, checkpoints) -> None:
    from lmms_eval.models.registry_v2 import ModelRegistryV2

    registry = ModelRegistryV2()
    registry.register_manifest(ours.models())
    made = registry.get_model_class("seesay").create_from_arg_string(
        f"pretrained={checkpoints('llava')},method='attention-lens(layers=(1, 2), alpha=0.5)'",
        {"batch_size": 2, "max_batch_size": None, "device": None},
    )
    assert repr(made.answering.method) == "attention-lens(alpha=0.5, layers=(1, 2))"
    assert made.answering.batch_size == 2


TASK = """
task: pets
dataset_path: imagefolder
dataset_kwargs: {data_dir: FOLDER, cache_dir: FOLDER/cache}
test_split: train
output_type: generate_until
doc_to_visual: !function pets.visual
doc_to_text: !function pets.text
doc_to_target: answer
process_results: !function pets.results
generation_kwargs: {max_new_tokens: 6, temperature: 0, do_sample: false}
metric_list: [{metric: length, aggregation: mean, higher_is_better: true}]
"""
FUNCTIONS = f"""
def visual(doc): return [doc["image"].convert("RGB")]
def text(doc, lmms_eval_specific_kwargs=None): return {QUESTION!r}
def results(doc, results): return {{"length": float(len(results[0]))}}
"""


@needs_lmms
def test_a_task_runs_on_us(ours, checkpoints, tmp_path, monkeypatch) -> None:
    from lmms_eval.evaluator import simple_evaluate
    from lmms_eval.tasks import TaskManager

    monkeypatch.setenv("HF_DATASETS_OFFLINE", "1")
    pictures, task = tmp_path / "pictures", tmp_path / "task"
    pictures.mkdir()
    task.mkdir()
    for number, picture in enumerate(families.pictures(3)):
        picture.save(pictures / f"{number}.png")
    table = "file_name,answer\n" + "".join(f"{number}.png,yes\n" for number in range(3))
    (pictures / "metadata.csv").write_text(table)
    (task / "pets.yaml").write_text(TASK.replace("FOLDER", str(pictures)))
    (task / "pets.py").write_text(FUNCTIONS)
    made = ours.Seesay(str(checkpoints("llava")), method="farsight", batch_size=2)
    manager = TaskManager("ERROR", include_path=str(task), include_defaults=False)
    results = simple_evaluate(made, tasks=["pets"], task_manager=manager, verbosity="ERROR")
    vlm = made.answering.vlm
    wanted = [
        vlm.ask(pictures / f"{n}.png", QUESTION, method="farsight", max_new_tokens=6).text
        for n in range(3)
    ]
    samples = sorted(results["samples"]["pets"], key=lambda sample: sample["doc_id"])
    assert [sample["resps"][0][0] for sample in samples] == wanted
    length = sum(map(len, wanted)) / 3
    assert results["results"]["pets"]["length,none"] == pytest.approx(length)
