"""The bundled world and model: what is drawn, said, trained and measured."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from functools import cache
from random import Random
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from torch import nn

from experiments.toy_model import captions, optimise
from experiments.toy_model.__main__ import main as measure_command
from experiments.toy_model.architecture import (
    build_model,
    build_processor,
    build_tokenizer,
    word_token,
)
from experiments.toy_model.dataset import batch_rows, draw_dataset
from experiments.toy_model.language import LanguageStage, Script
from experiments.toy_model.model_answers import Speaker
from experiments.toy_model.vision import VisionStage
from paths import ROOT
from seesay import toy
from seesay.errors import InputError, ModelError
from seesay.evaluate.benchmarks.toy import SAMPLINGS, absent, present
from seesay.toy.scenes import GRID, NOTHING, draw_scene
from seesay.toy.world import SURFACES, choose_objects


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Threads slow models this small down, far more so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


# Scenes

drawn = cache(toy.scene)


def test_a_scene_follows_from_its_split_and_seed() -> None:
    one, again, other = toy.scene("kept", 7), toy.scene("kept", 7), toy.scene("kept", 8)
    assert one.image.tobytes() == again.image.tobytes()
    assert one.objects == again.objects
    assert one.image.tobytes() != other.image.tobytes()
    assert toy.scene("broken", 7).image.tobytes() != one.image.tobytes()


def test_a_scene_does_not_depend_on_the_hash_seed() -> None:
    code = (
        "import hashlib; from random import Random; from seesay.toy import scene\n"
        "from experiments.toy_model import captions\n"
        "s = scene('broken', 3); t = captions.checklist_turn(s, Random(0))\n"
        "print(hashlib.sha256(s.image.tobytes() + repr((s.objects, t)).encode()).hexdigest())"
    )
    seen = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(seen) == 1


def test_purposes_draw_different_scenes_from_the_same_seeds() -> None:
    pictures = [
        draw_scene(purpose, "kept", seed).image.tobytes()
        for purpose in ("held out", "training", "validation")
        for seed in range(40)
    ]
    assert len(set(pictures)) == len(pictures)


def test_a_scene_tells_the_truth_about_itself() -> None:
    for seed in range(60):
        scene = drawn("broken" if seed % 2 else "kept", seed)
        assert scene.image.size == (96, 96)
        assert scene.image.mode == "RGB"
        assert scene.context in toy.CONTEXTS
        assert 1 <= len(scene.objects) == len(scene.present) <= 5
        assert scene.patch_labels.shape == (GRID * GRID,)
        labelled = {toy.OBJECTS[i] for i in scene.patch_labels if i != NOTHING}
        assert labelled <= scene.present
        for placed in scene.objects:
            assert len(placed.boxes) == placed.count in (1, 2)
            for left, top, right, bottom in placed.boxes:
                assert 0 <= left < right <= 96
                assert 0 <= top < bottom <= 96


def test_easy_objects_stand_out_and_faint_ones_do_not() -> None:
    def contrast(difficulty: str) -> float:
        spreads = []
        for seed in range(120):
            scene = drawn("kept", seed)
            for placed in scene.objects:
                left, top, right, bottom = placed.box
                inside = np.asarray(scene.image, float)[top:bottom, left:right]
                if placed.difficulty == difficulty:
                    spreads.append(inside.std((0, 1)).max())
        return float(np.mean(spreads))

    assert contrast("easy") > 1.5 * contrast("faint")


def test_broken_scenes_break_the_habit_that_kept_scenes_keep() -> None:
    def partner_rate(split: Any) -> float:
        rng = Random(0)
        drawn = [names for _, names in (choose_objects(rng, split) for _ in range(4000))]
        forks = [names for names in drawn if "fork" in names]
        return sum("knife" in names for names in forks) / len(forks)

    assert partner_rate("kept") > 0.75
    assert partner_rate("broken") < 0.3


@pytest.mark.parametrize(("split", "seed"), [("new", 1), ("kept", -1)])
def test_an_impossible_scene_is_refused(split: Any, seed: int) -> None:
    with pytest.raises(InputError, match="choose"):
        toy.scene(split, seed)


def test_importing_the_toy_loads_nothing_heavy() -> None:
    code = "import sys, seesay.toy; print({'torch', 'transformers', 'PIL'} & set(sys.modules))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert out.stdout.strip() == "set()"


# Words


def test_every_written_form_leads_to_its_object() -> None:
    assert len(toy.OBJECTS) == 30
    assert toy.plural("knife") == "knives"
    assert SURFACES["knives"] == SURFACES["knife"] == "knife"
    assert set(SURFACES.values()) == set(toy.OBJECTS)
    assert toy.question("umbrella") == "Is there an umbrella in the image?"


def test_captions_are_grammatical_and_complete() -> None:
    rng = Random(0)
    for seed in range(150):
        scene = drawn("kept", seed)
        text = captions.caption(scene, rng)
        assert captions.well_formed(text), text
        named = {SURFACES[w] for w in text.replace(".", "").lower().split() if w in SURFACES}
        assert named == scene.present


@pytest.mark.parametrize(
    "text",
    [
        "",
        "The image shows a kitchen scene with a red fork",
        "The image shows a kitchen scene with a red red fork.",
        "The image shows an kitchen scene with a red fork.",
        "The image shows a kitchen scene with two red fork.",
        "There is a red fork on the left.",
        "The image shows a kitchen scene with a red fork. There are a blue cup on the left.",
    ],
)
def test_broken_sentences_are_not_well_formed(text: str) -> None:
    assert not captions.well_formed(text)


def test_salient_objects_come_first() -> None:
    rng, places = Random(0), Counter[str]()
    for seed in range(300):
        scene = drawn("kept", seed)
        if len(scene.objects) < 3 or not any(o.hard for o in scene.objects):
            continue
        text = captions.caption(scene, rng)
        first = min(scene.objects, key=lambda o: text.find(captions.noun(o)))
        places["hard" if first.hard else "easy"] += 1
    assert places["easy"] > 5 * places["hard"]


def test_answers_are_true() -> None:
    rng = Random(1)
    yes = no = 0
    for seed in range(300):
        scene = drawn("kept", seed)
        said, answer = captions.object_turn(scene, rng)
        asked = {SURFACES[w] for w in said.strip("?.").replace("?", "").split() if w in SURFACES}
        if answer.startswith(("Yes", "There is a", "There are")):
            assert asked <= scene.present
        else:
            assert answer == "No." or answer.startswith("There is no ")
            assert not asked & scene.present
        yes, no = yes + answer.startswith("Yes"), no + (answer == "No.")
        said, answer = captions.checklist_turn(scene, rng)
        assert set(answer.rstrip(".").split()) == scene.present
    assert 0.4 < yes / (yes + no) < 0.6


# Building and training


@pytest.fixture(scope="module")
def tokenizer() -> Any:
    return build_tokenizer()


@pytest.mark.slow
def test_every_object_is_one_token(tokenizer: Any) -> None:
    ids = [word_token(tokenizer, word) for word in SURFACES]
    assert len(set(ids)) == len(set(SURFACES))
    with pytest.raises(ModelError, match="corpus"):
        word_token(tokenizer, "hippopotamus")


def test_training_texts_are_tokenized_as_the_processor_does(tokenizer: Any) -> None:
    processor = build_processor(tokenizer)
    scene = toy.scene("kept", 0)
    turns = [(captions.DESCRIBE, "The image shows a fork."), (toy.question("cup"), "No.")]
    ids, labels = Script(tokenizer).write(scene, turns)
    messages: list[dict[str, Any]] = []
    for number, (said, answer) in enumerate(turns):
        content = [{"type": "image"}] * (number == 0) + [{"type": "text", "text": said}]
        messages.append({"role": "user", "content": content})
        messages.append({"role": "assistant", "content": [{"type": "text", "text": answer}]})
    text = processor.apply_chat_template(messages)
    expected = processor(images=scene.image, text=text)["input_ids"][0]
    assert ids == list(expected)

    spoken = [i for i, label in zip(ids, labels, strict=True) if label == i]
    assert tokenizer.decode(spoken, skip_special_tokens=True).split() == (
        ["The", "image", "shows", "a", "fork.", "No."]
    )


def test_an_object_in_a_question_is_followed_by_its_presence(tokenizer: Any) -> None:
    scene = toy.scene("kept", 0)
    there, missing = min(scene.present), min(set(toy.OBJECTS) - scene.present)
    script = Script(tokenizer)
    for name, answer in ((there, "Yes"), (missing, "No")):
        ids, labels = script.write(scene, [(toy.question(name), "No.")])
        at = ids.index(word_token(tokenizer, name))
        assert labels[at + 1] == word_token(tokenizer, answer)


def test_batches_visit_every_row_once_an_epoch() -> None:
    epoch = [batch_rows(step, 4, 20, seed=3) for step in range(5)]
    assert sorted(np.concatenate(epoch)) == list(range(20))
    assert not np.array_equal(batch_rows(0, 4, 20, seed=3), batch_rows(5, 4, 20, seed=3))


@pytest.fixture
def alone(tmp_path: Any) -> Any:
    """A process group of one."""
    dist.init_process_group("gloo", f"file://{tmp_path / 'meeting'}", rank=0, world_size=1)
    yield tmp_path
    dist.destroy_process_group()


class _Line:
    """A stage that fits a line, and may be cut off."""

    name, steps, learning_rate, weight_decay = "line", 150, 0.1, 0.0

    def __init__(self, fails_at: int | None = None) -> None:
        torch.manual_seed(0)
        self.trained = nn.Linear(3, 1)
        self._fails_at = fails_at

    def loss(self, step: int) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
        if step == self._fails_at:
            raise KeyboardInterrupt
        x = torch.from_numpy(np.random.default_rng(step).normal(size=(8, 3))).bfloat16()
        loss = (self.trained(x).float() - x.float().sum(-1, keepdim=True)).square().mean()
        return loss, {"loss": loss}


def test_an_interrupted_run_goes_on_to_the_same_weights(alone: Any) -> None:
    (alone / "whole").mkdir()
    (alone / "cut").mkdir()
    whole = _Line()
    optimise.optimise(whole, alone / "whole")
    with pytest.raises(KeyboardInterrupt):
        optimise.optimise(_Line(fails_at=120), alone / "cut")
    resumed = _Line()
    optimise.optimise(resumed, alone / "cut")
    assert torch.equal(whole.trained.weight, resumed.trained.weight)
    assert whole.trained.weight.detach().sub(1).abs().max() < 0.5


@pytest.mark.slow
def test_both_stages_learn_and_the_second_leaves_the_tower_alone(
    alone: Any, tokenizer: Any
) -> None:
    data = draw_dataset(alone, "training", 16, processes=1)
    torch.manual_seed(0)
    model = build_model(tokenizer)
    tower = model.model.vision_tower
    common = {"steps": 5, "batch": 8, "seed": 0}

    vision = VisionStage(tower, data, **common)
    _assert_learns(vision, alone)
    language = LanguageStage(model, tokenizer, data, **common)
    before = [p.bfloat16().clone() for p in tower.parameters()]
    _assert_learns(language, alone)
    assert all(map(torch.equal, before, (p.bfloat16() for p in tower.parameters())))


def _assert_learns(stage: optimise.Stage, work: Any) -> None:
    stage.trained.to(torch.bfloat16)
    before = stage.loss(0)[0].item()
    optimise.optimise(stage, work)
    stage.trained.to(torch.bfloat16)
    assert stage.loss(0)[0].item() < before


# Measuring


def test_questions_are_balanced_and_true() -> None:
    scenes = [toy.scene("kept", seed) for seed in range(40)]
    asked = present(scenes, seed=0)
    for sampling in SAMPLINGS:
        others = absent(scenes, sampling, seed=0)
        assert Counter(a.row for a in others) == Counter(a.row for a in asked)
        for a in [*asked, *others]:
            assert (a.name in scenes[a.row].present) == a.there
    local = [a.name in toy.CONTEXTS[scenes[a.row].context]
             for a in absent(scenes, "adversarial", seed=0)]  # fmt: skip
    assert np.mean(local) > 0.6


# The bundled model


@pytest.fixture(scope="module")
def speaker() -> Speaker:
    return Speaker(toy.MODEL_DIR)


def test_the_bundled_model_is_small_half_precision_and_safe() -> None:
    files = list(toy.MODEL_DIR.iterdir())
    assert sum(f.stat().st_size for f in files) < 12e6
    assert not [f for f in files if f.suffix in (".bin", ".pt", ".pickle")]
    from safetensors import safe_open

    with safe_open(toy.MODEL_DIR / "model.safetensors", "pt") as weights:
        assert {weights.get_tensor(key).dtype for key in weights.keys()} == {torch.float16}  # noqa: SIM118


@pytest.mark.slow
def test_the_bundled_model_describes_answers_and_invents_out_of_habit(speaker: Speaker) -> None:
    """Floors far below docs/toy.md: fifty scenes a split have wide intervals."""
    kept, broken = (
        [toy.scene(split, 9000 + seed) for seed in range(50)] for split in ("kept", "broken")
    )
    told = speaker.tell([(scene, toy.DESCRIBE) for scene in kept])
    right = sum(len(t.named & t.scene.present) for t in told)
    assert right / sum(len(scene.present) for scene in kept) > 0.7
    assert right / sum(len(t.named) for t in told) > 0.8
    assert np.mean([t.ended and captions.well_formed(t.text) for t in told]) > 0.95

    invented = [
        t.named - t.scene.present for t in speaker.tell([(s, toy.DESCRIBE) for s in broken])
    ]
    assert 10 <= sum(map(len, invented)) <= 60

    asked = [*present(kept, seed=0), *absent(kept, "random", seed=0)]
    answers = speaker.tell([(kept[a.row], toy.question(a.name)) for a in asked], longest=3)
    hits = [t.text.startswith("Yes") == a.there for a, t in zip(asked, answers, strict=True)]
    assert np.mean(hits) > 0.8


def test_the_bundled_model_takes_every_kind_of_turn(speaker: Speaker) -> None:
    scene = next(
        s for seed in range(9000, 9100)
        if len((s := toy.scene("kept", seed)).objects) >= 3 and not any(o.hard for o in s.objects)
    )  # fmt: skip
    there = scene.objects[0]
    absent = [name for name in toy.OBJECTS if name not in scene.present][::5]
    told = speaker.tell(
        [
            (scene, toy.DESCRIBE),
            (scene, toy.question(there.name)),
            (scene, f"Please describe the {captions.noun(there)}."),
            (scene, captions.checklist(sorted({*scene.present, *absent}))),
        ]
    )
    assert all(t.ended for t in told)
    assert told[0].text.count(".") >= 2
    assert told[1].text.startswith("Yes")
    assert there.name in told[2].named
    assert there.name in told[3].named


def test_mentions_follow_the_text_and_attention_is_a_share(speaker: Speaker) -> None:
    told = speaker.tell([(toy.scene("broken", 9000 + seed), toy.DESCRIBE) for seed in range(8)])
    mentions = speaker.mentions(told)
    for row, t in enumerate(told):
        mine = [m for m in mentions if m.row == row]
        assert {m.name for m in mine} == t.named
        assert [m.number for m in mine] == list(range(1, len(mine) + 1))
        assert all(m.there == (m.name in t.scene.present) for m in mine)
    for m in mentions:
        assert m.log_probability <= 0
        assert ((m.var > 0) & (m.var < 1)).all()
        assert m.var.shape == (speaker.model.config.text_config.num_hidden_layers,)


def test_the_bundled_model_survives_saving_and_loading(speaker: Speaker, tmp_path: Any) -> None:
    speaker.model.save_pretrained(tmp_path)
    speaker.processor.save_pretrained(tmp_path)
    requests = [(toy.scene("kept", 9000), toy.DESCRIBE)]
    assert Speaker(tmp_path).tell(requests)[0].ids == speaker.tell(requests)[0].ids


@pytest.mark.slow
def test_the_measuring_command_writes_a_page(tmp_path: Any) -> None:
    page = tmp_path / "docs" / "toy.md"
    measure_command(["--scenes", "12", "--first-seed", "9500", "--out", str(page)])
    text = page.read_text()
    assert "habit-breaking: CHAIR_I" in text
    assert "log-probability" in text
    assert "Nothing here says anything about large models" in text
