"""What leaving things out of real captions costs, and edited sentences to read.

    python bench/edits.py ../shared/data [--read edits.txt] [--captions 500]

DATA holds `captions/*/*.jsonl` and `pope/captions_llava.json` (captions of real models, JSON lines)
and `coco/truth.json` (image → the classes that are there). Failing are the mentions of classes that
are not there ("invented"), or a tenth of all mentions, drawn ("random"). Printed are, for each way
of editing and each model: the true mentions that are lost, the sentences that go whole among those
that lose something, the words that stay, the texts left empty though a sentence of theirs named
nothing that failed; the seconds it took; F1 of what is named against what is there under simulated
detectors; and the time of texts of 1,000 to 100,000 characters without a full stop.

The judge is a small language model (`caption_model.py`), trained on the captions of every second
image and judging those of the others, which stands in for the model that wrote. Whether the edited
sentences are English only a reader can say: --read
writes 500 of them, before and after.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import NamedTuple

from caption_model import CaptionModel
from seesay.evaluate.benchmarks.chair_read import READERS
from seesay.grounding.negation import asserted
from seesay.grounding.sentences import sentences
from seesay.grounding.vocabulary import Vocabulary, Word
from seesay.verification.edits import EditedText, remove_mentions

DETECTORS = ((0.7, 0.01), (0.5, 0.02), (0.9, 0.10))
Editor = Callable[[str, Sequence[tuple[int, int]], Sequence[tuple[int, int]]], EditedText]


class Caption(NamedTuple):
    model: str
    image: str
    text: str


@dataclass
class Tally:
    """Sums over captions."""

    innocent: int = 0
    lost: int = 0
    touched: int = 0
    whole: int = 0
    words: int = 0
    kept: int = 0
    emptied: int = 0
    read: list[tuple[str, str]] = field(default_factory=list)

    def add(self, text: str, failing: Sequence[Word], others: Sequence[Word], edit: Editor) -> None:
        edited = edit(text, _spans(failing), _spans(others))
        self.innocent += len(others)
        self.lost += len(edited.lost)
        self.words += len(text.split())
        self.kept += len(edited.text.split())
        spared = False
        for start, end in sentences(text):
            gone = [r for r in edited.removed if start <= r.start < end]
            kept = [p for p in edited.pieces if start <= p[0] < end]
            spared = spared or not any(start <= w.start < end for w in failing)
            self.touched += bool(gone)
            self.whole += bool(gone) and not kept
            if gone and kept:
                last = kept[-1]
                after = edited.text[kept[0][2] : last[2] + last[1] - last[0]]
                self.read.append((text[start:end], after))
        self.emptied += bool(spared and not edited.text.strip())

    def __str__(self) -> str:
        return (
            f"{self.innocent:7d} {_share(self.lost, self.innocent)} "
            f"{self.touched:7d} {_share(self.whole, self.touched)} "
            f"{_share(self.kept, self.words)} {self.emptied:6d}"
        )


def _spans(words: Sequence[Word]) -> list[tuple[int, int]]:
    return [(word.start, word.end) for word in words]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:7.1%}" if whole else "      -"


def captions(data: Path) -> Iterator[Caption]:
    for path in sorted(data.glob("captions/*/*.jsonl")):
        model = f"{path.parent.name}/{path.stem}" if path.parent.name != "opera" else path.stem
        for line in path.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            yield Caption(model, str(row["image_id"]), row["caption"])
    for line in (data / "pope/captions_llava.json").read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        yield Caption("pope/llava-13b", str(row["image_id"]), row["text"])


def invented(caption: Caption, truth: Mapping[str, list[str]], words: Sequence[Word]) -> set[Word]:
    there = set(truth[caption.image])
    return {word for word in words if word.name not in there}


def table(
    captions: Sequence[Caption],
    truth: Mapping[str, list[str]],
    editors: Mapping[str, Editor],
    drawn: bool,
    only: str = "",
) -> dict[str, Tally]:
    """Prints a line a way of editing and model; returns the sums over all models."""
    words, sums = Vocabulary.coco(), {}
    print(f"\nfailing: {'a tenth of the mentions, drawn' if drawn else 'what is not there'}")
    print(f"{'':34s} mentions  lost  touched  whole   words  empty")
    for name, edit in editors.items():
        by_model: dict[str, Tally] = defaultdict(Tally)
        rng, begun = Random(1), time.perf_counter()
        for caption in captions:
            found = [w for w in words.find(caption.text) if asserted(caption.text, w)]
            failing = (
                {w for w in found if rng.random() < 0.1}
                if drawn
                else invented(caption, truth, found)
            )
            others = [w for w in found if w not in failing]
            its = [w for w in found if w in failing]
            by_model[caption.model].add(caption.text, its, others, edit)
        seconds = time.perf_counter() - begun
        total = sums[name] = Tally()
        for model, its in sorted(by_model.items()):
            for figure in ("innocent", "lost", "touched", "whole", "words", "kept", "emptied"):
                setattr(total, figure, getattr(total, figure) + getattr(its, figure))
            total.read += its.read
            if not drawn or only == "all":
                print(f"  {name:10s} {model:21s} {its}")
        print(f"  {name:10s} {'all':21s} {total}   {seconds:.1f} s")
    return sums


def detectors(
    captions: Sequence[Caption], truth: Mapping[str, list[str]], editors: Mapping[str, Editor]
) -> None:
    """F1 and CHAIR of LLaVA-1.5's captions under detectors of known quality."""
    words, read = Vocabulary.coco(), READERS["pattern"]
    mine = [c for c in captions if c.model.startswith(("llava-1.5-greedy", "llava-1.5-beam5"))]
    print(f"\nsimulated detectors on {len(mine)} captions of LLaVA-1.5")
    print(f"{'caught / false alarms':22s} {'':10s}    F1  CHAIR_S  CHAIR_I  recall  precision")
    for catch, alarm in ((0.0, 0.0), *DETECTORS):
        for name, edit in editors.items():
            rng, counts = Random(2), [0] * 6
            for caption in mine:
                there = set(truth[caption.image])
                found = [w for w in words.find(caption.text) if asserted(caption.text, w)]
                failed = {
                    n for n in sorted({w.name for w in found})
                    if rng.random() < (alarm if n in there else catch)
                }  # fmt: skip
                failing = [w for w in found if w.name in failed]
                others = [w for w in found if w.name not in failed]
                text = edit(caption.text, _spans(failing), _spans(others)).text
                named = [m.object for m in read(text)]
                wrong = [n for n in named if n not in there]
                once = set(named)
                for k, value in enumerate((bool(wrong), len(wrong), len(named), len(once & there),
                                           len(once), len(there))):  # fmt: skip
                    counts[k] += value
            wrong_texts, wrong_words, all_words, right, said, present = counts
            precision, recall = right / max(said, 1), right / max(present, 1)
            f1 = 2 * precision * recall / max(precision + recall, 1e-9)
            print(
                f"{catch:.2f} / {alarm:.2f}            {name:10s} {100 * f1:5.1f} "
                f"{wrong_texts / len(mine):8.1%} {wrong_words / max(all_words, 1):8.1%} "
                f"{recall:7.1%} {precision:9.1%}"
            )


