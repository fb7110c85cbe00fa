"""Questions on a picture that is encoded already: a filled cache, forked where the questions begin.

A prompt in a chat template is a head, the picture, the text. Another question about the same
picture differs in the text alone, so the cache of the first prompt, cut where both part, is the
beginning of the second. All questions of a batch run in one forward: a picture's questions lie end
to end in its row, and a mask shows each of them the picture and itself, nothing else. So no
key-value entry is copied once a question, and a question costs its few tokens.

    with method(model) as session:
        session.generate(**inputs)
        fork = CachedPrefix.after(session, inputs, prompt)
    replies = fork.replies([["Is there a fork in the image?"], ...])   # one list a prompt

Where questions leave the prompts whose pictures they are about.

How questions are laid out behind a cached prompt: tensors of one forward.

A prompt's questions stand end to end in its row, each in a slot of one width at whose right end it
stands, so all of them end at the same columns. A mask shows each question its part of the prompt
and itself; positions go on from where it leaves the prompt.
"""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from seesay.engine.attention import precise
from seesay.engine.kv_cache import CompactedLayer
from seesay.engine.method import AnyMethod
from seesay.engine.probes import Gaze, observed
from seesay.engine.readout import middle_layers
from seesay.engine.state import GenerationState, ImageColumns
from seesay.errors import EngineError, InputError, ModelError
from seesay.models.compat import (
    DynamicCache,
    DynamicLayer,
    DynamicSlidingWindowLayer,
    StaticLayer,
    implementation,
)
from seesay.models.processors import answer_lead, chat_prompt

if TYPE_CHECKING:
    from seesay.engine.session import Session
    from seesay.models.view import ModelView

# Verbs that change what a picture leaves in the cache; the others act on the row that predicts.
_PROMPT_VERBS = ("shared_head", "key_scale", "sink_logit")


@dataclass
class QuestionCost:
    """What questions have cost: tokens without padding, pictures encoded anew, wall time."""

    questions: int = 0
    forwards: int = 0
    tokens: int = 0
    image_passes: int = 0
    seconds: float = 0.0


class Reply(NamedTuple):
    """What the model says to a prompt's questions.

    Attributes:
        logits: (questions, vocabulary) float32 or better, of the answer's first token, read from
            the last row of each.
        gaze: (questions, image tokens) float32, the share of a row's attention on each of the
            prompt's image tokens, heads and middle layers averaged as in
            `Record.image_attention`; None unless it was asked for.
    """

    logits: Tensor
    gaze: Tensor | None = None


