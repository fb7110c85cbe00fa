"""Loading: right from folders, and one clear line for everything that can go wrong."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import huggingface_hub.errors as hub_errors
import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BertConfig, LlamaConfig, LlamaForCausalLM
from transformers.utils import logging as transformers_log

import seesay.models.loading
from families import ALL, batch_of_three
from seesay.errors import InputError, ModelError
from seesay.models.loading import load_model

Checkpoints = Callable[[str], Path]


@pytest.fixture
def broken(checkpoints: Checkpoints, tmp_path: Path) -> Path:
    """A copy of a good folder, to be damaged."""
    return Path(shutil.copytree(checkpoints("llava"), tmp_path / "model"))


def fails(source: Any, kind: type[Exception] = ModelError, **options: Any) -> str:
    with pytest.raises(kind) as caught:
        load_model(source, **options)
    message = str(caught.value)
    assert "\n" not in message
    return message


@pytest.mark.parametrize("name", ALL)
def test_a_saved_model_loads_as_it_was(
    name: str, checkpoints: Checkpoints, families_by_name: Any
) -> None:
    model, processor = load_model(checkpoints(name), device="cpu")
    family = families_by_name(name)
    assert not model.training
    assert not any(parameter.requires_grad for parameter in model.parameters())
    assert (model.dtype, model.device.type) == (torch.float32, "cpu")
    assert processor.tokenizer.padding_side == "left"
    ours, theirs = batch_of_three(name, model, processor), family.batch()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[key], theirs[key]) for key in ours)
    assert torch.equal(model(**ours).logits, family.model(**theirs).logits)


def _load_and_write_down(folder: Path, said: Path) -> None:
    """The first load of a process, what it prints being written to a file."""
    with said.open("w") as file:
        for stream in (1, 2):
            os.dup2(file.fileno(), stream)
    before = transformers_log.get_verbosity(), transformers_log.is_progress_bar_enabled()
    load_model(folder)
    after = transformers_log.get_verbosity(), transformers_log.is_progress_bar_enabled()
    assert before == after


def test_loading_says_nothing_and_restores_verbosity(
    checkpoints: Checkpoints, processes: Any, tmp_path: Path
) -> None:
    given = (checkpoints("qwen2.5-vl"), tmp_path / "said")
    process = processes.Process(target=_load_and_write_down, args=given)
    process.start()
    process.join()
    assert (process.exitcode, given[1].read_text()) == (0, "")


def test_dtype(checkpoints: Checkpoints, broken: Path) -> None:
    load = lambda dtype: load_model(broken, dtype=dtype, device="cpu")[0].dtype  # noqa: E731
    assert load("bfloat16") is load(torch.bfloat16) is torch.bfloat16
    model, processor = load_model(broken, dtype="float16", device="cpu")
    half = broken.parent / "half"
    model.save_pretrained(half)
    processor.save_pretrained(half)
    assert load_model(half, device="cpu")[0].dtype is torch.float32
    assert load_model(half, device="cpu", dtype="auto")[0].dtype is torch.float16
    assert "did you mean float32" in fails(broken, InputError, dtype="flaot32")
    assert "torch.int8" in fails(broken, InputError, dtype=torch.int8)


def test_device(checkpoints: Checkpoints) -> None:
    folder = checkpoints("llava")
    assert "unknown device 'gpu'" in fails(folder, InputError, device="gpu")
    assert "cuda:99" in fails(folder, InputError, device="cuda:99")


def test_paths_that_are_no_model_folder(checkpoints: Checkpoints, tmp_path: Path) -> None:
    (tmp_path / "llava-tiny").mkdir()
    assert "no config.json" in fails(tmp_path / "llava-tiny")
    missing = fails(str(tmp_path / "llava-tny"))
    assert "no model folder" in missing
    assert "similar there: llava-tiny" in missing
    assert "is a file" in fails(checkpoints("llava") / "config.json")
    for path in ("./models/x", "a/b/c", "", "~/no-such-model-folder", Path("relative")):
        assert "no model folder" in fails(path)


def test_unknown_id_without_a_network() -> None:
    message = fails("someone/some-vlm")
    assert message.startswith("someone/some-vlm is not on this machine")
    assert "hf download someone/some-vlm --local-dir FOLDER" in message
    assert "neither a folder nor an id" in fails("some one/some vlm")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (hub_errors.RepositoryNotFoundError, "no model 'a/b' on the Hugging Face Hub"),
        (hub_errors.GatedRepoError, "accept its licence"),
        (hub_errors.RevisionNotFoundError, "no revision 'v9'"),
        (hub_errors.RemoteEntryNotFoundError, "no config.json"),
        (seesay.models.loading.httpx.ConnectError, "cannot be reached"),
        (ConnectionResetError, "cannot be reached"),
    ],
)
def test_what_the_hub_answers(
    error: type[Exception], expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(*_: Any, **__: Any) -> None:
        raise error.__new__(error)  # the Hub's errors want a response to be made from

    monkeypatch.setattr(seesay.models.loading, "get_hf_file_metadata", answer)
    assert expected in fails("a/b", revision="v9")


def test_unusable_configs(broken: Path) -> None:
    config = broken / "config.json"
    config.write_text("{oops")
    assert "not a valid JSON" in fails(broken)
    config.write_text("{}")
    assert "does not know its model type" in fails(broken)
    config.write_text('{"model_type": "zorg"}')
    assert "upgrade transformers" in fails(broken)
    remote = {"model_type": "zorg", "auto_map": {"AutoConfig": "configuration_zorg.ZorgConfig"}}
    config.write_text(json.dumps(remote))
    assert "trust_remote_code=True" in fails(broken)


def test_models_without_image_and_text(tmp_path: Path) -> None:
    tiny = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "vocab_size": 9}
    LlamaForCausalLM(LlamaConfig(**tiny, intermediate_size=8)).save_pretrained(tmp_path / "llama")
    assert "has no vision" in fails(tmp_path / "llama")
    BertConfig(image_token_id=3).save_pretrained(tmp_path / "bert")
    assert "does not list as image-text-to-text" in fails(tmp_path / "bert")


def test_weights_that_are_not_safe_or_whole(broken: Path) -> None:
    weights = broken / "model.safetensors"
    good = weights.read_bytes()
    for damage in (good[: len(good) // 2], b"", b"no tensors here" * 99):
        weights.write_bytes(damage)
        assert "is damaged" in fails(broken)
    weights.write_bytes(good)
    tensors = load_file(weights)
    save_file({k: v for k, v in tensors.items() if "lm_head" not in k}, weights, {"format": "pt"})
    assert "lacks 1 weights, lm_head.weight" in fails(broken)
    wrong = {k: v[..., :-1].contiguous() if "lm_head" in k else v for k, v in tensors.items()}
    save_file(wrong, weights, {"format": "pt"})
    assert "do not fit its config.json" in fails(broken)
    weights.unlink()
    torch.save({}, broken / "pytorch_model.bin")
    assert "no pickle" in fails(broken)


def test_a_folder_without_processor(broken: Path) -> None:
    for file in broken.glob("*token*"):
        file.unlink()
    assert "cannot be loaded" in fails(broken)
    (broken / "processor_config.json").unlink()
    assert fails(broken).endswith(f"Can't load image processor for '{broken}'")
