"""Number: of noun phrases, and of the verbs that go by them."""

from __future__ import annotations

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.boundaries import clause_start, has_verb
from seesay.grounding.clauses.phrases import Tokens, is_plural, low_at, next_phrase, tag_at
from seesay.grounding.clauses.sentence import Sentence


def number(tokens: Tokens, start: int) -> str:
    """`one` or `many`: the grammatical number of the noun phrase at `start`."""
    end = next_phrase(tokens, start) or start + 1
    words = [token.low for token in tokens[start:end]]
    head = words[: words.index("of")] if "of" in words else words
    if head[:1] == ["a"] and head[1:2] and head[1] in ("few", "couple", "number", "lot", "dozen"):
        return "many"
    for word in head:
        if (word in lex.PLURAL and word != "some") or (word.isdigit() and word != "1"):
            return "many"
        if word in lex.SINGULAR:
            return "one"
    return "many" if head and is_plural(head[-1]) else "one"


def agree(sentence: Sentence, first: int, items: int, was_first: str) -> None:
    """Give the verb of the list at `first` the number of what is left of it.

    After "there" a verb goes by the first item, where it did so before; a subject's verb changes
    only when one item is left.
    """
    tokens = sentence.tokens
    now = number(tokens, first)
    before = first - 1
    while tag_at(tokens, before) == "adverb":
        before -= 1
    if tag_at(tokens, before) == "be" and tag_at(tokens, before - 1) in _BEFORE_BE:
        by_first = (tokens[before].low in ("are", "were")) == (was_first == "many")
        if items == 1 or by_first:
            _inflect(sentence, before, now)
        return
    if tag_at(tokens, first - 1) == "prep":
        return  # the subject is what stands before the preposition
    if items == 1:
        together = next((k for k in range(first, len(tokens)) if tokens[k].low == "together"), None)
        if together is not None and now == "one":
            sentence.remove(together, together + 1, "list")
    if items > 1 or now == "many":
        return
    begin = clause_start(tokens, first)
    if has_verb(tokens, begin, first) and tag_at(tokens, begin) != "relative":
        return
    if any(t.low == "each" and low_at(tokens, k + 1) == "other" for k, t in enumerate(tokens)):
        sentence.remove_all("sentence")  # one alone does nothing to each other
        return
    for k in range(first, len(tokens)):
        if tokens[k].tag == "comma" and tag_at(tokens, begin) in ("prep", "ing", "ed"):
            return  # what stands in front of the clause is not its subject
        if tokens[k].finite:
            _inflect(sentence, k, now)
            return


def _inflect(sentence: Sentence, k: int, to: str) -> None:
    pairs = {"are": "is", "were": "was", "have": "has", "do": "does", **lex.THIRD}
    word = sentence.tokens[k].low
    if to == "many":
        pairs = {"is": "are", "was": "were"}
    if word in pairs:
        text = pairs[word]
        sentence.tokens[k].text = (
            text.capitalize() if sentence.tokens[k].text[0].isupper() else text
        )


# "There is a cup", and turned about: "on the tray is a cup".
_BEFORE_BE = ("there", "noun", "mention", "pronoun", "behind")