def speed() -> None:
    """Texts that loop and never end a sentence."""
    print("\nseconds for a looping text of so many characters")
    for loop in ("a dog and ", "a cat on a mat, ", "there is a dog. ", "- a dog\n"):
        row = []
        for size in (1_000, 10_000, 100_000):
            text = (loop * (size // len(loop) + 1))[:size]
            found = _spans(Vocabulary.coco().find(text))
            begun = time.perf_counter()
            remove_mentions(text, found[::3], [s for k, s in enumerate(found) if k % 3])
            row.append(f"{size:,}: {time.perf_counter() - begun:.3f}")
        print(f"  {loop!r:22} " + "   ".join(row))


def _odd(caption: Caption) -> bool:
    return int(caption.image) % 2 == 1


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("data", type=Path)
    arguments.add_argument("--read", type=Path, help="where edited sentences are written")
    arguments.add_argument("--captions", type=int, help="take so many, drawn, not all")
    given = arguments.parse_args()
    truth = json.loads((given.data / "coco/truth.json").read_text())
    every = [caption for caption in captions(given.data) if caption.image in truth]
    if given.captions:
        every = Random(0).sample(every, given.captions)
    editors: dict[str, Editor] = {
        "sentence": lambda text, failing, others: remove_mentions(
            text, failing, others, judge=lambda *_: [float("nan")] * len(_[2])
        ),
        "no judge": remove_mentions,
    }
    sums = table(every, truth, editors, drawn=False)
    table(every, truth, editors, drawn=True)
    learnt = [c for c in captions(given.data) if _odd(c)]
    model = CaptionModel(c.text[a:b] for c in learnt for a, b in sentences(c.text))
    held_out = [caption for caption in every if not _odd(caption)]
    editors["judge"] = lambda text, failing, others: remove_mentions(
        text, failing, others, model.judge
    )
    print(f"\nwith a judge that learnt {len(learnt)} captions, on {len(held_out)} of other images")
    sums["judge"] = table(held_out, truth, editors, drawn=False)["judge"]
    table(held_out, truth, editors, drawn=True)
    detectors(held_out, truth, editors)
    speed()
    if given.read:
        with given.read.open("w", encoding="utf-8") as out:
            for name, tally in sums.items():
                chosen = Random(3).sample(tally.read, min(500, len(tally.read)))
                out.writelines(f"[{name}]\n- {a}\n+ {b}\n\n" for a, b in chosen)


if __name__ == "__main__":
    main()
