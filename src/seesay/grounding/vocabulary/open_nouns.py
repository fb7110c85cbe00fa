"""Every noun that names a thing: the vocabulary `open`.

A part-of-speech tagger finds the nouns (the Hanover Tagger, whose English model comes inside its
wheel: no download); nouns that name no thing one could point at are left out by a list and by
their endings. A compound is one mention ("dining table"), its class the noun in the singular.

Which nouns name something that can be pointed at in a picture.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from seesay.errors import InputError
from seesay.grounding.sentences import sentences
from seesay.grounding.vocabulary.matching import Vocabulary, Word, pluralized

MODEL: Final = "morphmodel_en.pgz"
_TOKEN: Final = re.compile(r"\w+(?:[-.]\w+)*|['’]\w+|[^\w\s]")
_NOUN: Final = ("NN", "NP", "UNC")  # BNC tags: common, proper, and what the tagger cannot place


class _Tagged(NamedTuple):
    word: str
    lemma: str
    tag: str
    start: int
    end: int


class OpenVocabulary(Vocabulary):
    """Nouns that name things, whatever they are.

    Measured on the 2,000 LLaVA captions of POPE, 19,000 mentions: 99 % of the mentions that the
    COCO list finds are found, and of 240 mentions in 25 captions read by a person 98 % named a
    thing (`tests/grounding/test_open_words.py` holds the first figure). What it misses and invents:

    * a noun that is also an adjective or verb and is tagged so ("the orange", "a Wii remote"), and
      now and then a word that the tagger has never seen;
    * names of persons, places and brands, and common nouns written like one ("a Frisbee"): proper
      nouns count only inside a compound;
    * things whose words are mostly abstract and therefore left out ("a display", "the structure");
    * the other way, abstract nouns of no telling ending slip through ("adrenaline"); rooms,
      landscapes and weather ("kitchen", "field", "snow") are things here;
    * it knows no synonyms: a couch and a sofa are two classes.

    Text is taken to be English.
    """

    def __init__(self) -> None:
        super().__init__("open", {})
        _tagger()  # a missing tagger is told now, not in the middle of a run

    def find(self, text: str) -> list[Word]:
        """Every noun of `text` that names a thing, in order, never overlapping."""
        words = []
        for start, end in sentences(text):
            for compound in _compounds(_tag(text, start, end)):
                while compound and not _names_thing(compound):
                    compound.pop()  # a slice of pizza by another name: "pizza slice"
                if compound:
                    name = " ".join([*(t.word.lower() for t in compound[:-1]), _one(compound[-1])])
                    words.append(Word(name, compound[0].start, compound[-1].end))
        return words


def _names_thing(compound: list[_Tagged]) -> bool:
    head, noun = compound[-1], _one(compound[-1])
    if len(compound) > 1 and f"{compound[-2].word.lower()} {noun}" in NAMES_OF_TWO:
        return True
    return not head.tag.startswith("NP") and is_thing(noun)


def _compounds(tagged: list[_Tagged]) -> list[list[_Tagged]]:
    """Runs of nouns next to each other, with the adjective that is part of a name."""
    runs: list[list[_Tagged]] = []
    previous: _Tagged | None = None
    for word in tagged:
        if word.tag.startswith(_NOUN) and len(word.word) > 1:
            if previous is not None and runs and runs[-1][-1] is previous:
                runs[-1].append(word)
            elif previous is not None and f"{previous.word.lower()} {_one(word)}" in NAMES_OF_TWO:
                runs.append([previous, word])
            else:
                runs.append([word])
        previous = word
    return runs


def _one(tagged: _Tagged) -> str:
    """The noun in the singular. The tagger cuts a silent e off words that it does not know."""
    lemma, word = tagged.lemma.lower(), tagged.word.lower()
    if pluralized(word) == word:
        return word
    for whole in (word, word[:-1]):
        if whole == lemma + "e" and pluralized(lemma) != word:
            return whole
    return lemma


def _tag(text: str, start: int, end: int) -> list[_Tagged]:
    tokens = list(_TOKEN.finditer(text, start, end))
    if not tokens:
        return []
    tags = _tagger().tag_sent([token.group() for token in tokens])
    return [
        _Tagged(token.group(), lemma, tag, *token.span())
        for token, (_, lemma, tag) in zip(tokens, tags, strict=True)
    ]


@lru_cache
def _tagger() -> Any:
    try:
        from HanTa.HanoverTagger import HanoverTagger
    except ImportError:
        raise InputError(
            "the vocabulary 'open' needs a part-of-speech tagger; "
            "install it with: pip install 'seesay[open]'"
        ) from None
    return HanoverTagger(MODEL)


def is_thing(noun: str) -> bool:
    """Whether `noun`, lower case and singular, names a thing: not listed, no abstract ending."""
    if noun in _NO_THINGS:
        return False
    return noun in _THINGS or not noun.endswith(_ABSTRACT_ENDINGS)


NAMES_OF_TWO: Final = frozenset(
    {
        "hot dog", "potted plant", "polar bear", "remote control", "remote controller",
        "stuffed animal", "parking lot", "grand piano", "wild animal",
        "double decker", "rolling pin", "swimming pool", "cutting board",
    }
)  # fmt: skip
"""Names of two words whose first is no noun or whose second alone names no thing."""

_ABSTRACT_ENDINGS: Final = (
    "ness", "ity", "tion", "sion", "ment", "ance", "ence", "ancy", "ency", "ism", "ship", "hood",
    "dom", "ing", "ure", "acy", "cy", "tude",
)  # fmt: skip

# Things in spite of their endings.
_THINGS: Final = frozenset(
    """
    station intersection decoration vegetation plantation television reflection construction
    pavement apartment equipment monument instrument compartment garment ornament ointment
    cement basement
    fence ambulance appliance audience entrance residence conference plant ship steamship battleship
    building clothing ceiling painting railing awning ring wing string king spring swing
    earring
    sibling dumpling crossing wedding stuffing topping frosting icing pudding seating lighting
    wiring
    lightning duckling gosling herring ping sling parking landing dressing drawing carving
    city university community electricity utility fireplace picture structure furniture sculpture
    fixture manure creature pasture
    agency pharmacy infant elephant giant restaurant bus mousse
    """.split()  # noqa: SIM905
) - {"picture"}

# Frames, places within the picture, amounts, relations, events, feelings and acts.
_NO_THINGS: Final = frozenset(
    """
    image picture photo photograph scene view shot snapshot frame background foreground backdrop
    caption focus setting close-up perspective depiction glimpse viewer subject context
    side left right top bottom middle center centre front back end edge corner portion part section
    area region space place location spot position distance direction vicinity midst surroundings
    environment atmosphere ambiance ambience vibe mood aura surface level height width depth angle
    point line way rest half inside outside interior exterior outdoors indoors mid-air midair air
    group couple pair number lot variety array assortment collection set row bunch pile stack dozen
    cluster herd total amount plenty abundance handful range selection mix combination series
    majority bit piece slice kind type sort style form shape size color colour pattern texture
    design material detail addition arrangement display item object thing element feature aspect
    other one some none all each another both first second third
    time day night morning afternoon evening moment hour minute season summer winter autumn spring
    while journey trip adventure travel event occasion celebration gathering party game match
    competition race session practice break meal breakfast lunch dinner activity action movement
    motion process progress task work job project use purpose effort trick stunt jump ride turn
    move maneuver pose swing play sport leisure recreation relaxation fun entertainment performance
    show conversation discussion interaction communication connection contact bond relationship
    companionship company camaraderie attention interest curiosity excitement joy enjoyment
    enthusiasm anticipation determination skill talent ability expertise experience athleticism
    agility balance focus concentration care safety comfort warmth beauty charm elegance essence
    touch sense feeling feel impression appearance look sight presence life nature style theme
    vibe contrast highlight effect impact role example reason result fact idea story information
    message language word name title text number expression emotion smile attitude spirit energy
    power speed flow order rule state condition situation case choice option need challenge
    opportunity chance possibility potential preference importance value quality service support
    help protection attire culture history tradition art fashion technology transportation traffic
    business trade industry weather climate temperature sunset sunrise dusk dawn daylight
    shade glow reflection
    flavor flavour taste smell sound noise music voice silence peace calm harmony tranquility
    serenity nightlife routine habit lifestyle life step stage phase period past present future
    mode means method manner approach technique system structure organization arrangement layout
    setup placement orientation display composition showcase showcasing mixture sequence
    hustle bustle contribution creativity passion thrill delight treat pleasure happiness love
    hope thought mind memory dream imagination anything something nothing everything anyone someone
    everyone nobody somebody distance difference similarity detail degree scale scheme tone hue
    abundance bite lap fall rise stop pitch hit throw catch shot serve contest tournament
    behavior behaviour source outcome hub appeal leave stay advantage grandeur call act length
    purchase run spectacle essential course plan reminder accent curve route diet takeoff gaze
    strength transit sale attempt damage repair age scenario tour matter study encounter news due
    comparison transport upside characteristic topic hygiene bloom reserve playtime start arrival
    ease marvel era ascent awe incident teamwork growth gameplay finish feat aesthetic aesthetics
    dynamics ceremony demeanor property world humor exercise accident access birthday cheer
    research breed pursuit thirst issue force pride prowess artistry goal stroll bend benefit trio
    duo twist change holiday rainfall sunshine blend price resource lesson recipe chat hurry
    surprise descent emphasis portrayal bundle walk tip exchange whimsy pastime cause usage daytime
    threat internet species habitat horseback site tennis soccer volleyball video cannot plain lack
    aftermath cost deal wonder unison advice wealth knowledge discovery try search nap flair peak
    """.split()  # noqa: SIM905
)
