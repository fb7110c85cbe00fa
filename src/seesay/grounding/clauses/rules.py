"""The smallest phrase that carries a mention, and how it is taken out.

`leave` looks at what stands before the mention's noun phrase: a list's comma or conjunction, a
preposition, a participle, a verb, or nothing (it is the subject). Each case takes out the phrase
that it heads; a phrase that cannot do without it is taken out in turn, up to the sentence.
"""

from __future__ import annotations

from seesay.grounding.clauses import lexicon as lex
from seesay.grounding.clauses.lists import drop_item, find_list, number
from seesay.grounding.clauses.phrases import (
    Tokens,
    clause_end,
    clause_start,
    low_at,
    noun_phrase,
    opening_end,
    opens_subordinate,
    phrase_end,
    separator_after,
    separator_before,
    tag_at,
)
from seesay.grounding.clauses.sentence import Sentence


def leave(sentence: Sentence, start: int, end: int) -> None:
    """Take the tokens start..end, a mention, out with the smallest phrase that carries it."""
    _drop_noun_phrase(sentence, *noun_phrase(sentence.tokens, start, end))


def _drop_noun_phrase(sentence: Sentence, start: int, end: int) -> None:
    tokens = sentence.tokens
    listed = find_list(tokens, start, end)
    if listed is not None:
        if listed.before + listed.after == 1 and low_at(tokens, listed.first - 1) == "between":
            _drop_prepositional(sentence, listed.first, max(end, phrase_end(tokens, end)))
        else:
            drop_item(sentence, listed)
        return
    verb = start - 1
    while tag_at(tokens, verb) == "adverb":
        verb -= 1
    tag = tag_at(tokens, verb)
    if tag_at(tokens, start - 1) == "prep" and not opens_subordinate(tokens, start - 1):
        _drop_prepositional(sentence, start, end)
    elif tag in ("ing", "ed"):
        _drop_participle(sentence, verb, phrase_end(tokens, end))
    elif tag in ("to", "base"):
        _drop_infinitive(sentence, verb, phrase_end(tokens, end))
    elif tag in ("be", "been", "aux", "verb", "modal"):
        _drop_predicate(sentence, verb, phrase_end(tokens, end))
    elif tag == "comma" and _appositive(tokens, start, end):
        _drop_modifier(sentence, start, phrase_end(tokens, end), "apposition")
    else:
        _drop_clause(sentence, start)


def _appositive(tokens: Tokens, start: int, end: int) -> bool:
    """Whether a noun phrase behind a comma only renames the noun before it."""
    stop = phrase_end(tokens, end)
    return tag_at(tokens, start - 2) in ("noun", "mention") and tag_at(tokens, stop) in (
        "comma", "point", "",
    ) and clause_start(tokens, start) < start - 2  # fmt: skip


# ---- prepositions --------------------------------------------------------------------------


def _drop_prepositional(sentence: Sentence, start: int, end: int) -> None:
    """The phrase of the preposition right before `start`."""
    tokens = sentence.tokens
    first = start
    while tag_at(tokens, first - 1) == "prep":
        first -= 1
    words = [token.low for token in tokens[first:start]]
    if words == ["of"] and tag_at(tokens, first - 1) in ("noun", "mention", "det", "pronoun"):
        if low_at(tokens, first - 1) in lex.CONTAINERS or tokens[first - 1].kept:
            sentence.remove(first, end, "of")
        else:
            whole = noun_phrase(tokens, first - 1, first)
            _drop_noun_phrase(sentence, whole[0], end)
        return
    place = words[0] in lex.PLACE or (words[-1] in ("to", "of") and words[0] != "of")
    end = (
        _carried(tokens, end, words[-1] if len(words) == 1 else "")
        if place
        else phrase_end(tokens, end)
    )
    while tag_at(tokens, first - 1) == "adverb" and low_at(tokens, first - 1) not in ("not", "n't"):
        first -= 1
    head = first - 1
    tag = tag_at(tokens, head)
    follows = tag_at(tokens, end)
    if tag in ("ed", "ing"):
        _drop_behind_participle(sentence, head, first, end)
    elif tag in ("verb", "base") and tokens[head].low in lex.NEEDY and follows != "prep":
        if tag == "base":
            _drop_infinitive(sentence, head, end)
        else:
            _drop_predicate(sentence, head, end)
    elif tag in ("be", "been") and follows not in ("prep", "ing", "ed"):
        _drop_predicate(sentence, head, phrase_end(tokens, end))
    elif tag == "behind" and low_at(tokens, head) not in (
        "visible",
        "present",
        "available",
        "alone",
    ):
        _drop_predicate(sentence, head - 1, phrase_end(tokens, end))
    elif tag == "sub":
        _drop_modifier(sentence, head, end, "preposition")
    elif follows == "be" and head < clause_start(tokens, start):
        sentence.remove(first, end, "preposition")
        sentence.insert(first, "there", "there")
    elif follows in ("verb", "aux", "modal") and head < clause_start(tokens, start):
        _drop_clause(sentence, start)
    else:
        _drop_modifier(sentence, first, end, "preposition")


