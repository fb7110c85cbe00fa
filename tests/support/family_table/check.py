"""What is asked of one family, cell by cell."""

from __future__ import annotations

import shutil
import tempfile
import traceback
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from transformers.utils import logging as hf_logging

import seesay
from family_table.builders import METHODS, Family, pictures, processed, randomise
from family_table.oracles import (
    Forced,
    attending,
    blind_oracle,
    eager,
    eager_of,
    eah_oracle,
    lens_oracle,
    sink_oracle,
    wide,
)
from seesay.engine import Stack, parse
from seesay.engine.state import Prompt
from seesay.errors import SeesayError
from seesay.grounding.qualification import can_answer
from seesay.models.image_geometry import patch_grids as sights
from seesay.models.processors import inputs_for
from seesay.models.view import ModelView

hf_logging.set_verbosity_error()
hf_logging.disable_progress_bar()
torch.set_num_threads(1)


# ---- what is asked of each family ----------------------------------------------------------------

TOKENS = 6
GREEDY = {
    "max_new_tokens": TOKENS,
    "do_sample": False,
    "output_logits": True,
    "return_dict_in_generate": True,
}


@dataclass
class Row:
    name: str
    cells: dict[str, str] = field(default_factory=dict)
    errors: list[str] = field(default_factory=list)

    def bad(self) -> bool:
        return any(
            c[0] in "XW0" for c in self.cells.values() if c
        )  # a method without effect is wrong too


def attempt(row: Row, name: str, do: Callable[[], str | None]) -> Any:
    """Run one check: its cell is what it returns ('ok' for None), R… refused, X… crashed."""
    try:
        with torch.no_grad():
            said = do()
        row.cells[name] = "ok" if said is None else str(said)
    except SeesayError as error:
        row.cells[name] = "R"
        row.errors.append(f"{name}: R {type(error).__name__}: {error}")
    except Exception as error:
        row.cells[name] = "X"
        last = list(traceback.extract_tb(error.__traceback__))[-4:]
        where = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in reversed(last))
        row.errors.append(
            f"{name}: X {type(error).__name__}: {' '.join(str(error).split())[:300]} @ {where}"
        )
    return row.cells[name]


# ---- one family ---------------------------------------------------------------------------------


def said(out) -> torch.Tensor:
    logits = torch.stack(out.logits, 1).float()  # (rows, tokens, vocabulary)
    return logits.masked_fill(logits < -1e30, -torch.inf)  # Chameleon forbids image tokens this way


def new_tokens(out, count) -> torch.Tensor:
    return out.sequences[:, -count:]


def off(a, b) -> float:
    """Largest difference over the deviation of the reference."""
    finite = b.isfinite() & a.isfinite()
    same = torch.equal(b.isfinite(), a.isfinite())
    if not same:
        return float("inf")
    scale = b[finite].std() + 1e-6
    return float((a[finite] - b[finite]).abs().max() / scale)


