"""A sentence that words are taken out of: removing, replacing, mending, and whether it is sound."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

from seesay.grounding.clauses.boundaries import has_verb
from seesay.grounding.clauses.phrases import tag_at
from seesay.grounding.clauses.tokens import WordToken, tag


class Sentence:
    """Tagged tokens, and what was taken out of them: (start, end, rule), characters of the text."""

    def __init__(self, tokens: Sequence[WordToken]) -> None:
        self.tokens = list(tokens)
        self.gone: list[tuple[int, int, str]] = []
        self._had_verb = has_verb(self.tokens, 0, len(self.tokens))

    def copy(self) -> Sentence:
        """The sentence as it is now, untouched by later edits."""
        other = Sentence([replace(token) for token in self.tokens])
        other.gone, other._had_verb = list(self.gone), self._had_verb
        return other

    def rules_since(self, old: Sentence) -> dict[int, str]:
        """By which rule the tokens that `old` still had went, by their first characters."""
        return {start: rule for start, _, rule in self.gone[len(old.gone) :]}

    def remove(self, start: int, end: int, rule: str) -> None:
        """Take tokens start..end out."""
        self.gone += [(t.start, t.end, rule) for t in self.tokens[start:end] if t.end > t.start]
        first = start == 0
        lead = self.tokens[start].lead if start < end else ""
        del self.tokens[start:end]
        if first and self.tokens:
            self.tokens[0].lead = lead

    def remove_all(self, rule: str) -> None:
        """Take the whole sentence out."""
        self.remove(0, len(self.tokens), rule)

    def insert(self, at: int, word: str, kind: str) -> None:
        """Put a word of class `kind` in that the text does not have there."""
        where = self.tokens[at].start
        lead = self.tokens[at].lead if at == 0 else " "
        self.tokens[at].lead = " "
        self.tokens.insert(at, WordToken(word, lead, where, where, kind))

    def mend(self) -> None:
        """Doubled and dangling commas out, a or an as the next word wants, the first letter large,
        word classes anew."""
        k = 0
        while k < len(self.tokens):
            follows = tag_at(self.tokens, k + 1)
            if self.tokens[k].tag == "comma" and (k == 0 or follows in ("comma", "point", "")):
                self.remove(k, k + 1, "comma")
            elif self.tokens[k].text == "(" and follows == "point":
                self.remove(k, k + 2, "comma")
            elif self.tokens[k].low == "either" and all(t.low != "or" for t in self.tokens[k:]):
                self.remove(k, k + 1, "list")
            else:
                k += 1
        for token, following in pairwise(self.tokens):
            if token.low in ("a", "an") and token.end + len(following.lead) != following.start:
                token.text = token.text[0] + ("n" if _VOWEL.match(following.low) else "")
        if self.tokens:
            first = self.tokens[0]
            first.text = first.text[:1].upper() + first.text[1:]
        tag(self.tokens)

    def sound(self) -> bool:
        """Whether no two neighbours break English and there still is a verb if there was one."""
        tokens = self.tokens
        if not any(token.noun or token.tag == "pronoun" for token in tokens):
            return False
        if self._had_verb and not has_verb(tokens, 0, len(tokens)):
            return False
        pairs = zip([None, *tokens], [*tokens, None], strict=True)
        quotes = sum(token.text in '"“”' for token in tokens)
        brackets = sum((token.text == "(") - (token.text == ")") for token in tokens)
        return not any(map(_broken, *zip(*pairs, strict=True))) and not quotes % 2 and not brackets


def _broken(before: WordToken | None, after: WordToken | None) -> bool:
    if before and after and before.end + len(after.lead) == after.start:
        return False  # they were neighbours before
    b, a = before.tag if before else "", after.tag if after else ""
    if a in ("", "comma", "point") and b in _OPEN:
        return a != "comma" or b not in ("prep", "be")  # "nearby, on and off, a dog"
    if b == "":
        return a in ("and", "be", "aux", "comma") or (before is None and a == "relative")
    if b == "and" and a in ("and", "relative"):
        return before is None or before.low not in ("as", "well")
    return b == "det" and a in ("prep", "and", "be", "modal", "verb", "relative", "sub")


_VOWEL: Final = re.compile(r"(?!uni|use|one|eu)[aeiou]|hour|honest")
_OPEN: Final = frozenset({"det", "prep", "and", "be", "modal", "aux", "sub", "relative", "to"})
