"""demo: bundled scenes, what is in them, and what each method says."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from seesay.cli import options
from seesay.cli.look import load, written
from seesay.cli.output import emit, working

if TYPE_CHECKING:
    from seesay.seen import Seen

SPLIT, FIRST_SEED = "broken", 1

CHOICE = (
    "Scenes {first} to {last} of the split that breaks the model's habits, taken in order and "
    "fixed before anybody looked: none is left out, also where a method invents more."
)
NO_CLAIM = (
    "Nothing measured on this tiny bundled model is a claim about large models, and a few scenes "
    "cannot rank methods."
)


def demo(
    scenes: Annotated[int, typer.Option(min=1, max=100, help="How many scenes.")] = 4,
    out: Annotated[Path, typer.Option(help="The page to write.")] = Path("demo.html"),
    debug: options.Debug = False,
) -> None:
    """Describe bundled pictures with and without each method, offline, and write demo.html."""
    from seesay.seen import panel_of
    from seesay.show import page, terminal

    page.writable(out)
    vlm = load(None, None, None, None, False)
    with working("warming up"):  # the first call of anything is slow, and seconds are shown
        vlm.compare(f"toy:{SPLIT}/0", max_new_tokens=2)
    panels, every = [], []
    seeds = range(FIRST_SEED, FIRST_SEED + scenes)
    choice = CHOICE.format(first=seeds[0], last=seeds[-1])
    emit(_legend())
    for seed in seeds:
        with working(f"scene {seed - FIRST_SEED + 1} of {scenes}"):
            texts = vlm.compare(f"toy:{SPLIT}/{seed}")
        every.append(texts)
        panels.append(panel_of(texts))
        emit(terminal.panel(panels[-1], doubts=False), "")
    emit(_totals(every), "", choice, NO_CLAIM, vlm.scale[0].upper() + vlm.scale[1:] + ".")
    protocol = {**every[0][0].protocol.record(), "method": "as each text says"}
    protocol.update(picture=f"toy:{SPLIT}/{seeds[0]} to {SPLIT}/{seeds[-1]}")
    del protocol["picture_sha256"]
    html = page.render(
        panels,
        title="seesay: the same pictures, with and without",
        lead=f"{choice} {NO_CLAIM}",
        protocol=protocol,
        totals=_total_rows(every),
    )
    written(page.save(out, html))


def _legend() -> Any:
    from rich.text import Text

    return Text.assemble(
        ("[word?]", "yellow"), " doubtful   ", ("~~word~~", "red"), " not in the picture\n"
    )


def _total_rows(every: list[list[Seen]]) -> list[tuple[str, int, int, int, float]]:
    """A method's label, invented mentions, marked ones of these, all mentions, mean seconds."""
    rows = []
    for texts in zip(*every, strict=True):
        present = [(seen, seen.present or frozenset()) for seen in texts]
        invented = [m for seen, there in present for m in seen.mentions if m.name not in there]
        marked = sum(mention.doubtful for mention in invented)
        mentions = sum(len(seen.mentions) for seen in texts)
        seconds = sum(seen.seconds for seen in texts) / len(texts)
        rows.append((texts[0].method, len(invented), marked, mentions, seconds))
    return rows


def _totals(every: list[list[Seen]]) -> Any:
    from rich.table import Table

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim", pad_edge=False)
    table.add_column("method", style="cyan")
    for name in ("invented", "of these marked", "object words", "seconds a picture"):
        table.add_column(name, justify="right")
    for label, invented, marked, mentions, seconds in _total_rows(every):
        table.add_row(label, str(invented), str(marked), str(mentions), f"{seconds:.2f}")
    return table