def _carried(tokens: Tokens, end: int, preposition: str) -> int:
    """The end of what goes with the object of a preposition of place: what describes it, but not
    the next phrase of place and not what its subject does."""
    tag = tag_at(tokens, end)
    if tag == "relative" or low_at(tokens, end) == "of" or tag == "ed":
        return phrase_end(tokens, end)
    if tag == "ing" and preposition not in ("on", "in", "at", "through", "down", "along", "across"):
        return phrase_end(tokens, end)
    if tag == "behind":
        return end + 1
    return end


def _drop_behind_participle(sentence: Sentence, head: int, first: int, end: int) -> None:
    """A prepositional phrase first..end behind the participle at `head`."""
    tokens = sentence.tokens
    needy = tokens[head].low in lex.NEEDY
    verb = head - 1
    while tag_at(tokens, verb) == "adverb":
        verb -= 1
    if tag_at(tokens, end) == "prep" and tokens[first].low not in ("with", "by", "of"):
        sentence.remove(first, end, "preposition")
    elif tag_at(tokens, verb) in ("be", "been"):
        if needy:
            _drop_predicate(sentence, verb, phrase_end(tokens, end))
        else:
            _drop_modifier(sentence, first, end, "preposition")
    else:
        _drop_participle(sentence, head, phrase_end(tokens, end))


# ---- verbs ---------------------------------------------------------------------------------


def _drop_participle(sentence: Sentence, verb: int, end: int) -> None:
    """A participle and all that follows it up to `end`."""
    tokens = sentence.tokens
    first = verb
    while tag_at(tokens, first - 1) == "adverb" and low_at(tokens, first - 1) != "there":
        first -= 1
    tag = tag_at(tokens, first - 1)
    if tag in ("be", "been", "verb", "aux"):
        _drop_predicate(sentence, first - 1, end)
    elif tag == "ing":
        _drop_participle(sentence, first - 1, end)
    elif tag == "base":
        _drop_infinitive(sentence, first - 1, end)
    elif tag == "prep":
        _drop_prepositional(sentence, first, end)
    elif tag == "sub":
        _drop_modifier(sentence, first - 1, end, "participle")
    elif tag == "" and tag_at(tokens, end) != "comma":
        _drop_clause(sentence, verb)
    else:
        _drop_modifier(sentence, first, end, "participle")


def _drop_infinitive(sentence: Sentence, verb: int, end: int) -> None:
    """`to`, the verb behind it and all up to `end`; with what cannot do without it."""
    tokens = sentence.tokens
    first = verb if tokens[verb].tag == "to" else verb - 1
    while tag_at(tokens, first - 1) == "adverb":
        first -= 1
    tag = tag_at(tokens, first - 1)
    if tag_at(tokens, first) in ("modal", "aux") or tag in ("modal", "be", "been", "verb"):
        _drop_predicate(sentence, first if tag not in ("be", "verb") else first - 1, end)
    elif tag in ("ing", "ed"):
        _drop_participle(sentence, first - 1, end)
    elif tag == "behind":
        if tag_at(tokens, first - 2) == "ing":
            _drop_participle(sentence, first - 2, end)
        elif tag_at(tokens, first - 2) in ("be", "adverb", "verb"):
            _drop_predicate(sentence, first - 2, end)
        else:
            _drop_modifier(sentence, first - 1, end, "infinitive")
    elif tag == "base":
        _drop_infinitive(sentence, first - 1, end)
    elif tag == "":
        _drop_clause(sentence, verb)
    else:
        _drop_modifier(sentence, first, end, "infinitive")


def _drop_predicate(sentence: Sentence, verb: int, end: int) -> None:
    """The predicate around the verb: one of two, or the whole clause."""
    tokens = sentence.tokens
    first = verb
    while tag_at(tokens, first - 1) in ("modal", "aux", "be", "been", "adverb"):
        first -= 1
    after = separator_after(tokens, end)
    participle = next((k for k in range(first, end) if tokens[k].tag in ("ing", "ed")), None)
    progressive = participle is not None and any(t.tag == "be" for t in tokens[first:participle])
    if low_at(tokens, end) == "while":
        after = end + 1
    other = tag_at(tokens, after)
    if after > end and tokens[after].finite if after < len(tokens) else False:
        sentence.remove(first, after, "predicate")
    elif after > end and other in ("ing", "ed") and progressive and participle is not None:
        sentence.remove(participle, after, "predicate")
    elif tag_at(tokens, first - 1) == "and":
        sentence.remove(separator_before(tokens, first), end, "predicate")
    elif (subject := _new_subject(tokens, first)) is not None:
        _say_it_exists(sentence, subject, first, end)
    else:
        _drop_clause(sentence, verb)


