"""Whether an edit is one of those that surely leave English with the old sentence's meaning.

The rules find phrases by word lists and endings, so now and then they take a phrase to end, or to
belong, where it does not. Each edit is therefore held against what may stand on either side of a
gap. Whatever is not known to be fine is refused.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.boundaries import has_verb, opening_end, opens_subordinate
from seesay.grounding.clauses.guard.behind import joins
from seesay.grounding.clauses.guard.complete import complete
from seesay.grounding.clauses.guard.gaps import gaps, verb_like
from seesay.grounding.clauses.guard.numbers import agrees
from seesay.grounding.clauses.guard.referring import refers_to_what_went
from seesay.grounding.clauses.phrases import Tokens, tag_at


def sure(old: Tokens, new: Tokens, rules: Mapping[int, str]) -> bool:
    """Whether `new` is surely fine after an edit of `old`; `rules`: by which rule the token that
    began at a character went."""
    cut = gaps(old, new, rules)
    if (_hangs(new) and not _hangs(old)) or _spliced(new):
        return False
    lost = any(verb_like(token) for gap in cut for token in old[gap.start : gap.end])
    if (lost and not _says(new)) or refers_to_what_went(old, cut):
        return False
    if not all(complete(old, gap) and joins(old, gap) for gap in cut):
        return False
    return agrees(old, new)


def _says(tokens: Tokens) -> bool:
    """Whether a main verb stands there that is no possessive ("the cat's sleeping mat"), and one
    behind a subordinator."""
    said = [t for k, t in enumerate(tokens) if t.low not in _SHORT or not tokens[k - 1].noun]
    opens = next((k for k in range(len(said)) if said[k].tag == "sub"), None)
    told = opens is None or any(t.finite or t.tag in ("ing", "ed") for t in said[opens:])
    return told and has_verb(said, 0, len(said))


_SHORT: Final = ("'s", "’s")


def _spliced(tokens: Tokens) -> bool:
    """Whether a comma alone joins two clauses: "one is sitting, another is standing"."""
    return not any(token.tag in ("and", "sub") for token in tokens) and any(
        tag_at(tokens, k - 1) == "comma" and token.low in lex.APART and tokens[k + 1].finite
        for k, token in enumerate(tokens[:-1])
    )


def _hangs(tokens: Tokens) -> bool:
    """Whether a subordinate clause stands alone."""
    opens = tag_at(tokens, 0) == "sub" or opens_subordinate(tokens, 0)
    return opens and opening_end(tokens) is None
