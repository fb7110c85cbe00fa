"""Dialogues answered under a method, and how other frameworks find us."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import families
from paths import ROOT
from seesay.errors import InputError, MethodError, ModelError
from seesay.integrations.dialogues import Answering, Decoding, Turn
from seesay.models.view import ModelView
from seesay.vlm import VLM

SHORT = Decoding(max_new_tokens=10)
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def vlm_of(family) -> VLM:
    view = ModelView.of(family.model, family.processor)
    return VLM(family.model, family.processor, view, family.name)


def asks(text: str, *pictures) -> tuple[Turn, ...]:
    return (Turn("user", (*pictures, text)),)


@pytest.mark.parametrize("method", [None, "attention-lens(alpha=0.5) + agla"])
def test_one_question_about_one_picture_is_answered_as_vlm_ask_does(family, method) -> None:
    vlm = vlm_of(family)
    picture = families.pictures(1)[0]
    [reply] = Answering(vlm, method).answer([asks("what is in the picture ?", picture)], SHORT)
    seen = vlm.ask(picture, "what is in the picture ?", method=method, max_new_tokens=10)
    assert (reply.text, reply.tokens, reply.ended) == (seen.text, len(seen.tokens), seen.ended)


@pytest.mark.parametrize("method", [None, "farsight + agla"])
def test_a_batch_is_answered_as_its_dialogues_singly(family, method) -> None:
    first, second, third = families.pictures(3)
    dialogues = [
        asks("what is in the picture ?", first),
        asks("a dog ?"),
        (
            Turn("user", (second, "what is this ?")),
            Turn("assistant", ("a red car",)),
            Turn("user", ("and in this", third, "image ?")),
        ),
        asks("how many people are there in this and that image ?", third, first),
        asks("is there a car ?"),
    ]
    answering = Answering(vlm_of(family), method, batch_size=4)
    together = answering.answer(dialogues, SHORT)
    for dialogue, reply in zip(dialogues, together, strict=True):
        [alone] = answering.answer([dialogue], SHORT)
        assert (reply.text, reply.tokens, reply.prompt_tokens, reply.ended) == (
            alone.text,
            alone.tokens,
            alone.prompt_tokens,
            alone.ended,
        )


def test_a_method_changes_answers(llava) -> None:
    pictures = families.pictures(3)
    dialogues = [asks("what is in the picture ?", picture) for picture in pictures]
    vlm = vlm_of(llava)
    plain = Answering(vlm).answer(dialogues, SHORT)
    boosted = Answering(vlm, "attention-lens(alpha=5.0)").answer(dialogues, SHORT)
    assert [reply.text for reply in plain] != [reply.text for reply in boosted]


def test_stop_texts_cut_the_answer(llava) -> None:
    answering, dialogue = Answering(vlm_of(llava)), asks("a dog ?", families.pictures(1)[0])
    [whole] = answering.answer([dialogue], SHORT)
    words = whole.text.split()
    assert len(words) > 3
    [cut] = answering.answer([dialogue], Decoding(max_new_tokens=10, stop=("@", words[2])))
    assert cut.text == whole.text[: whole.text.find(words[2])].strip()
    assert cut.ended


def test_drawn_answers_are_the_same_with_a_seed_in_any_company(llava) -> None:
    answering = Answering(vlm_of(llava))
    dialogues = [asks("a dog ?", picture) for picture in families.pictures(3)]
    drawn = Decoding(max_new_tokens=10, temperature=1.5, top_k=20, top_p=0.9, seed=4)
    together = answering.answer(dialogues, drawn)
    assert answering.answer(dialogues[1:2], drawn)[0].text == together[1].text
    other = answering.answer(dialogues, Decoding(max_new_tokens=10, temperature=1.5, seed=5))
    assert [reply.text for reply in other] != [reply.text for reply in together]


def test_what_cannot_be_answered_is_refused(llava) -> None:
    answering, [picture] = Answering(vlm_of(llava)), families.pictures(1)
    token = llava.processor.image_token
    with pytest.raises(InputError, match="reads as a picture"):
        answering.answer([asks(f"what is {token} ?", picture)], SHORT)
    with pytest.raises(InputError, match="ends with a user's turn"):
        answering.answer([(Turn("assistant", ("a dog",)),)], SHORT)
    with pytest.raises(InputError, match="max_new_tokens"):
        answering.answer([asks("a dog ?", picture)], Decoding(max_new_tokens=0))


def test_loading(checkpoints) -> None:
    folder = str(checkpoints("llava"))
    answering = Answering.load(folder, method="farsight(sigma=0.5)", batch_size=2)
    assert (repr(answering.method), answering.batch_size) == ("farsight(sigma=0.5)", 2)
    assert answering.vlm.id == folder
    assert Answering.load("bundled").vlm.id == "bundled"
    with pytest.raises(MethodError, match="did you mean farsight"):
        Answering.load(folder, method="farsigt")
    with pytest.raises(MethodError, match="layer 60"):
        Answering.load(folder, method="attention-lens(layers=(2, 60))")
    with pytest.raises(InputError, match="batch_size"):
        Answering.load(folder, batch_size=0)
    with pytest.raises(ModelError, match="no model folder"):
        Answering.load("./nowhere")


# ---- how they are found --------------------------------------------------------------------


@pytest.mark.parametrize("name", ["inspect", "lmms"])
def test_without_the_framework_one_line_says_what_to_install(name) -> None:
    code = (
        "import sys\n"
        "sys.modules['inspect_ai'] = sys.modules['lmms_eval'] = None\n"
        "from seesay.errors import InputError\n"
        "try:\n"
        f"    import seesay.integrations.{name}\n"
        "except InputError as error:\n"
        "    print(error, 'torch' in sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith(f"pip install 'seesay[{name}]' False")


def test_entry_points_name_what_is_there() -> None:
    extras = PYPROJECT["project"]["optional-dependencies"]
    groups = PYPROJECT["project"]["entry-points"]
    assert {"inspect", "lmms"} <= set(extras)
    for group in ("inspect_ai", "lmms_eval.models"):
        module, _, name = groups[group]["seesay"].partition(":")
        file = ROOT / "src" / Path(*module.split("."))
        source = file.with_suffix(".py").read_text(encoding="utf-8")
        assert not name or f"def {name}(" in source
