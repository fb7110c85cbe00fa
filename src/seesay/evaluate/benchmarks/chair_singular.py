"""Singulars for CHAIR: as the published scorers find them, with their mistakes.

Both scorers bring every word to a base form before they look it up. Only words of the vocabulary
matter, so a table of their forms does what the libraries do (`pattern.en.singularize`; NLTK's
tagger and WordNet lemmas), and any other word stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from seesay.evaluate.benchmarks.chair_words import WORDS

_IRREGULAR: Final = {
    "babies": "baby", "calves": "calf", "children": "child", "dinghies": "dinghy",
    "dobermen": "doberman", "ferries": "ferry", "gentlemen": "gentleman", "geese": "goose",
    "grandchildren": "grandchild", "huskies": "husky", "knives": "knife", "ladies": "lady",
    "lavatories": "lavatory", "lorries": "lorry", "mice": "mouse", "oxen": "ox",
    "pocketknives": "pocketknife", "policemen": "policeman", "ponies": "pony", "potties": "potty",
    "puppies": "puppy", "servicemen": "serviceman", "tabbies": "tabby", "teddies": "teddy",
    "women": "woman",
}  # fmt: skip
_WITH_ES: Final = """
airbus bench bronco buffalo bus cockatoo couch finch flamingo glass lenovo limo minibus ostrich
palomino sandwich toothbrush
"""


def _plurals() -> dict[str, str]:
    """Form → singular where nothing goes wrong."""
    singulars = {word + "s": word for word in WORDS}
    singulars |= {word + "es": word for word in _WITH_ES.split()}
    return singulars | _IRREGULAR


def _pattern() -> dict[str, str]:
    singulars = _plurals() | {"men": "man", "people": "person", "kine": "cow", "oxes": "ox"}
    # "-s" and "-oes", "-ies" go by rule, too often: "bus" is taken for a plural, and so never
    # counted; "tennis racket" and "sports ball" never merge; "ties" and "canoes" are lost.
    singulars |= {"bus": "bu", "airbus": "airbu", "minibus": "minibu", "glass": "glas"}
    singulars |= {"tennis": "tenni", "sports": "sport", "glas": "gla", "ties": "ty"}
    singulars |= {"canoes": "cano", "magpies": "magpy", "oxens": "oxs"}
    for kept in ("collies", "doggies"):
        del singulars[kept]
    return singulars


PATTERN: Final = _pattern()
"""Form → singular, as `pattern.en.singularize` has it, for forms whose singular is another word."""


def _nouns() -> dict[str, str]:
    # The shortest word that WordNet knows: "vases" is "vas", and "men" is a word of its own.
    nouns = _plurals() | {"vases": "vas", "glasses": "glass", "doggies": "doggy", "oxes": "ox"}
    for kept in ("skis", *(f"{unknown}s" for unknown in _NOT_IN_WORDNET.split())):
        del nouns[kept]
    return nouns


# WordNet does not know these, so their plurals stay plurals and are not counted.
_NOT_IN_WORDNET: Final = """
suv smartphone macbook netbook lenovo pitbull teddybear hairdryer stovetop televison phon skimboard
shortboard wakeboard longboard bluejay coworker firetruck doggie
"""

_VERBS: Final = """
baby backpack ball barge bear bed bench bicycle bike bird boat book bottle bow bowl bull bus cab
cake canoe chair clock couch cow crow cup doctor dog duck father ferry foal fork groom horse hound
jet kayak kid kite knife lamb microwave monitor mother motorcycle parrot phone plane ram sandwich
seat ship sink skateboard ski snowboard spoon surfboard swan table taxi telephone tie train truck
yacht
"""
_DOUBLED: Final = {"cab": "cabb", "ram": "ramm"}


def _verb_forms() -> dict[str, str]:
    forms = {"sank": "sink", "sunk": "sink", "bore": "bear", "born": "bear", "borne": "bear"}
    forms |= {"tying": "tie", "ferried": "ferry"}
    for verb in _VERBS.split():
        stem = _DOUBLED.get(verb, verb)
        forms |= {stem.removesuffix("e") + "ing": verb, stem.removesuffix("e") + "ed": verb}
    return forms


NOUNS: Final = _nouns()
"""Form → the lemma that the published `nltk` scorer finds for a noun."""

VERB_FORMS: Final = _verb_forms()
"""Form → lemma, of verbs whose lemma the vocabulary lists ("seated" → "seat", a chair)."""

_BEFORE_NOUNS: Final = "a an the this that these those its his her their your our my some any no"


def lemmas(tokens: Sequence[str]) -> list[str]:
    """Base forms as the `nltk` scorer finds them.

    The scorer asks a statistical tagger whether "skiing" is a verb; here a rule answers: "-ing" and
    "-ed" forms are verbs unless an article or a possessive stands before them ("the seating").
    """
    found = []
    announcing = frozenset(_BEFORE_NOUNS.split())
    before = ""
    for token in tokens:
        if token in VERB_FORMS and before not in announcing:
            found.append(VERB_FORMS[token])
        else:
            found.append(NOUNS.get(token, token))
        before = token
    return found