class Check:
    def __init__(self, name: str, family: Family, seed: int, keep: Path | None = None) -> None:
        self.name, self.family, self.row = name, family, Row(name)
        self.folder = Path(tempfile.mkdtemp(prefix="fam-")) if keep is None else keep
        self.vlm = None
        randomise(family, seed)

    # -- loading -----------------------------------------------------------------------------
    def load(self) -> str | None:
        family = self.family
        family.model.save_pretrained(self.folder)
        if family.processor is not None:
            family.processor.save_pretrained(self.folder)
        else:
            self.model = family.model
            self.view = ModelView.of(self.model)
            return "hand"
        try:
            self.vlm = seesay.load(self.folder, device="cpu")
        except Exception:
            if family.make is not None or not hasattr(family.processor, "parts"):
                self.model = family.model  # go on by hand, or with the processor at hand
                self.view = ModelView.of(self.model, family.processor)
            raise
        self.model, self.view = self.vlm.model, self.vlm.view
        if getattr(self.vlm.processor, "chat_template", None) is None and getattr(
            family.processor, "chat_template", None
        ):
            self.vlm.processor.chat_template = family.processor.chat_template
            self.row.errors.append(
                "load: ? the processor's class drops its chat template; set by hand"
            )
        for parameter, other in zip(
            self.model.parameters(), family.model.parameters(), strict=True
        ):
            if not torch.equal(parameter, other):
                return "W weights differ after loading"
        return None

    @property
    def processor(self):
        return self.vlm.processor if self.vlm is not None else self.family.processor

    def inputs(self, texts, pictures) -> dict[str, Any]:
        if self.family.make is not None and self.vlm is None:
            return self.family.make(texts, pictures)

        return processed(self.model, self.processor, texts, pictures)

    def batch(self):
        texts, pictures = self.three()
        return self.inputs(texts, pictures)

    def singles(self):
        texts, pictures = self.three()
        return [self.inputs([t], [p]) for t, p in zip(texts, pictures, strict=True)]

    def three(self):

        texts = [
            "what is in the picture ?",
            "how many people are in this and that image ?",
            "a dog",
        ]
        return texts, [pictures(1), pictures(self.family.several, seed=1), pictures(1, seed=3)]

    # -- checks ------------------------------------------------------------------------------
    def generate(self, batch, **more):
        return self.model.generate(**batch, **{**GREEDY, **more})

    def columns(self) -> str | None:
        """Image columns are those whose embeddings are not the tokens' own."""
        batch = self.batch()
        found = self.view.image_columns(**batch)
        if not found.any(1).all():
            return "W no image columns"
        caught = []

        def hook(_m, args, kwargs):
            given = kwargs.get("inputs_embeds")
            if given is None and args and args[0] is not None and args[0].is_floating_point():
                given = args[0]
            if given is not None:
                caught.append(given)

        handle = self.view.decoder.register_forward_pre_hook(hook, with_kwargs=True)
        try:
            self.generate(batch, max_new_tokens=1)
        finally:
            handle.remove()
        if not caught:
            return "?no embeds"
        own = self.model.get_input_embeddings()(batch["input_ids"])
        real = batch.get("attention_mask", torch.ones_like(batch["input_ids"])).bool()
        moved = (caught[0] - own).abs().amax(-1) > 1e-5
        for token in self.family.extra_tokens:
            moved &= batch["input_ids"] != token
        if torch.equal(moved & real, found & real):
            return f"ok {int(found.sum())}"
        more, less = int((moved & ~found & real).sum()), int((found & ~moved & real).sum())
        return f"W {more} columns more, {less} fewer of {int(found.sum())}"

    def plain(self) -> str | None:
        batch = self.batch()
        self.out = self.generate(batch)
        if getattr(self.out, "logits", None) is None:
            with parse("attention-lens")(self.model):  # not a model that predicts the next token
                self.generate(batch)
            return "?no logits"
        self.logits = said(self.out)
        if self.logits.isnan().any():
            return "?plain logits not finite"
        alone = [said(self.generate(one)) for one in self.singles()]
        self.plain_off = off(torch.cat(alone), self.logits)
        return None if self.plain_off < 1e-3 else f"?own batch off {self.plain_off:.1e}"

    def identity(self) -> str | None:
        batch = self.batch()
        plain = self.model(**self.forward_inputs(batch)).logits
        for stack in (Stack(), *(parse(text).at_zero() for text in METHODS.values())):
            with stack(self.model, processor=self.processor):
                out = self.generate(batch)
                if not torch.equal(self.model(**self.forward_inputs(batch)).logits, plain):
                    return f"W forward moved by {stack}"
            if not torch.equal(out.sequences, self.out.sequences) or not torch.equal(
                said(out), self.logits
            ):
                return f"W generate moved by {stack}"
        with Stack()(self.model, processor=self.processor, readout=True):
            out = self.generate(batch)
        d = off(said(out), self.logits)
        if not d < 1e-3:
            return f"W readout moves logits {d:.1e}"
        if not torch.equal(said(self.generate(batch)), self.logits):
            return "W not restored"
        return None

    def forward_inputs(self, batch):
        return dict(batch)

    def method(self, label: str) -> str | None:
        text = METHODS[label]
        batch = self.batch()
        shown = self.three()[1]
        flat = (
            [p for its in shown for p in its]
            if self.processor is not None and self.vlm is not None
            else None
        )
        with parse(text)(self.model, processor=self.processor, images=flat):
            out = self.generate(batch)
        logits = said(out)
        if logits.isnan().any():
            return "W NaN"
        moved = (
            off(logits[:, :1], self.logits[:, :1])
            if label != "vasparse"
            else off(logits, self.logits)
        )
        if not moved > 1e-4:
            # the first token of a method that acts on decoded rows alone
            moved = off(logits, self.logits)
            if not moved > 1e-4:
                return "0"
        tokens = torch.cat([out.sequences[:, -TOKENS:]])
        truth = self.oracle(label, batch, tokens)
        if truth is not None:
            d = off(logits, truth)
            if not d < 5e-3:
                return f"W oracle off {d:.1e}"
        alone = []
        for one, its in zip(self.singles(), shown, strict=True):
            with parse(text)(self.model, processor=self.processor, images=its if flat else None):
                alone.append(said(self.generate(one)))
        d = off(torch.cat(alone), logits)
        if not d < max(5e-3, 3 * getattr(self, "plain_off", 0), self.family.loose):
            return f"W batch off {d:.1e}"
        return "ok" if truth is not None else "ok~"

    def oracle(self, label, batch, tokens):
        columns = self.view.image_columns(**batch)
        padding = batch.get("attention_mask", torch.ones_like(batch["input_ids"]))
        n = self.view.n_layers
        settled = parse(METHODS[label]).resolved_for(self.view)

        def forced(fn, given=batch):
            with attending(self.view, fn):
                return said(self.generate(given, prefix_allowed_tokens_fn=Forced(tokens)))

        def plainly(m, q, k, v, mask, scaling=None, **kw):
            return eager_of(m)(m, q, k, v, mask, scaling=scaling, **kw)

        if label == "lens":
            return forced(lens_oracle(columns, set(settled.acts_in(self.view)), settled.alpha))
        if label == "farsight":
            return forced(sink_oracle(settled.sigma))
        if label == "eah":
            return forced(
                eah_oracle(
                    columns, padding, settled.threshold, next(iter(settled.acts_in(self.view)))
                )
            )
        if label == "pai":
            first = forced(lens_oracle(columns, set(range(n)), settled.alpha, per_head=True))
            if len(self.attention_layers()) < n:  # recurrent layers too must not see the picture
                return None
            blind = forced(blind_oracle(columns))
            return first + (settled.gamma - 1) * (first - blind)
        if label in ("vcd", "agla"):
            flat = [p for its in self.three()[1] for p in its] if self.vlm is not None else None
            prompt = Prompt(self.view, batch, columns, flat)
            second = forced(plainly, {**batch, **settled.second_input(prompt)})
            first = forced(plainly)
            return first + (
                settled.alpha * second if label == "agla" else settled.alpha * (first - second)
            )
        return None

    def var(self) -> str | None:
        if not self.family.eager_maps:
            return "?no eager maps"
        batch = self.batch()
        columns = self.view.image_columns(**batch)
        with Stack()(self.model, processor=self.processor, readout=True) as session:
            out = self.generate(batch)
            record = session.record
        with eager(self.view):
            told = self.generate(
                batch,
                output_attentions=True,
                prefix_allowed_tokens_fn=Forced(out.sequences[:, -TOKENS:]),
            )
        worst, seen = 0.0, 0
        attentions = told.get("attentions")
        if not attentions or attentions[0] is None or not len(attentions[0]):
            return "?no eager attentions"
        for t, layers in enumerate(attentions):
            layers = [w for w in layers if w is not None and w.dim() == 4]
            ids = self.attention_layers()
            if len(ids) != len(layers):
                return f"?{len(layers)} eager maps of {len(ids)} attention layers"
            for layer, w in zip(ids, layers, strict=True):
                image = wide(
                    columns, w.transpose(2, 3), columns.shape[1] + t
                )  # keys are the last dimension
                var = (w[:, :, -1] * image[:, None]).sum(-1)
                mine = record.var[:, t, layer]
                if not mine[:, var.shape[1] :].isnan().all():  # heads that this layer has not
                    return f"W heads {tuple(record.var.shape)} vs {var.shape[1]}"
                worst = max(worst, float((mine[:, : var.shape[1]] - var).abs().max()))
                seen += 1
        others = sorted(set(range(self.view.n_layers)) - set(ids))
        note = (
            f" (layers {others} have no attention: var {float(record.var[:, :, others].abs().max()):.1g})"
            if others
            else ""
        )
        return f"ok{note}" if worst < 1e-4 else f"W off {worst:.1e}"

    def attention_layers(self) -> list[int]:
        """Layers that call the attention function."""
        if not hasattr(self, "_attention_layers"):
            ids: list[int] = []

            def fn(module, *args, **kw):
                if getattr(module, "layer_idx", None) is not None:
                    ids.append(module.layer_idx)
                return eager_of(module)(module, *args, **kw)

            with attending(self.view, fn):
                self.generate(self.batch(), max_new_tokens=1)
            self._attention_layers = ids
        return self._attention_layers

    def beams(self) -> str | None:
        text = "attention-lens(alpha=1.0) + pai(alpha=0.3, gamma=1.5)"
        try:
            self.generate(self.batch(), num_beams=3)
        except Exception:
            return "?plain beams fail"
        options = {"num_beams": 3}
        with parse(text)(self.model, processor=self.processor):
            batch = self.generate(self.batch(), **options).sequences[:, -TOKENS:]
            alone = torch.cat(
                [self.generate(one, **options).sequences[:, -TOKENS:] for one in self.singles()]
            )
        if torch.equal(batch, alone):
            return None
        plain = self.generate(self.batch(), **options).sequences[:, -TOKENS:]
        mine = torch.cat(
            [self.generate(one, **options).sequences[:, -TOKENS:] for one in self.singles()]
        )
        return "W beams batch != alone" if torch.equal(plain, mine) else "?own beams differ"

    def read(self) -> str | None:
        """A given text's record is that of its generation (VLM.audit rests on it)."""
        from seesay.engine import Session

        one = self.singles()[1]
        with Session(self.model, Stack(), processor=self.processor, readout=True) as session:
            out = session.generate(
                **one, max_new_tokens=TOKENS, do_sample=False, return_dict_in_generate=True
            )
            first = session.record
        with Session(self.model, Stack(), processor=self.processor, readout=True) as session:
            second = session.read(out.sequences[0, -TOKENS:], **one)
        d = float((first.plain_logprob - second.plain_logprob).abs().max())
        v = float((first.var - second.var).nan_to_num().abs().max())
        if d < 1e-2 and v < 1e-3:
            return None
        with torch.no_grad():
            own = self.generate(one, max_new_tokens=TOKENS)
            more = {"input_ids": own.sequences} | {
                k: v for k, v in one.items() if k not in ("input_ids", "attention_mask")
            }
            for name in ("mm_token_type_ids", "token_type_ids", "image_embeds_position_mask"):
                if name in more:
                    more[name] = torch.nn.functional.pad(more[name], (0, TOKENS))
            whole = self.model(**more).logits[:, -TOKENS - 1 : -1].float()
        mine = off(whole, said(own))
        kind = "?own forward differs" if mine > 1e-2 else "W"
        return f"{kind} logprob {d:.1e}, var {v:.1e}"

    def static(self) -> str | None:
        for batch, name in ((self.batch(), "batch"), (self.singles()[1], "alone")):
            found = self._static(batch)
            if found is not None:
                return f"{found} ({name})"
        return None

    def _static(self, batch: Any) -> str | None:
        dynamic = said(self.generate(batch))
        try:
            own = said(self.generate(batch, cache_implementation="static"))
        except Exception as error:
            return f"-own: {type(error).__name__}"
        if off(own, dynamic) > 1e-3:
            return "-own differs"
        for text in (
            "attention-lens(alpha=1.0) + farsight(sigma=0.3)",
            "attention-lens(alpha=1.0) + eah(threshold=0.001)",
        ):
            with parse(text)(self.model, processor=self.processor):
                one = said(self.generate(batch))
                two = said(self.generate(batch, cache_implementation="static"))
            d = off(two, one)
            if not d < 5e-4:
                return f"W off {d:.1e}"
        return None

    def fork(self) -> str | None:
        if self.vlm is None:
            return "-"
        exam = can_answer(
            self.view, self.vlm.encode, __import__("seesay.bundled").bundled.presence_exam()
        )
        return "barred" if exam.barred else None

    def describe(self) -> str | None:

        picture = pictures(1)[0]
        vlm = self.vlm
        if vlm is None:
            return "-"
        options = {"prompt": "a dog ?", "max_new_tokens": 5}
        seen = vlm.describe(picture, **options)
        inputs = inputs_for(vlm.model, vlm.processor, [picture], "a dog ?")
        ids = vlm.model.generate(**inputs, max_new_tokens=5, do_sample=False)[
            0, -len(seen.tokens) :
        ]
        if [t.id for t in seen.tokens] != ids.tolist():
            return f"W describe {[t.id for t in seen.tokens]} generate {ids.tolist()}"
        vlm.ask(picture, "is there a dog ?", max_new_tokens=3)
        both = vlm.describe(pictures(2), **options)
        one = [vlm.describe(p, **options) for p in pictures(2)]
        if [s.text for s in both] != [s.text for s in one] and self.plain_off < 1e-3:
            return "W describe batch != single"
        return None

    def deep(self) -> str | None:
        """Hidden states read out: the deep readout."""
        with Stack()(self.model, processor=self.processor, readout="deep") as session:
            self.generate(self.batch())
        bad = session.record.confidence
        return None if bad is not None and not bad.isnan().all() else "?no confidence"

    def head(self) -> str | None:
        """The logit lens on the last layer's output gives the model's own logits."""
        caught = []
        hook = self.view.layers[-1].register_forward_hook(
            lambda m, a, o: caught.append(o[0] if isinstance(o, tuple) else o)
        )
        one = self.singles()[0]
        try:
            out = self.generate(one, max_new_tokens=1)
        finally:
            hook.remove()
        hidden = caught[0]
        if hidden.dim() != 3:
            return f"?layers give {tuple(hidden.shape)}"
        mine = self.view.read_hidden(hidden[:, -1:]).float()[:, 0]
        want = said(out)[:, 0]
        finite = want.isfinite()
        d = off(mine.where(finite, torch.zeros(())), want.where(finite, torch.zeros(())))
        if d < 1e-3:
            return None
        ratio = float((mine[finite] * want[finite]).sum() / (want[finite] ** 2).sum())
        return f"W off {d:.1e} (scale {ratio:.2g})"

    def audit(self) -> str | None:

        if self.vlm is None:
            return "-"
        picture = pictures(1)[0]
        heard = self.vlm.audit(
            picture, "a dog sits on the table and a cat .", prompt="what is in the picture ?"
        )
        # the record of a given text is what its own generation would give
        from seesay.engine import Session

        inputs = inputs_for(self.model, self.processor, [picture], "what is in the picture ?")
        with Session(self.view.model, Stack(), processor=self.processor, readout=True) as session:
            out = session.generate(
                **inputs, max_new_tokens=5, do_sample=False, return_dict_in_generate=True
            )
            first = session.record
        with Session(self.view.model, Stack(), processor=self.processor, readout=True) as session:
            second = session.read(out.sequences[0, -5:], **inputs)
        d = float((first.plain_logprob - second.plain_logprob).abs().max())
        v = float((first.var - second.var).nan_to_num().abs().max())
        if not d < 1e-2 or not v < 1e-3:
            return f"W read != generated (logprob {d:.1e}, var {v:.1e})"
        return None if heard.mentions or heard.text else "?no mentions"

    def compare(self) -> str | None:

        if self.vlm is None:
            return "-"
        misfits = self.vlm.misfits()
        for name, reason in misfits.items():
            self.row.errors.append(f"compare misfit {name}: {reason}")
        seen = self.vlm.compare(pictures(1)[0], "all", prompt="a dog ?", max_new_tokens=4)
        return f"ok {len(seen)} (not {','.join(misfits)})" if misfits else f"ok {len(seen)}"

    def look_again(self) -> str | None:
        """As if the model had passed its exam, which a random one does not."""
        from seesay.grounding.qualification import Qualification as Exam

        if self.vlm is None:
            return "-"
        exam = self.vlm.exam  # may refuse the family
        if exam.barred:
            raise SeesayError(f"barred: {exam.barred}")
        vars(self.vlm)["exam"] = Exam(16, 1.0, 1.0, 1.0, (0.0,))
        reason = self.vlm.fits("look-again")
        if reason:
            raise SeesayError(reason)
        seen = self.vlm.describe(
            pictures(1)[0],
            prompt="a dog ?",
            method="look-again(evidence=self-check, threshold=0.0001)",
            max_new_tokens=24,
        )
        checked = self.vlm.describe(
            pictures(2), prompt="a dog ?", self_check=True, max_new_tokens=24
        )
        asked = sum("self_check" in m.scores for s in checked for m in s.mentions)
        vars(self.vlm).pop("exam")
        return f"ok {len(seen.withheld)}/{asked}"

    def grid(self) -> str | None:

        if self.vlm is None:
            return "-"
        picture = pictures(1)[0]
        inputs = inputs_for(self.model, self.processor, [picture], "a dog ?")
        (sight,) = sights(self.view, inputs, [picture])
        if sight is None:
            return "none"
        count = int(self.view.image_columns(**inputs).sum())
        if int(sight.cells.max()) >= count:
            return f"W cell {int(sight.cells.max())} of {count} tokens"
        return f"{sight.cells.shape[0]}x{sight.cells.shape[1]}/{count}"

    def run(self, only: Collection[str] | None = None) -> Row:
        """All cells, or some."""
        row = self.row
        try:
            attempt(row, "load", self.load)
            if self.family.refused and row.cells["load"][0] != "R":
                row.cells["load"] = "W not refused"
            if self.family.refused or not hasattr(self, "view"):
                return row
            for name, do in self._cells():
                if only is None or name in only:
                    attempt(row, name, do)
                if name == "plain" and not hasattr(self, "logits"):
                    return row
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)
        return row

    def _cells(self) -> list[tuple[str, Callable[[], str | None]]]:
        before = {name: getattr(self, name) for name in ("columns", "plain", "identity")}
        before |= {name: getattr(self, name) for name in ("describe", "audit", "read")}
        methods = {label: partial(self.method, label) for label in self.family.methods}
        after = {"look-again": self.look_again}
        after |= {name: getattr(self, name) for name in ("compare", "var", "beams", "static")}
        after |= {name: getattr(self, name) for name in ("fork", "grid", "deep", "head")}
        return list({**before, **methods, **after}.items())
