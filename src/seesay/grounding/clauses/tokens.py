"""A sentence as tagged tokens that remember where they came from."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from seesay.grounding.clauses import lexicon as lex

_TOKEN: Final = re.compile(
    r"\d[\d.,]*\d|n['’]t\b|['’](?:s|re|ve|ll|d|m)\b|\w+(?:[-.]\w+)*(?=n['’]t\b)|"
    r"\w+(?:[-’'](?!(?:re|ve|ll)\b)\w{2,})*|[^\w\s]"
)
NOUNISH: Final = ("noun", "mention")


@dataclass(slots=True)
class WordToken:
    """One token. `lead`: the white space before it. `start`, `end`: its characters in the text,
    equal for a token that was put in. `tag`: its word class. `mention`: the number of the failing
    mention that it belongs to, `kept` whether it belongs to another mention."""

    text: str
    lead: str
    start: int
    end: int
    tag: str = ""
    mention: int | None = None
    kept: bool = False

    @property
    def low(self) -> str:
        return self.text.lower()

    @property
    def noun(self) -> bool:
        return self.tag in NOUNISH

    @property
    def finite(self) -> bool:
        return self.tag in ("be", "aux", "modal", "verb")


def tokenize(
    text: str,
    span: tuple[int, int],
    failing: Sequence[tuple[int, int]],
    others: Sequence[tuple[int, int]],
) -> list[WordToken]:
    """The tagged tokens of the sentence `text[slice(*span)]`."""
    tokens, end = [], span[0]
    for match in _TOKEN.finditer(text, *span):
        token = WordToken(match.group(), text[end : match.start()], *match.span())
        token.mention = next(
            (k for k, (a, b) in enumerate(failing) if a < token.end and token.start < b), None
        )
        token.kept = token.mention is None and any(
            a < token.end and token.start < b for a, b in others
        )
        tokens.append(token)
        end = match.end()
    tag(tokens)
    return tokens


def tag(tokens: list[WordToken]) -> None:
    """Give every token its word class, anew."""
    for token in tokens:
        token.tag = _alone(token)
    for i, token in enumerate(tokens):
        before = tokens[i - 1] if i else None
        after = tokens[i + 1] if i + 1 < len(tokens) else None
        several = any(t.tag == "and" for t in tokens[:i]) and not any(t.finite for t in tokens[:i])
        token.tag = _in_context(token, before, after, several)
        if _second_infinitive(tokens, i):
            token.tag = "base"
    _join_compounds(tokens)


def _alone(token: WordToken) -> str:
    word = token.low.replace("’", "'")
    if token.mention is not None or token.kept:
        return "mention"
    if not any(map(str.isalnum, word)) and word != "&":
        return "comma" if word == "," else "point"
    for name, words in _CLASSES:
        if word in words:
            return name
    if word.isdigit():
        return "det"
    if word.endswith("ing") and len(word) > 4 and word not in lex.ING_NOUNS:
        return "ing"
    if word in lex.PARTICIPLES or (
        word.endswith("ed") and len(word) > 3 and word not in lex.ED_OTHER
    ):
        return "ed"
    if word.endswith("ly") and len(word) > 4 and word not in lex.NOT_ADVERBS:
        return "adverb"
    if word in lex.VERBS or word in lex.FINITE_S:
        return "verb"
    return "noun"


_CLASSES: Final = (
    ("be", lex.BE), ("been", lex.BE_OTHER), ("aux", lex.AUXILIARIES), ("modal", lex.MODALS),
    ("relative", lex.RELATIVES), ("sub", lex.SUBORDINATORS), ("and", lex.CONJUNCTIONS),
    ("pronoun", lex.PRONOUNS), ("det", lex.DETERMINERS), ("adverb", lex.ADVERBS),
    ("prep", lex.PREPOSITIONS), ("behind", lex.BEHIND), ("to", frozenset({"to"})),
    ("sub", frozenset({"that"})),
)  # fmt: skip


def _in_context(
    token: WordToken, before: WordToken | None, after: WordToken | None, several: bool
) -> str:
    """The class of a token between its neighbours; `several` whether the words before it could be
    subjects joined by a conjunction."""
    word, tag = token.low.replace("’", "'"), token.tag
    b, a = before.tag if before else "", after.tag if after else ""
    owned = a in (*NOUNISH, "behind") or (after is not None and after.low == "back")
    if word == "'s" and b in (*NOUNISH, "ing") and owned:
        return "possessive"
    plural = before is not None and before.noun and before.low.endswith("s")
    if word in ("'", "’") and plural and a in NOUNISH:
        return "possessive"  # the riders' helmets
    if word == "to":
        things = a == "noun" and after is not None and _third_person(after.low)
        return "prep" if a in ("det", "mention", "pronoun", "ing", "") or things else "to"
    if word == "that":
        return "relative" if b in NOUNISH else "sub"
    if word == "there":
        return "there" if a in ("be", "modal", "verb", "aux") else "adverb"
    if word in (
        "one",
        "this",
        "these",
        "both",
        "each",
        "some",
        "several",
        "many",
        "another",
        "all",
    ):
        return (
            "det" if a in (*NOUNISH, "ed", "det", "adverb", "ing") or _is_of(after) else "pronoun"
        )
    if word == "her":
        return "det" if a in (*NOUNISH, "ed", "verb", "adverb") else "pronoun"
    if tag == "verb":
        return (
            "verb"
            if _stands_as_verb(word, before, a, several)
            else "base"
            if b in ("to", "modal")
            else "noun"
        )
    if b == "to" and tag in ("noun", "verb", "ed"):
        return "base"
    if tag == "noun" and a == "det" and b in NOUNISH and _third_person(word):
        return "verb"  # no noun stands between a noun and a determiner
    if tag == "behind" and a in NOUNISH:
        return "noun"  # visible vehicles
    if tag == "modal" and (b == "det" or a in ("", "point", "comma", "and", "prep", "be")):
        return "noun"  # a can of soda, a trash can
    if tag == "noun" and word.endswith("ing") and a == "det" and b not in ("det", "prep"):
        return "ing"
    share = before is not None and before.low in lex.APART  # some sitting, others standing
    if tag in ("ing", "ed") and b == "det" and not share and a in ("prep", "comma", "point", "be"):
        return "noun"
    if tag == "adverb" and word in ("above", "below") and a in ("det", *NOUNISH):
        return "prep"
    return tag


def _second_infinitive(tokens: list[WordToken], i: int) -> bool:
    """Whether the word behind a conjunction goes on with an infinitive: "to board or leave"."""
    if i < 2 or tokens[i - 1].tag != "and" or tokens[i].tag not in ("noun", "verb", "aux"):
        return False
    verbs = [token.tag for token in tokens[: i - 1] if token.finite or token.tag == "base"]
    object_follows = i + 1 < len(tokens) and tokens[i + 1].tag == "det"
    bare = tokens[i].low in lex.BARE or (object_follows and tokens[i - 2].tag == "base")
    return verbs[-1:] == ["base"] and bare


def _third_person(word: str) -> bool:
    return word.endswith("s") and not word.endswith(("ss", "us", "'s"))


def _is_of(token: WordToken | None) -> bool:
    return token is not None and token.low == "of"


def _stands_as_verb(word: str, before: WordToken | None, after: str, several: bool) -> bool:
    """Whether a form that can be a verb is one here: behind its subject, not inside a phrase."""
    if before is None or before.tag not in _BEFORE_VERBS:
        return False
    if before.tag == "noun" and (
        before.low in lex.ADJECTIVES or before.low.endswith(_ADJECTIVES_ONLY)
    ):
        return False
    plural = before.low in lex.PLURAL_NOUNS or (
        before.low.endswith("s") and not before.low.endswith(("ss", "us"))
    )
    if word in lex.FINITE_S:
        return not (before.noun and plural) and not (before.tag == "noun" and after == "comma")
    if before.tag == "and" and after == "det":
        return True
    if before.tag in ("and", "comma") or (before.noun and not plural and not several):
        return False
    return after in _BEHIND_VERBS


_ADJECTIVES_ONLY: Final = ("ous", "ful", "ive", "able", "ible", "less", "ish")
_BEFORE_VERBS: Final = (*NOUNISH, "pronoun", "relative", "adverb", "and", "comma")
_BEHIND_VERBS: Final = (
    "det", "prep", "adverb", "pronoun", "to", "ed", "ing", "comma", "point", "", "mention",
    "sub",
)  # fmt: skip


def is_adjective(token: WordToken) -> bool:
    """Whether an open word can stand before a noun as its adjective, by lists and endings."""
    if token.tag in ("ed", "ing", "behind"):
        return True
    return token.tag == "noun" and (
        token.low in lex.ADJECTIVES or token.low.endswith(lex.ADJECTIVE_ENDINGS)
    )


def _join_compounds(tokens: list[WordToken]) -> None:
    """Words of a compound preposition are all prepositions; so are a place's parts: `to the left
    of`. `as well as` joins like `and`."""
    words = [token.low for token in tokens]
    for i in range(len(tokens)):
        if words[i : i + 3] == ["as", "well", "as"]:
            for token in tokens[i : i + 3]:
                token.tag = "and"
        if words[i] == "as" and words[i + 1 : i + 2] in (["if"], ["though"]):
            tokens[i].tag = tokens[i + 1].tag = "sub"
            continue
        if tuple(words[i : i + 2]) in _AT_LEAST:
            tokens[i].tag = tokens[i + 1].tag = "adverb"
            continue
        for compound in lex.COMPOUND:
            if tuple(words[i : i + len(compound)]) == compound:
                for token in tokens[i : i + len(compound)]:
                    token.tag = "prep"
                break
        if tokens[i].tag == "prep" and words[i] != "of":
            _join_part(tokens, i)


_AT_LEAST: Final = {("at", "least"), ("at", "most"), ("more", "than"), ("less", "than")}


def _join_part(tokens: list[WordToken], i: int) -> None:
    """prep the [adjective] part of: one preposition."""
    k = i + 1
    while k < len(tokens) and k < i + 5 and (tokens[k].tag == "det" or tokens[k].tag == "noun"):
        part = tokens[k].low in lex.PARTS
        k += 1
        if part and k < len(tokens) and tokens[k].low == "of":
            for token in tokens[i : k + 1]:
                token.tag = "prep"
            return