@dataclass(eq=False)
class CachedPrefix:
    """The cached prompts of a batch, ready for other questions about their pictures.

    The model answers as it is now: ask outside every session for the plain model.

    Attributes:
        view: the model, with its processor.
        inputs: the prompts as the model took them: input_ids (rows, columns), attention_mask, ...
        prompts: the text of each row.
        layers: what is cached of the prompts; None until `reason` is acted on.
        reason: why the pictures are to be encoded once more, "" if the cache serves.
        cost: what the questions have cost so far.
    """

    view: ModelView
    inputs: Mapping[str, Any]
    prompts: tuple[str, ...]
    layers: list[CachedLayer] | None = None
    reason: str = ""
    cost: QuestionCost = field(default_factory=QuestionCost)

    @classmethod
    def of(
        cls,
        view: ModelView,
        inputs: Mapping[str, Any],
        cache: Any,
        prompt: str | Sequence[str],
        *,
        rows: int | None = None,
        method: AnyMethod | None = None,
    ) -> CachedPrefix:
        """Keep a cache that holds these prompts, and perhaps text behind them; it is left as it is.

        Args:
            inputs: what was given to generate: a batch padded on the left, made by the processor's
                chat template with the pictures before the text.
            cache: filled by generate, or by a forward with generate's positions.
            prompt: the text of the prompts, one for all or one a row.
            rows: the cache's rows that are the plain stream's: all but a second stream's. The rows
                of a prompt (beams, several sequences) share its entries; the first of them is used.
            method: what the cache was filled under.

        Raises:
            EngineError: a cache that does not hold what the plain model left of these prompts.
            InputError, ModelError: see `replies`.
        """
        batch = len(inputs["input_ids"])
        fork = cls(view, inputs, one_each(prompt, batch))
        for part in () if method is None else method.methods:
            if part.active and any(map(part.overrides, _PROMPT_VERBS)):
                raise EngineError(
                    f"under {part} the cache does not hold what the plain model sees in a picture; "
                    "use CachedPrefix.fresh, which encodes the pictures once more"
                )
        if cache is None:
            raise EngineError("generation kept no cache to fork; use CachedPrefix.fresh")
        rows = batch if rows is None else rows
        columns = inputs["input_ids"].shape[1] - 1  # the last column may be a method's
        first = slice(0, rows, rows // batch)
        fork.layers = [prefix_of(layer, first, columns) for layer in cache.layers]
        return fork

    @classmethod
    def after(
        cls, session: Session, inputs: Mapping[str, Any], prompt: str | Sequence[str]
    ) -> CachedPrefix:
        """The fork of what a session has just generated; call it inside the session's block.

        Where the cache cannot serve, `reason` says why, and the first questions encode the
        pictures once more.
        """
        run = session.run
        try:
            if run is None:
                raise EngineError("the session has generated nothing yet")
            return cls.of(
                session.view, inputs, run.cache, prompt, rows=run.rows, method=session.stack
            )
        except EngineError as error:
            return cls.fresh(session.view, inputs, prompt, reason=str(error))

    @classmethod
    def fresh(
        cls,
        view: ModelView,
        inputs: Mapping[str, Any],
        prompt: str | Sequence[str],
        *,
        reason: str = "nothing was cached",
    ) -> CachedPrefix:
        """A fork without a cache: the first questions run the plain model over the prompts."""
        return cls(view, inputs, one_each(prompt, len(inputs["input_ids"])), reason=reason)

    @property
    def processor(self) -> Any:
        """The model's processor, which knows how a question is put."""
        if self.view.processor is None:
            raise EngineError(
                "a fork asks through the processor's chat template; open the session, or make the "
                "ModelView, with the model's processor"
            )
        return self.view.processor

    def logits(self, questions: Sequence[Sequence[Question]]) -> list[Tensor]:
        """`Reply.logits` of each row."""
        return [reply.logits for reply in self.replies(questions)]

    @torch.no_grad()
    def replies(
        self,
        questions: Sequence[Sequence[Question]],
        *,
        about: Sequence[Sequence[str]] | None = None,
    ) -> list[Reply]:
        """What the model says to each row's questions, all of them in one forward.

        Args:
            questions: for each row its questions; a row may have none.
            about: for each question the word whose row tells where the model looks, "" for the row
                that answers; None takes no gaze. A word in the text that a question shares with its
                prompt has no row here; the first one behind it stands for it.

        Raises:
            InputError: not one list a row; a question that holds an image token; a prompt that is
                not `prompt` in the chat template, or whose text comes before its picture.
            EngineError: a sliding window that the question would reach past; a session is open; a
                gaze under attention scores that are capped.
            ModelError: the processor has no chat template; a Q-former that reads the prompt, so
                that its picture serves no other question.
        """
        found = self._replies(questions, about)
        self.cost.questions += sum(map(len, questions))
        return found

    @torch.no_grad()
    def logprobs(self, texts: Sequence[Sequence[str]]) -> list[list[list[tuple[int, float]]]]:
        """The tokens of texts as answers to each row's own prompt, with the log-probability that
        the model gives each behind those before it; all of them in one forward.

        Args:
            texts: for each row; a row may have none.

        Raises:
            InputError, EngineError, ModelError: see `replies`.
        """
        whole: list[list[tuple[int, ...]]] = []
        begun: list[list[int]] = []  # how many tokens stand before each text
        for prompt, its in zip(self.prompts, texts, strict=True):
            asked, adds_special = chat_prompt(self.processor, prompt)
            answers = [asked, *(asked + answer_lead(asked) + text for text in its)]
            none, *given = self.processor.tokenizer(answers, add_special_tokens=adds_special)[
                "input_ids"
            ]
            whole.append([tuple(ids) for ids in given])
            begun.append([_shared(none, ids) for ids in given])
        pairs = [list(zip(a, b, strict=True)) for a, b in zip(whole, begun, strict=True)]
        last = 1 + max((len(ids) - start for one in pairs for ids, start in one), default=0)
        found: list[list[list[tuple[int, float]]]] = []
        for reply, parts in zip(self._replies(whole, None, last), pairs, strict=True):
            rows, told = reply.logits.log_softmax(-1), []
            for k, (ids, start) in enumerate(parts):
                before = (k + 1) * last - len(ids) - 1  # the row that predicts the first of `ids`
                told.append(
                    [(ids[j], float(rows[before + j, ids[j]])) for j in range(start, len(ids))]
                )
            found.append(told)
        return found

    def _replies(
        self,
        questions: Sequence[Sequence[Question]],
        about: Sequence[Sequence[str]] | None,
        last: int = 1,
    ) -> list[Reply]:
        """See `replies`; the logits are those of the `last` rows of each question."""
        if len(questions) != len(self.prompts):
            raise InputError(
                f"{len(questions)} lists of questions for {len(self.prompts)} prompts; give one "
                "list for each, an empty one where nothing is asked"
            )
        self._refuse_unfit()
        started = time.perf_counter()
        asked = [row for row, texts in enumerate(questions) if texts]
        found = [Reply(torch.empty(0))] * len(questions)
        if asked:
            image = self.view.image_columns(**self.inputs).cpu()
            every = branches_of(
                self.processor,
                self.view.image_token_ids,
                self.inputs["input_ids"],
                image,
                self.prompts,
                questions,
            )
            branches = [every[row] for row in asked]
            self.layers = self.layers or self._read_prompts()
            words = None if about is None else words_of(self.processor, questions, about, every)
            watched = None if words is None else words[asked]
            logits, looks = self._forward(self.layers, asked, branches, watched, last)
            for k, row in enumerate(asked):
                count, own = len(questions[row]), image[row].nonzero()[:, 0]
                gaze = None if looks is None else looks[k, :count][:, own]
                found[row] = Reply(logits[k, : count * last], gaze)
        self.cost.seconds += time.perf_counter() - started
        return found

    def _refuse_unfit(self) -> None:
        if self.view.reads_prompt:
            raise ModelError(PROMPT_BOUND)
        from seesay.engine.session import Session

        if (session := Session.of(self.view.model)) is not None:
            raise EngineError(
                f"the model is in a session ({session.stack}), whose methods would act on the "
                "questions too; ask after its block"
            )

    def _read_prompts(self) -> list[CachedLayer]:
        """One pass of the plain model over the prompts, pictures included."""
        view, given = self.view, dict(self.inputs)
        if not hasattr(view.model.base_model, "get_rope_index"):  # those find their own
            given["position_ids"] = positions_of(view, given)
        cache = DynamicCache(config=view.decoder.config)
        named = {view.cache_name: cache}
        view.model(**given, **named, use_cache=True, **logits_at(view, 1))
        self.cost.forwards += 1
        self.cost.image_passes += 1
        self.cost.tokens += int(real_columns(given).sum())
        columns = given["input_ids"].shape[1] - 1
        return [prefix_of(layer, slice(None), columns) for layer in cache.layers]

    def _forward(
        self,
        layers: list[CachedLayer],
        rows: list[int],
        branches: list[list[Branch]],
        watched: Tensor | None,
        last: int,
    ) -> tuple[Tensor, Tensor | None]:
        """Logits (rows, most questions of a row · last, vocabulary), and the attention of the
        `watched` rows on every column (rows, most questions of a row, columns) on the CPU."""
        view = self.view
        end = max(branch.column for its in branches for branch in its)
        real = real_columns(self.inputs)[rows, :end]
        laid = lay_out(branches, real, positions_of(view, self.inputs)[rows, :end])
        refuse_far(layers, int(laid.positions.max()))
        device = self.inputs["input_ids"].device
        back = torch.arange(1 - last, 1)
        ends = (laid.ends[:, None] + back).flatten().to(device)
        gaze = None if watched is None else Gaze(laid.ends - watched, middle_layers(view.n_layers))
        state = GenerationState(view, ImageColumns.of(view.image_columns(**self.inputs)), end)
        with maskable(view.decoder), observed(view, gaze, state) if gaze else nullcontext():
            logits = view.language_model(
                input_ids=laid.ids.to(device),
                attention_mask=additive(laid.mask.to(device), view.decoder.dtype),
                position_ids=laid.positions.to(device),
                use_cache=True,
                return_dict=True,
                **{view.cache_name: cache_of(layers, rows, end)},
                **logits_at(view, ends),
            ).logits
        self.cost.forwards += 1
        self.cost.tokens += laid.tokens
        logits = precise(logits if logits.shape[1] == len(ends) else logits[:, ends])
        return logits, None if gaze is None else gaze.mean().cpu()


PROMPT_BOUND: Final = (
    "its pictures are read with the prompt in view, so none serves another question"
)
Question: TypeAlias = str | tuple[int, ...]
"""A text, put in the chat template; or a whole prompt as tokens, its picture not expanded, behind
which an answer may have begun."""


def branches_of(
    processor: Any,
    forbidden: frozenset[int],
    ids: Tensor,
    image: Tensor,
    prompts: Sequence[str],
    questions: Sequence[Sequence[Question]],
) -> list[list[Branch]]:
    """Each row's questions, as what they share with its prompt and what they add.

    Args:
        forbidden: the tokens that stand for a picture.
        ids: (rows, columns) the prompts as the model took them.
        image: (rows, columns) bool, their image columns.
        prompts: the text of each row.
        questions: for each row its questions; a row may have none, and is not looked at.

    Raises:
        InputError: see `CachedPrefix.replies`.
    """
    # Pictures share most of their questions.
    tokens = functools.cache(functools.partial(_tokens, processor))
    every: list[list[Branch]] = []
    given = ids.tolist()
    for row, texts in enumerate(questions):
        branches = []
        for question in texts:
            new = tokens(question) if isinstance(question, str) else list(question)
            branch = _branch(given[row], image[row], tokens(prompts[row]), new)
            if branch is None:
                raise InputError(
                    f"row {row} is not {prompts[row]!r} behind its picture in the chat template, "
                    "so the picture's cached part is unknown; ask anew (CachedPrefix.fresh) with "
                    "the picture before the text"
                )
            if forbidden.intersection(branch.ids):
                raise InputError(
                    f"the question {question!r} holds an image token; leave it out, the picture "
                    "is in the prompt already"
                )
            branches.append(branch)
        every.append(branches)
    return every


def _branch(ids: list[int], image: Tensor, old: list[int], new: list[int]) -> Branch | None:
    """Where a question leaves its prompt; None where that is not behind the prompt's picture.

    Args:
        ids, image: (columns,) of the prompt.
        old, new: prompt and question in the chat template, the picture not expanded.
    """
    # The prompt's last row may be a method's, and a question needs a row to be read from.
    most = min(len(old), len(new)) - 1
    shared = min(_shared(old, new), most)
    for tail in range(_MOST_APPENDED + 1):
        end = len(ids) - tail
        column = end - (len(old) - shared)
        if ids[column:end] == old[shared:] and not bool(image[column:].any()):
            return Branch(column, new[shared:] + ids[end:])
    return None


_MOST_APPENDED = 4  # tokens that a processor puts behind every prompt (a newline, a separator)


def words_of(
    processor: Any,
    questions: Sequence[Sequence[Question]],
    words: Sequence[Sequence[str]],
    branches: Sequence[Sequence[Branch]],
) -> Tensor:
    """(rows, most questions of a row) how far before each question's last row its word's stands.

    Args:
        words: of each question, "" for the row that answers.
        branches: the questions as `branches_of` has them; what they share has no row.
    """
    far = [
        [
            min(_behind(processor, question, word), len(branch.ids) - 1)
            for question, word, branch in zip(*its, strict=True)
        ]
        for its in zip(questions, words, branches, strict=True)
    ]
    return pad_sequence([torch.tensor(its, dtype=torch.long) for its in far], batch_first=True)


def one_each(prompt: str | Sequence[str], rows: int) -> tuple[str, ...]:
    """The prompt of each row, given one for all or one a row."""
    prompts = (prompt,) * rows if isinstance(prompt, str) else tuple(prompt)
    if len(prompts) != rows:
        raise InputError(f"{len(prompts)} prompts for {rows} rows; give one, or one for each row")
    return prompts


def _behind(processor: Any, question: Question, word: str) -> int:
    """How many tokens of a question, as the chat template puts it, follow the last one of `word`;
    0, the row that answers, where the question does not hold it."""
    if not word or not isinstance(question, str):
        return 0
    text, adds_special = chat_prompt(processor, question)
    at = text.lower().rfind(word.lower())
    if at < 0:
        return 0
    texts = [text, text[: at + len(word)]]
    whole, part = processor.tokenizer(texts, add_special_tokens=adds_special)["input_ids"]
    pairs = enumerate(zip(whole, part, strict=False))
    shared = next((k for k, (a, b) in pairs if a != b), min(len(whole), len(part)))
    return len(whole) - max(shared, 1)


def _tokens(processor: Any, prompt: str) -> list[int]:
    """A prompt in the chat template, its picture not yet expanded."""
    text, adds_special = chat_prompt(processor, prompt)
    ids: list[int] = processor.tokenizer(text, add_special_tokens=adds_special)["input_ids"]
    return ids


def _shared(old: Sequence[int], new: Sequence[int]) -> int:
    """How many tokens two prompts begin with alike."""
    pairs = enumerate(zip(old, new, strict=False))
    return next((k for k, (a, b) in pairs if a != b), min(len(old), len(new)))


class Branch(NamedTuple):
    """A question: the column at which it leaves its prompt, and its tokens from there on."""

    column: int
    ids: list[int]


class CachedLayer(NamedTuple):
    """Keys and values (rows, kv_heads, columns, head_dim) of a layer's prompt columns, and how
    many columns back the layer looks (None: all)."""

    keys: Tensor
    values: Tensor
    window: int | None


class QuestionLayout(NamedTuple):
    """The input of one forward.

    Attributes:
        ids, positions: (rows, slots · width) long.
        mask: (rows, 1, slots · width, columns + slots · width) bool, True where open.
        ends: (slots,) long, the last token of each slot.
        tokens: how many tokens are no padding.
    """

    ids: Tensor
    positions: Tensor
    mask: Tensor
    ends: Tensor
    tokens: int


def lay_out(
    branches: Sequence[Sequence[Branch]], real: Tensor, positions: Tensor
) -> QuestionLayout:
    """Questions as tensors.

    Args:
        branches: each row's questions, at least one.
        real, positions: (rows, columns) of the prompts up to the last column that a question
            shares: where they are no padding, and their positions.
    """
    rows, columns = real.shape
    slots = max(map(len, branches))
    width = max(len(branch.ids) for its in branches for branch in its)
    ids = torch.zeros(rows, slots, width, dtype=torch.long)
    at, own = torch.zeros_like(ids), torch.zeros_like(ids, dtype=torch.bool)
    shared = torch.zeros(rows, slots, columns, dtype=torch.bool)
    shared[:, :, 0] = True  # an empty slot attends to something, and is never read
    real, positions = real.cpu(), positions.cpu()
    for row, its in enumerate(branches):
        for slot, (column, tokens) in enumerate(its):
            begin = int(positions[row, :column].max()) + 1
            ids[row, slot, -len(tokens) :] = torch.tensor(tokens)
            at[row, slot, -len(tokens) :] = torch.arange(begin, begin + len(tokens))
            own[row, slot, -len(tokens) :] = True
            shared[row, slot] = real[row] & (torch.arange(columns) < column)
    ends = torch.arange(1, slots + 1) * width - 1
    return QuestionLayout(ids.flatten(1), at.flatten(1), _mask(shared, own), ends, int(own.sum()))


def _mask(shared: Tensor, own: Tensor) -> Tensor:
    """`QuestionLayout.mask`.

    Args:
        shared: (rows, slots, columns) bool, the part of the prompt that a question shares.
        own: (rows, slots, width) bool, where a slot holds its question.
    """
    _, slots, width = own.shape
    prompt = shared[:, :, None].expand(-1, -1, width, -1)
    same = torch.eye(slots, dtype=torch.bool)[:, None, :, None]
    before = torch.ones(width, width, dtype=torch.bool).tril()[None, :, None]
    mine = (same & before & own[:, None, None]).flatten(3)  # (rows, slots, width, slots · width)
    return torch.cat([prompt, mine], -1).flatten(1, 2)[:, None]


def additive(mask: Tensor, dtype: torch.dtype) -> Tensor:
    """A mask as the eager kernel too takes it: 0 where open, the lowest number elsewhere."""
    closed = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return closed.masked_fill(~mask, torch.finfo(dtype).min)


def prefix_of(layer: Any, rows: slice, columns: int) -> CachedLayer:
    """A cache layer's entries of the prompt, as views where the cache will not write over them.

    Raises:
        EngineError: a kind of layer that does not hold all of the prompt, or not in order.
    """
    window = None
    if isinstance(layer, CompactedLayer):
        first = torch.arange(columns, device=layer.keys.device)
        origin = layer.origin[rows, :, :columns]
        intact = origin.shape[-1] == columns and bool((origin == first).all())
    elif type(layer) is DynamicSlidingWindowLayer:
        window = int(layer.sliding_window)
        intact = layer.keys.shape[2] == layer.get_seq_length() >= columns
    else:
        intact = type(layer) in (DynamicLayer, StaticLayer) and layer.get_seq_length() >= columns
    if window is not None and not intact:
        raise EngineError(
            f"a layer of this model holds the newest {window} columns alone, and the prompt with "
            "its picture is longer, so no question can go on from it; use a smaller picture, or "
            "leave the questions out (--no-self-check)"
        )
    if not intact:
        raise EngineError(
            f"the cache does not hold the prompt entry by entry (a {type(layer).__name__}), so no "
            "question can go on; use CachedPrefix.fresh, which encodes the pictures once more"
        )
    keys, values = layer.keys[rows, :, :columns], layer.values[rows, :, :columns]
    if type(layer) is StaticLayer:  # the next generation may fill the same memory
        keys, values = keys.clone(), values.clone()
    return CachedLayer(keys, values, window)


def refuse_far(layers: Sequence[CachedLayer], position: int) -> None:
    """Raise EngineError if a layer no longer looks back to the prompt's beginning at `position`."""
    windows = [layer.window for layer in layers if layer.window is not None]
    if windows and position >= min(windows):
        raise EngineError(
            f"a question at position {position} reaches past this model's sliding window of "
            f"{min(windows)}, which would hide the picture's beginning; use smaller pictures"
        )


def cache_of(layers: Sequence[CachedLayer], rows: Sequence[int], columns: int) -> DynamicCache:
    """A cache of the first columns of some rows; what it grows by is its own.

    The mask comes with the forward, so a layer with a sliding window needs no kind of its own.
    """
    cache = DynamicCache()
    for keys, values, _ in layers:
        layer = DynamicLayer()
        layer.lazy_initialization(keys, values)
        all_rows = list(rows) == list(range(len(keys)))
        at = slice(None) if all_rows else torch.tensor(rows, device=keys.device)
        layer.keys, layer.values = keys[at, :, :columns], values[at, :, :columns]
        cache.layers.append(layer)
    return cache


def real_columns(inputs: Mapping[str, Any]) -> Tensor:
    """(rows, columns) bool, False on padding."""
    mask = inputs.get("attention_mask")
    return torch.ones_like(inputs["input_ids"], dtype=torch.bool) if mask is None else mask.bool()


def positions_of(view: ModelView, inputs: Mapping[str, Any]) -> Tensor:
    """The prompts' positions as generate gives them, (rows, columns); of families that count time,
    height and width apart the highest of the three, which is what text goes on from."""
    find = getattr(view.model.base_model, "get_rope_index", None)
    if find is None:
        return (real_columns(inputs).long().cumsum(-1) - 1).clamp(min=0)
    taken = inspect.signature(find).parameters.keys() & inputs.keys()
    positions: Tensor = find(**{name: inputs[name] for name in taken})[0]
    return positions.amax(0)


def logits_at(view: ModelView, columns: int | Tensor) -> dict[str, Any]:
    """The argument that limits logits to the last columns, or to some, where the model takes it."""
    takes = "logits_to_keep" in inspect.signature(view.language_model.forward).parameters
    return {"logits_to_keep": columns} if takes else {}


@contextmanager
def maskable(decoder: Any) -> Iterator[None]:
    """Run `decoder` on a kernel that takes a mask for each query; flash kernels do not."""
    before = implementation(decoder)
    if before in ("eager", "sdpa") or before.startswith("seesay-"):  # a session's takes both
        yield
        return
    decoder.set_attn_implementation("sdpa")
    try:
        yield
    finally:
        decoder.set_attn_implementation(before)
