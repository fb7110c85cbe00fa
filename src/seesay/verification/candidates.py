"""The few ways to take a mention out of its sentence, smallest first.

Each only removes: an item of a list with what hangs on it; a trailing modifier (prepositional,
participial, relative) to the end of its clause, all that is coordinated inside it included; what
stands between a subject and its verb; what leads a sentence in; a verb phrase; a clause. Words get
one of some twenty classes from closed lists and endings, the classes of a sentence make a string,
and patterns over that string say where phrases, lists and clauses begin and end. It reads English;
in another language nothing is found but the sentence.

`safe` are those whose rest is a sentence by its form alone. They are never offered where the rest
would say more than the whole did: behind "no", "all" or "only", where a number counts what went,
where a pronoun would lose what it stands for, or where the object of a preposition would go and a
neighbour take its place ("a plate on the table and a towel" is no plate on a towel).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple

from seesay.grounding.questions import with_article


@dataclass(frozen=True, slots=True)
class WordToken:
    """A word or mark of a sentence: its text as it is to be written, the white space before it, its
    characters in the whole text (equal where it was put in), and its class, see `_classes`.
    `mention`: "M" of a failing mention, "K" of one that should stay, "" of none."""

    text: str
    lead: str
    start: int
    end: int
    mention: str = ""

    @property
    def low(self) -> str:
        return self.text.lower().replace("’", "'")


class Candidate(NamedTuple):
    """What would be left of a sentence, by which kind of edit, and whether it is safe unjudged."""

    tokens: list[WordToken]
    kind: str
    safe: bool


_TOKEN: Final = re.compile(
    r"\w+(?:[-'’.]\w+)*(?=n['’]t\b)|n['’]t\b|['’]s\b|\w+(?:[-'’.,]\w+)*|[^\w\s]+?"
)


def tokenize(
    text: str,
    start: int,
    end: int,
    failing: Sequence[tuple[int, int]],
    others: Sequence[tuple[int, int]],
) -> list[WordToken]:
    """The tokens of `text[start:end]`; `failing` and `others` are in order and within it."""
    tokens, last = [], start
    marks = sorted([(*span, "M") for span in failing] + [(*span, "K") for span in others])
    k = 0
    for match in _TOKEN.finditer(text, start, end):
        at, to = match.span()
        while k < len(marks) and marks[k][1] <= at:
            k += 1
        inside = {mark for a, b, mark in marks[k : k + 4] if a < to and at < b}
        mention = "M" if "M" in inside else "K" if inside else ""
        tokens.append(WordToken(match.group(), text[last:at], at, to, mention))
        last = to
    return tokens


# ---- word classes ----------------------------------------------------------------------------


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


NUMBERS: Final = _set("two three four five six seven eight nine ten eleven twelve dozen pair")
_UNIVERSAL: Final = _set(
    """
    no not n't never without only all every each any most none nobody neither nor few hardly rarely
    except unless if cannot whether instead rather than
    """
)
_TOGETHER: Final = _set(
    """
    both respectively former latter others between among amongst together either combination mix
    mixture contrast blend each
    """
)
_POSSESSIVE: Final = _set("his her its their")
_DETERMINERS: Final = _POSSESSIVE | _set(
    """
    a an the one another this these those some several many multiple numerous few various half my
    your our other two three four five six seven eight nine ten eleven twelve
    """
)
_BE: Final = _set("is are was were 's 're")
_AUXILIARIES: Final = _set("has have had can could may might must should will would do does did be")
_PREPOSITIONS: Final = _set(
    """
    in on at by near behind beside beneath underneath under above below over across against along
    alongside amid around through throughout toward towards into onto inside outside within upon
    opposite past beyond atop off up down with from for about during before after despite via amidst
    including featuring per like
    """
)
_PRONOUNS: Final = _set(
    """
    it he she they them him we us i you someone everyone something itself himself herself themselves
    """
)
_RELATIVES: Final = _set("who whom which whose where that")
_SUBORDINATORS: Final = _set("while because since when although though whereas as so")
_ADVERBS: Final = _set(
    """
    also very quite too just still nearby here there away almost already even perhaps maybe then now
    again more less slightly once indoors outdoors apart aside upright ahead back forward overhead
    alone so well likely left right further side-by-side
    """
)
_PARTICIPLES: Final = _set(
    """
    seen worn held taken made set cut shown built kept hung laid spread drawn driven eaten found
    given known lit put sat thrown tied wrapped written hidden caught broken been
    """
)
_ING_NOUNS: Final = _set(
    """
    building buildings ceiling clothing painting railing awning ring wing string king spring swing
    evening morning thing something nothing everything anything wedding living dining swimming
    parking cutting landing crossing setting gathering serving topping lighting seating flooring
    during
    """
)
_ED_NOUNS: Final = _set("red bed shed sled seed weed feed speed hundred moped need")
_THIRD: Final = _set(
    """
    adds allows appears balances belongs brings carries catches chases comes consists contains
    contributes covers creates crosses cuts depicts displays drives eats emphasizes enhances enjoys
    faces features feeds fills flies follows gazes gets gives glides goes grazes grows hangs helps
    highlights hits holds includes indicates interacts jumps keeps leads leans lies listens looks
    makes moves observes occupies overlooks plays points poses prepares pulls pushes reaches reads
    relaxes remains reveals rides rises runs says sees seems sells serves shines shows showcases
    sits skates sleeps smiles soars stands stares stays steps stretches suggests surfs surrounds
    swims takes talks throws touches travels tries uses waits walks watches wears works rests
    captures conveys resembles skis snowboards performs navigates attempts
    """
)
# Nouns and adjectives that say nothing without the phrase behind them.
_NEEDY: Final = _set(
    """
    full ready able close adjacent similar due next complete aware part side variety number lot
    couple pair group kind type sort front top middle edge center bottom addition means way lack
    presence use sense sign reason chance opportunity more such rather out up one away far easy
    either perfect
    """
)
_ADJECTIVES: Final = _set(
    """
    red green blue yellow black white brown gray grey orange pink purple golden silver dark light
    bright large small big little tiny huge tall short long old young new modern round square wooden
    metal plastic glass clean clear beautiful colorful fresh delicious cozy elegant lush stylish
    vintage sunny spacious quiet busy
    """
)
# Verbs, participles and adjectives that a sentence may end with.
_ENDING: Final = _set(
    """
    sitting standing walking waiting parked seen running playing sleeping flying swimming skiing
    surfing seated relaxing gathered displayed moving driving working smiling talking posing jumping
    painted furnished spotted shown grazing hanging floating laughing dancing skateboarding
    snowboarding sailing cooking racing blooming visible present open closed available empty busy
    well-lit well-equipped well-furnished well-organized scattered quiet clean white black red blue
    green yellow brown small large tall round wooden young old sit sits stand stands walk walks run
    runs sleep sleeps play plays wait waits smile smiles gather jump jumps fly flies rest relax work
    """
)
_STATES: Final = _set("include contain appear seem create suggest indicate depict show belong")
_ALONE: Final = _set("one another some several many others these this those")
_EXISTS: Final = _set(
    """
    shows features includes contains depicts displays showing featuring including see sees has have
    """
)
_PARTS: Final = (
    "left|right|top|bottom|middle|cent(?:er|re)|front|back|edges?|sides?|corners?|ends?|rear|base|"
    "foot|head|surface|inside|outside|rest|midst|vicinity"
)
_COMPOUND: Final = re.compile(
    r"\b(?:next to|close to|closer to|adjacent to|in addition to|due to|out of|such as|along with|"
    r"together with|in between|ahead of|away from|instead of|far from|off of|inside of|outside of|"
    r"in front of|on top of|as well as|in case of|because of|on board|"
    r"(?:in|on|at|to|from|towards?|near|along) (?:the |either |both |each |opposite )?"
    rf"(?:\w+[ -]){{0,2}}?(?:{_PARTS}) of)\b"
)


def classes(tokens: Sequence[WordToken]) -> str:
    """One letter a token: D determiner, N open word, M and K mention that fails and that stays, P
    preposition, O of, t to, B be, A auxiliary, V finite verb, G and E participle, C conjunction,
    R relative word, S subordinator, H pronoun, T "there", a adverb, X no and not, ":" ";" "," and
    "." other marks."""
    found = [_alone(token) for token in tokens]
    words = [token.low for token in tokens]
    for k, word in enumerate(words):
        if found[k] in "MK":
            continue
        before, after = found[k - 1] if k else "", found[k + 1] if k + 1 < len(found) else ""
        if word == "there" and after in ("B", "A", "V"):
            found[k] = "T"
        elif word in ("left", "right", "back", "front") and before == "D":
            found[k] = "N"
        elif word == "that" and before not in ("N", "K", "M"):
            found[k] = "S"
        elif word == "her" and after not in ("N", "K", "M", "E"):
            found[k] = "H"
        elif word in _ALONE:
            found[k] = "D" if after in ("N", "K", "M", "E", "G", "O", "D") else "N"
        elif word == "'s" and before in ("N", "K", "M") and after in ("N", "K", "M", "E"):
            found[k] = "N"  # the man's hat
        elif found[k] == "V" and before in ("D", "P", "O"):
            found[k] = "N"
        elif found[k] == "N" and word + "s" in _THIRD and before in ("N", "K", "M", "H", "R"):
            several = (
                before in ("H", "R") or _plural(words[k - 1]) or "C" in found[:k] or after == "D"
            )
            found[k] = "V" if several else "N"
        elif (
            found[k] in ("E", "G") and before == "D" and after not in ("N", "K", "M", "E", "G", "D")
        ):
            found[k] = "N"
        elif found[k] == "N" and (before == "A" or (word in _STATES and before in ("N", "K", "M"))):
            found[k] = "V"
        elif found[k] == "N" and before == "t":
            found[k] = "V" if after in ("D", "P", "N", "K", "M", "H", "a") else "N"
        elif word in ("can", "watch", "face") and before == "D":
            found[k] = "N"
        elif (
            found[k] == "N"
            and after == "D"
            and before in ("N", "K", "M", "C")
            and words[k + 1] != "other"
        ):
            found[k] = "V"  # no noun stands between a noun and a determiner
    _compounds(tokens, found)
    return "".join(found)


def _alone(token: WordToken) -> str:
    word = token.low
    if token.mention:
        return token.mention
    if not any(map(str.isalnum, word)):
        return word if word in (",", ":", ";") else "C" if word == "&" else "."
    for letter, known in _CLASSES:
        if word in known:
            return letter
    if word.isdigit():
        return "D"
    if word.endswith("ing") and len(word) > 4 and word not in _ING_NOUNS:
        return "G"
    if word in _PARTICIPLES or (word.endswith("ed") and len(word) > 3 and word not in _ED_NOUNS):
        return "E"
    adverb = word.endswith("ly") and len(word) > 4
    if adverb and word not in ("family", "lovely", "friendly", "butterfly"):
        return "a"
    return "N"


_CLASSES: Final = (
    ("X", _set("no not n't never without none nobody neither nor cannot")), ("O", _set("of")),
    ("t", _set("to")), ("B", _BE), ("A", _AUXILIARIES), ("R", _RELATIVES), ("S", _SUBORDINATORS),
    ("C", _set("and or but")), ("H", _PRONOUNS),
    ("D", _DETERMINERS | _set("all both each every any most no")),
    ("a", _ADVERBS), ("P", _PREPOSITIONS | _set("between among amongst")), ("V", _THIRD),
)  # fmt: skip


def _compounds(tokens: Sequence[WordToken], found: list[str]) -> None:
    """Words of a compound preposition are all prepositions: "in front of", "to the left of"."""
    joined, places = "", []
    for token in tokens:
        places.append(len(joined))
        joined += token.low + " "
    at = {place: k for k, place in enumerate(places)}
    for match in _COMPOUND.finditer(joined):
        first, words = at.get(match.start()), match[0].count(" ") + 1
        if first is not None and not set("MK") & set(found[first : first + words]):
            found[first : first + words] = "P" * words


def _plural(word: str) -> bool:
    return word in ("people", "men", "women", "children", "sheep", "mice", "geese", "they") or (
        word.endswith("s") and not word.endswith(("ss", "us", "'s"))
    )


# ---- a sentence ------------------------------------------------------------------------------

_NOUNS: Final = "NKM"
_PHRASE: Final = re.compile(
    r"(?:D[DaO]*)?(?:a?[NEGKM](?:,(?=[NE]))?)*[NKM](?:OD*(?:a?[NEG])*[NKM]+)*"
)
_CLAUSE: Final = re.compile(
    r"(?:,?C?|;)a?,?(?:T[BAV]|S?(?:D[DaO]*)?(?:a?[NEG])*[NKM]+(?:OD*[NEGKM]+)*(?:PD*[NEKM]+)?(?:CD*[NEKM]+)?a?[BAV]|H[BAVa])"
)


class Sentence:
    """A tagged sentence and the edits that it allows."""

    def __init__(self, tokens: Sequence[WordToken]) -> None:
        self.tokens = list(tokens)
        self.c = classes(tokens)
        self.end = len(self.c)
        while self.end and self.c[self.end - 1] in ".":
            self.end -= 1

    def candidates(self) -> Iterator[Candidate]:
        """Ways to take the first failing mention out, smallest first; the whole sentence is none of
        them."""
        first = self.c.index("M")
        start, end = self._phrase(first)
        for low, high, kind, safe in self._cuts(start, end):
            if low < high and not (low == 0 and high >= self.end):
                made = self._without(low, high, kind)
                if made is not None and self._says_no_more(low, high, kind):
                    yield Candidate(made, kind, safe)

    def _phrase(self, at: int) -> tuple[int, int]:
        """The noun phrase of the mention at `at`, with the noun of which it is an "of"."""
        for match in _PHRASE.finditer(self.c):
            if match.start() <= at < match.end():
                return match.span()
        return at, at + 1

    def _cuts(self, start: int, end: int) -> Iterator[tuple[int, int, str, bool]]:
        yield from self._items(start, end)
        yield from self._modifiers(start, end)
        yield from self._leads(start)
        yield from self._clauses(start)

    # ---- lists

    def _items(self, start: int, end: int) -> Iterator[tuple[int, int, str, bool]]:
        """The phrase as an item of a list, with what hangs on it."""
        c, stop = self.c, self._item_end(end)
        left, right = self._joint_before(start), self._joint_behind(stop)
        if c[end - 1] not in "MK" or ("O" in c[start:end] and c[stop : stop + 1] == "C"):
            return  # a verb may hide in it; a neighbour may share its "of"
        if end < self.end and c[end] in "BAV":
            if left is not None and self._subject_list(start) is not None:
                yield left, end, "item", self._parallel(start, end, left)
        elif left is not None and stop < self.end and c[stop] in "BAV":
            return
        elif left is not None:
            if (
                right is not None or stop >= self.end or c[stop] in ",;S"
            ) and not self._verb_behind(stop):
                yield left, stop, "item", self._parallel(start, end, left)
        elif right is not None and c[right] in "DNKM" and (c[right] == "D" or c[start] != "D"):
            before = start - 1
            while before >= 0 and c[before] == "a":
                before -= 1
            exists = before >= 0 and (
                c[before] == ":"
                or (c[before] == "B" and c[before - 1 : before] == "T")
                or (c[before] != "A" and self.tokens[before].low in _EXISTS)
            )
            if (exists and not self._verb_behind(right)) or (
                start == 0 and self._subject_list(right) == 0
            ):
                yield start, right, "item", True

    def _parallel(self, start: int, end: int, left: int) -> bool:
        """Whether what stands before a list's comma or conjunction is an item like this one, and no
        adjective of it ("a large, black and white bowl")."""
        if self.tokens[left - 1].low in _ADJECTIVES or self.c[left - 1] not in "NKM" + "aE":
            return False
        return self.c[start] == "D" or _plural(self.tokens[end - 1].low) or self.c[left - 1] in "KM"

    def _verb_behind(self, k: int) -> bool:
        """Whether a finite verb stands behind k in the same clause: its subject may be the item."""
        match = re.compile(r"(?:(?!,?C?a?T)[^RS;BAV])*").match(self.c, k, self.end)
        at = self.end if match is None else match.end()
        while k < at:
            if self.c[k : k + 2] in (",C", ",S") and _CLAUSE.match(self.c, k, self.end):
                return False
            k += 1
        return at < self.end and self.c[at] in "BAV"

    def _item_end(self, end: int) -> int:
        """Where an item and what hangs on it end: at a comma, a conjunction or a finite verb."""
        k = end
        while k < self.end and self.c[k] not in ",;:CSBAVT":
            if self.c[k] == "R":
                while k < self.end and self.c[k] not in ",;:CS":
                    k += 1
                return k
            k += 1
        return k

    def _joint_before(self, start: int) -> int | None:
        """Where the comma or conjunction before an item begins."""
        match = re.search(r"(?:,C?|C)$", self.c[max(0, start - 2) : start])
        return None if match is None or start - len(match[0]) == 0 else start - len(match[0])

    def _joint_behind(self, stop: int) -> int | None:
        """Where the item behind the comma or conjunction at `stop` begins."""
        match = re.compile(r"(?:,C?|C)(?=[DNKMa])").match(self.c, stop, self.end)
        if match is None or _CLAUSE.match(self.c, stop, self.end) is not None:
            return None
        return match.end()

    def _subject_list(self, start: int) -> int | None:
        """The first item of a list of subjects that holds the item at `start`: plain noun phrases
        from where the sentence begins to its verb."""
        match = re.compile(
            r"(?:D[Da]*)?[NEGKM]*[NKM](?:(?:,C?|C)(?:D[Da]*)?[NEGKM]*[NKM])+[BAV]"
        ).match(self.c)
        return 0 if match is not None and match.end() > start else None

    # ---- modifiers

    def _modifiers(self, start: int, end: int) -> Iterator[tuple[int, int, str, bool]]:
        """The modifiers that hold the phrase, inmost first, each to the places where it ends."""
        c, k, found, inside = self.c, start, 0, False  # inside a clause, behind its verb
        while k > 0 and found < 4:
            k -= 1
            if c[k] in ";:" or (c[k] == "," and _CLAUSE.match(c, k, self.end)):
                return
            verb = c[k] in "BAV" and c[k - 1 : k] not in ("t", "A", "B")
            joined = verb and k > 1 and c[k - 1] == "C"
            inside = inside or (verb and not joined)
            if (c[k] in "PGEt" and not inside) or c[k] in "RS" or joined:
                if (opener := self._opener(k)) is None:
                    continue
                found, inside = found + 1, False
                yield from self._ends(opener, end)
                k = min(k, opener)

    def _opener(self, k: int) -> int | None:
        """Where a cut that holds the modifier at k begins, if what stands before it is whole."""
        c = self.c
        while k > 0:
            before = c[k - 1]
            if before == "," or before == "C":
                k -= 1
                if before == "C" and c[k] == "C" and c[k + 1] not in "GVBAPEa":
                    return None
                continue
            if before in "aPSt" or (before in "GE" and self.tokens[k - 1].low not in _ENDING):
                k -= 1  # "sitting quietly on", "from behind"; "a bench | located near"
                continue
            break
        if k <= 0 or (c[k] == "S" and self.tokens[k].low == "that"):
            return None
        if c[k - 1] not in "NKMVEGH" or self.tokens[k - 1].low in _NEEDY:
            return None
        last, verb = self.tokens[k - 1].low, re.search("[B,]a?$", c[: k - 1])
        if last not in _ENDING and (
            c[k - 1] in "GEV" or (c[k - 1] == "N" and verb and not _plural(last))
        ):
            return None
        return k

    def _ends(self, opener: int, end: int) -> Iterator[tuple[int, int, str, bool]]:
        """The places where a modifier that opens at `opener` and holds what ends at `end` ends."""
        c = self.c
        behind = bool(re.search("[BAV]", c[:opener]))
        if not behind:
            # between a subject and its verb
            match = re.compile(r"[^,;:CBAVTSH]*(?=a?[BAV])").match(c, end, self.end)
            if match is not None and not re.search("[,C;:R]", c[opener:end]):
                yield opener, match.end(), "modifier", self._plain_subject(opener)
            if re.search("[BAV]", c):
                return
        for k in range(end, self.end):
            if c[k] in ",;S" or c[k] == "C":
                participial = c[k] == "," and c[k + 1 : k + 2] == "G"
                clause = _CLAUSE.match(c, k, self.end) is not None
                if participial or clause or c[k] in ";S":
                    yield opener, k, "modifier", clause or c[k] == ";" or participial
                    if clause:
                        return
        yield opener, self.end, "modifier", True

    def _plain_subject(self, opener: int) -> bool:
        return re.fullmatch(r"(?:D[Da]*)?(?:a?[NEG])*[NKM]+", self.c[:opener]) is not None

    # ---- what leads in, and clauses

    def _leads(self, start: int) -> Iterator[tuple[int, int, str, bool]]:
        """What stands before the main clause: "On the table, there is a fork"."""
        c = self.c
        if c[0] not in "PGESa":
            return
        for match in re.finditer(",", c[: self.end]):
            k = match.start()
            if k > start and _CLAUSE.match(c, k, self.end):
                if c[k + 1 : k + 2] in ("T", "D", "N", "K", "M"):
                    inside = c[:k]
                    yield 0, k + 1, "lead", c[0] != "S" or "," not in inside
                return

    def _clauses(self, start: int) -> Iterator[tuple[int, int, str, bool]]:
        """The clause that names the mention, beside others."""
        c, last = self.c, 0
        bounds: list[int] = []
        for k in range(1, self.end):
            if c[k] not in ",;CS" or (bounds and bounds[-1] == k - 1):
                continue
            word = self.tokens[k + (c[k] == "," and k + 1 < self.end)].low
            joins = c[k] == ";" or word in ("and", "but", "while", "whereas", "although")
            # A verb of its own stands before, not in what only leads in ("Near it, a cup and …").
            begun = max(c.rfind(",", last, k), last)
            whole = re.search("[BAV]", c[begun:k]) or (
                "," not in c[last:k] and re.search("[BAV]", c[last:k])
            )
            verb = max(c.rfind(letter, 0, k) for letter in "BAV")
            if (
                joins
                and whole
                and not re.search("[SRX]", c[verb:k])
                and _CLAUSE.match(c, k, self.end)
            ):
                bounds.append(k)
                last = k
        inside = [b for b in bounds if b <= start]
        after = [b for b in bounds if b > start]
        if inside:
            yield inside[-1], after[0] if after else self.end, "clause", True
        elif after:
            k = after[0]
            while k < self.end and c[k] in ",;CS":
                k += 1
            if self.tokens[k].low not in _GROUP:
                yield 0, k, "clause", c[0] != "S"

    # ---- what is left

    def _says_no_more(self, low: int, high: int, kind: str) -> bool:
        """Whether what is left says nothing that the whole did not."""
        kept = [*self.tokens[:low], *self.tokens[high : self.end]]
        words = {token.low for token in kept}
        few = {"few"} if "a few" in " ".join(token.low for token in kept) else set()
        if kind in ("item", "modifier") and words & _UNIVERSAL - few:
            return False
        behind = {token.low for token in self.tokens[high:]}
        if behind & _REFERRING or (kind in ("clause", "lead") and low == 0 and behind & _PERSONAL):
            return False
        if kind != "item":
            return not (self.c[low] == "C" and words & _set("both either not"))
        if words & _TOGETHER or "each other" in " ".join(t.low for t in kept):
            return False
        return not self._counts(low)

    def _counts(self, low: int) -> bool:
        """Whether a number before a list says how many it names: "three animals: a dog, …"."""
        before = self.c[:low]
        chain = max(before.rfind(":"), before.rfind("B") if "T" not in before else -1)
        listed = re.search(r"[NKM],D[NE]*[NKM]*(?:,.*)?$", before)
        if chain < 0 and listed is not None and re.search("[BV]", before[: listed.start()]):
            chain = listed.start() + 1
        return chain >= 0 and any(token.low in NUMBERS for token in self.tokens[:chain])

    def _without(self, low: int, high: int, kind: str) -> list[WordToken] | None:
        """The tokens without low..high, mended; None if no verb or noun is left."""
        c = self.c
        tokens = [*self.tokens[:low], *self.tokens[high:]]
        if not any(letter in "NKMH" for letter in c[:low] + c[high : self.end]):
            return None
        if kind == "item":
            listed = self._relisted(low, high)
            if listed is None:
                return None
            tokens = listed
        if low == 0:
            opens = self.tokens[0]
            tokens[0] = replace(tokens[0], lead=opens.lead)
            if opens.text[:1].isupper() and tokens[0].text[:1].islower():
                tokens[0] = replace(tokens[0], text=tokens[0].text[:1].upper() + tokens[0].text[1:])
        while len(tokens) > 1 and tokens[0].text in (",", ";"):
            tokens = tokens[1:]
        return tokens

    def _relisted(self, low: int, high: int) -> list[WordToken] | None:
        """A list without its item low..high: its conjunction, comma and verb as what is left needs
        them. None where it may be no list."""
        c, tokens = self.c, self.tokens
        left, right = list(tokens[:low]), list(tokens[high:])
        commas = self._commas(low)
        if c[low] not in ",C":
            match = _PHRASE.match(c, high)
            if (
                match is not None
                and c[match.end() : match.end() + 2] == ",C"
                and len(right) > match.end() - high
            ):
                del right[match.end() - high]  # "a, b, and c" without a
        elif "C" in c[low : low + 2] and commas:
            # The last item went: the one before it is the last one now.
            k = commas[0]
            if c[k + 1] == "a":
                return None  # "people, likely guests or staff" is no list of three
            word = next(
                token for token in tokens[low:high] if token.low in ("and", "or", "but", "&")
            )
            oxford = c[low] == "," and len(commas) > 1
            left = [
                *tokens[: k + oxford],
                replace(word, lead=" ", end=word.start),
                *tokens[k + 1 : low],
            ]
        elif c[low] == "," and c[high : high + 2] == ",C" and not commas:
            right = right[1:]  # "a, b, and c" without b
        return self._agreeing(left, right, len(left))

    def _commas(self, low: int) -> list[int]:
        """The commas between the items of a list that goes on at `low`, the last one first."""
        found, k = [], low
        while (at := self.c.rfind(",", 0, k)) >= 0 and self._separates(at, k):
            found.append(at)
            k = at
        return found

    def _separates(self, at: int, end: int) -> bool:
        """Whether the comma at `at` stands between two noun phrases, the second up to `end`."""
        plain = re.compile(r"(?:D[DaO]*)?a?[NEGKM]*[NKM](?:[PO]D*[NEKM]*[NKM])*").fullmatch(
            self.c, at + 1, end
        )
        return (
            plain is not None
            and self.c[at - 1] in _NOUNS
            and self.tokens[at - 1].low not in _ADJECTIVES
        )

    def _agreeing(self, left: list[WordToken], right: list[WordToken], cut: int) -> list[WordToken]:
        """The verb as many as what is left of its list, behind "there" and before a verb."""
        tokens = [*left, *right]
        known = {(t.start, t.end): letter for t, letter in zip(self.tokens, self.c, strict=True)}
        c = "".join(known.get((token.start, token.end), "C") for token in tokens)
        there = re.search("(?:T|^P[^BAVT,]*)a?B", c)
        if there is not None and there.end() <= cut:
            phrase = _PHRASE.match(c, there.end() + (c[there.end() : there.end() + 1] == "a"))
            if phrase is not None:
                only = c[phrase.end() : phrase.end() + 1] not in (",", "C")
                if only or cut == there.end():
                    _inflect(tokens, there.end() - 1, _many(tokens[phrase.start() : phrase.end()]))
            return tokens
        match = re.match(r"(?:D[Da]*)?[NEGKM]*[NKM](?=a?([BAV]))", c)
        if match is not None and match.end() >= cut - 1:
            _inflect(tokens, match.start(1), _many(tokens[: match.end()]))
        return tokens


_REFERRING: Final = _set("it its itself they them their theirs which this these those ones one")
_GROUP: Final = _set(
    """
    other others another both some one each all most many either neither two three
    """
)
_PERSONAL: Final = _set("he she him his her himself herself")
_VERB_NUMBER: Final = {
    **{re.sub("(?<=[cs]h)es$|(?<!ie)s$", "", word): word for word in _THIRD},
    **{"are": "is", "were": "was", "have": "has", "do": "does", "go": "goes"},
}


def _many(phrase: Sequence[WordToken]) -> bool:
    words = [token.low for token in phrase]
    head = words[: words.index("of")] if "of" in words else words
    if head[:1] and head[0] in ("a", "an", "one", "another", "each"):
        return head[1:2] in (["few"], ["couple"], ["number"], ["lot"], ["pair"], ["dozen"])
    return bool(head) and (
        head[0] in NUMBERS or head[0] in ("several", "many", "some") or _plural(head[-1])
    )


def _inflect(tokens: list[WordToken], k: int, many: bool) -> None:
    word = tokens[k].low
    new = {"is": "are", "was": "were"}.get(word) if many else _VERB_NUMBER.get(word)
    if new is not None:
        tokens[k] = replace(
            tokens[k], text=new.capitalize() if tokens[k].text[0].isupper() else new
        )


# ---- single words ----------------------------------------------------------------------------


def without_word(tokens: Sequence[WordToken], at: int) -> list[WordToken]:
    """A sentence without the attribute or number at `at`, what shades it, and the conjunction or
    comma that joined it to others; the article before it as the next word's sound wants it."""
    start, end, c = at, at + 1, classes(tokens)
    while start and (c[start - 1] == "a" or tokens[start - 1].low in _SHADES):
        start -= 1
    joint_before = start and c[start - 1] in ",C"
    joint_behind = end < len(c) and c[end] in ",C"
    put: list[WordToken] = []
    if joint_behind and not joint_before:
        end += 1 + (c[end : end + 2] == ",C")
    elif joint_before:
        start -= 1 + (c[start - 2 : start] == ",C")
        comma = c[:start].rfind(",")
        if not joint_behind and c[at - 1] == "C" and comma == start - 2:
            # "red, white and blue" without its last
            word = tokens[at - 1]
            put = [*tokens[:comma], replace(word, end=word.start), *tokens[comma + 1 : start]]
    new = [*(put or tokens[:start]), *tokens[end:]]
    k = len(put) if put else start
    if k == 0 and new:
        new[0] = replace(
            new[0], lead=tokens[0].lead, text=new[0].text[:1].upper() + new[0].text[1:]
        )
    if k and k < len(new) and new[k - 1].low in ("a", "an"):
        article = with_article(new[k].text).split()[0]
        old = new[k - 1].text
        new[k - 1] = replace(new[k - 1], text=article.capitalize() if old[0].isupper() else article)
    return new


_SHADES: Final = _set("bright dark light pale deep")