def _new_subject(tokens: Tokens, verb: int) -> int | None:
    """Where the subject of the verb begins, if it is one that the text names as something new."""
    begin = clause_start(tokens, verb)
    if tag_at(tokens, begin) in ("relative", "sub") or opens_subordinate(tokens, begin):
        return None
    comma = next((k for k in range(begin, verb) if tokens[k].tag == "comma"), None)
    if tag_at(tokens, begin) in ("adverb", "prep") and comma is not None:
        begin = comma + 1
    while tag_at(tokens, begin) in ("and", "adverb"):
        begin += 1
    indefinite = low_at(tokens, begin) in (lex.SINGULAR | lex.PLURAL) - {"these", "those", "every"}
    failing = any(token.mention is not None for token in tokens[begin:verb])
    known = not any(token.noun for token in tokens[begin:verb])
    plain = tag_at(tokens, begin) == "det" and not failing and not known
    return begin if indefinite and plain and low_at(tokens, begin) != "another" else None


def _say_it_exists(sentence: Sentence, subject: int, verb: int, end: int) -> None:
    """ "A cup is placed next to the fork" without its predicate: "There is a cup"."""
    tokens = sentence.tokens
    many = number(tokens, subject) == "many" or any(t.tag == "and" for t in tokens[subject:verb])
    sentence.remove(verb, end, "predicate")
    tokens[subject].text = tokens[subject].low
    sentence.insert(subject, "there", "there")
    sentence.insert(subject + 1, "are" if many else "is", "be")


# ---- clauses -------------------------------------------------------------------------------


def _drop_clause(sentence: Sentence, inside: int) -> None:
    """The clause that holds token `inside`; the sentence if nothing that stands alone is left."""
    tokens = sentence.tokens
    start, end = clause_start(tokens, inside), clause_end(tokens, inside)
    tag = tag_at(tokens, start)
    opening = opening_end(tokens)
    if tag == "and":
        sentence.remove(separator_before(tokens, start + 1), end, "clause")
    elif tag == "sub" and low_at(tokens, start) in ("that", "how", "whether", "if") and start > 0:
        _drop_complement(sentence, start, end)
    elif tag == "relative" or (
        (tag == "sub" or opens_subordinate(tokens, start)) and end < len(tokens)
    ):
        if start == 0 and opening is None:
            sentence.remove_all("sentence")
        else:
            while tag_at(tokens, start - 1) == "prep":
                start -= 1
            _drop_modifier(sentence, start, end, "clause")
    elif opening is not None and start == opening + 1 and low_at(tokens, 0) in ("while", "as"):
        sentence.remove(opening, end, "clause")
        sentence.remove(0, 1, "clause")
    elif start == 0:
        _drop_main(sentence, end)
    else:
        sentence.remove_all("sentence")


def _drop_main(sentence: Sentence, end: int) -> None:
    """The first main clause; a clause that follows takes its place."""
    tokens = sentence.tokens
    after = separator_after(tokens, end)
    if low_at(tokens, after) in ("while", "whereas", "but"):
        after += 1
    promoted = after > separator_after(tokens, end) or any(
        t.tag == "and" for t in tokens[end:after]
    )
    if promoted and tag_at(tokens, after) in (
        "noun",
        "mention",
        "det",
        "there",
        "behind",
        "adverb",
    ):
        sentence.remove(0, after, "clause")
    else:
        sentence.remove_all("sentence")


def _drop_complement(sentence: Sentence, start: int, end: int) -> None:
    """A clause that a verb or participle needs ("suggesting that …")."""
    tokens = sentence.tokens
    if tag_at(tokens, start - 1) == "ing":
        _drop_participle(sentence, start - 1, end)
    else:
        sentence.remove_all("sentence")


def _drop_modifier(sentence: Sentence, start: int, end: int, rule: str) -> None:
    """A phrase that nothing depends on, with the commas or the conjunction that set it off."""
    tokens = sentence.tokens
    left = separator_before(tokens, start)
    joined = any(token.tag == "and" for token in tokens[left:start])
    if start == 0:
        sentence.remove(
            0, separator_after(tokens, end) if tag_at(tokens, end) == "comma" else end, rule
        )
    elif joined or (left < start and tag_at(tokens, end) in ("comma", "point", "")):
        both = not joined and tag_at(tokens, end) == "comma" and _interrupts(tokens, end)
        sentence.remove(left, end + both, rule)
    elif left < start:
        sentence.remove(left, end, rule)
    elif tag_at(tokens, end) == "and" and tag_at(tokens, end + 1) == tag_at(tokens, start):
        sentence.remove(start, end + 1, rule)
    else:
        sentence.remove(start, end, rule)


def _interrupts(tokens: Tokens, comma: int) -> bool:
    """Whether the clause goes on behind the comma, so that both commas of a pair go."""
    return tag_at(tokens, comma + 1) in ("be", "aux", "modal", "verb", "adverb")
