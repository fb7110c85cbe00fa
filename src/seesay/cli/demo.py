"""demo: bundled scenes, what is in them, and what each method says."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any

import typer

from seesay.cli import options
from seesay.cli.describe import load
from seesay.cli.output import emit, working
from seesay.cli.result import written

SPLIT, FIRST_SEED = "broken", 1

CHOICE = (
    "Scenes {first} to {last} of the split that breaks the model's habits, taken in order and "
    "fixed before anybody looked: none is left out, also where a method invents more. Asked of "
    "each: {prompt}"
)
NO_CLAIM = (
    "Nothing measured on this tiny bundled model is a claim about large models, and a few scenes "
    "cannot rank methods."
)


def demo(
    scenes: Annotated[int, typer.Option(min=1, max=100, help="How many scenes.")] = 6,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("demo.html"),
    debug: options.Debug = False,
) -> None:
    """Describe bundled pictures with and without each method, offline, and write demo.html."""
    from seesay.render import page, terminal
    from seesay.render.account import totals
    from seesay.response import panel_of
    from seesay.storage import files
    from seesay.vlm import PROMPT

    files.writable(out)
    vlm = load(None, None, None, None, False)
    with working("warming up"):  # the first call of anything is slow, and seconds are shown
        vlm.compare(f"toy:{SPLIT}/0", max_new_tokens=2)
    panels = []
    seeds = range(FIRST_SEED, FIRST_SEED + scenes)
    choice = CHOICE.format(first=seeds[0], last=seeds[-1], prompt=PROMPT)
    emit(_legend())
    for seed in seeds:
        with working(f"scene {seed - FIRST_SEED + 1} of {scenes}"):
            texts = vlm.compare(f"toy:{SPLIT}/{seed}")
        panels.append(replace(panel_of(texts), question=None))
        emit(terminal.panel(panels[-1], doubts=False), "")
    emit(
        terminal.total_table(totals(panels)),
        "",
        choice,
        NO_CLAIM,
        vlm.scale[0].upper() + vlm.scale[1:] + ".",
    )
    protocol = {**texts[0].protocol.record(), "method": "as each text says"}
    protocol.update(picture=f"toy:{SPLIT}/{seeds[0]} to {SPLIT}/{seeds[-1]}")
    del protocol["picture_sha256"]
    html = page.render(
        panels,
        title="seesay: the same pictures, with and without",
        lead=f"{choice} {NO_CLAIM}",
        protocol=protocol,
    )
    written(files.save(out, html))


def _legend() -> Any:
    from rich.text import Text

    return Text.assemble(
        ("[word?]", "yellow"), " doubtful   ", ("~~word~~", "red"), " not in the picture\n"
    )
