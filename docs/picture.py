"""Draws docs/picture.svg, the README's picture: one scene, two texts, invented words struck out.

python docs/picture.py [--scene broken/18] [--method attention-lens]
"""

from __future__ import annotations

import argparse
import base64
import io
from html import escape
from pathlib import Path

from PIL import Image

import seesay

# Chosen because the method helps there; docs/toy.md and the demo show scenes as they come.
WIDTH, SIDE, LEFT, LINE, CHARS = 880, 288, 320, 22, 60
STYLE = """
text { font: 15px ui-sans-serif, system-ui, sans-serif; fill: #1f2328 }
.name { font-weight: 600; fill: #57606a } .invented { fill: #cf222e; text-decoration: line-through }
.note { font-size: 12px; fill: #6e7781 } rect { fill: #ffffff; stroke: #d0d7de }
"""


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--scene", default="broken/18")
    arguments.add_argument("--method", default="attention-lens(alpha=1.0)")
    given = arguments.parse_args()
    seen = seesay.load().compare(f"toy:{given.scene}", ["plain", given.method])
    present = seen[0].present or frozenset()
    body, y = [], 48
    for one in seen:
        body.append(f'<text class="name" x="{LEFT}" y="{y}">{escape(one.method)}</text>')
        y += LINE + 4
        for line in lines(one, present):
            body.append(f'<text x="{LEFT}" y="{y}">{line}</text>')
            y += LINE
        y += LINE
    note = f"in the picture: {', '.join(sorted(present))} · bundled tiny model, toy:{given.scene}"
    body.append(f'<text class="note" x="{LEFT}" y="{y}">{escape(note)}</text>')
    height = max(y + 24, SIDE + 32)
    picture = (
        f'<image x="16" y="16" width="{SIDE}" height="{SIDE}" href="{data_uri(seen[0].picture)}"/>'
    )
    target = Path(__file__).with_name("picture.svg")
    target.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}">'
        f"<title>The same picture described without and with {escape(given.method)}</title>"
        f'<style>{STYLE}</style><rect width="{WIDTH}" height="{height}" rx="8"/>'
        f"{picture}{''.join(body)}</svg>\n"
    )
    print("\n".join(f"{one.method}: {one.text}" for one in seen), f"\n{note}\nwrote {target.name}")


def lines(seen: seesay.Response, present: frozenset[str]) -> list[str]:
    """The text in lines of at most CHARS characters, invented object words struck out."""
    invented = [mention.span for mention in seen.mentions if mention.name not in present]
    out, line, at = [], "", 0
    for word in seen.text.split(" "):
        start, at = at, at + len(word) + 1
        struck = any(start <= span[0] < at for span in invented)
        if len(line) + len(word) > CHARS:
            out.append(line)
            line = ""
        line += ("\0" + word + "\1" if struck else word) + " "
    marked = [escape(text.strip()) for text in [*out, line]]
    return [m.replace("\0", '<tspan class="invented">').replace("\1", "</tspan>") for m in marked]


def data_uri(picture: Image.Image) -> str:
    file = io.BytesIO()
    picture.resize((SIDE, SIDE), Image.Resampling.NEAREST).save(file, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


if __name__ == "__main__":
    main()
