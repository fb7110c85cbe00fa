"""What a COCO word means where it stands: a train platform is no train, "he skis" no skis."""

from __future__ import annotations

import re
from typing import Final

from seesay.grounding.vocabulary.language import looks_english
from seesay.grounding.vocabulary.matching import Word

ANIMALS: Final = frozenset("bird cat dog horse sheep cow elephant bear zebra giraffe".split())  # noqa: SIM905


def meant(text: str, words: list[Word]) -> list[Word]:
    """The words that name an object; none in a text that is not English.

    Takes time linear in the text: each word is held against its neighbours, and against the classes
    that its text names.
    """
    if not words or not looks_english(text):
        return []
    sentences = [0, *(m.end() for m in re.finditer(r"[.!?\n]", text))]
    people = {w for w in words if w.name == "person" and _surface(text, w) not in _FAMILY}
    named = {w.name for w in words}
    kept: list[Word] = []
    k = 0
    for i, word in enumerate(words):
        while k + 1 < len(sentences) and sentences[k + 1] <= word.start:
            k += 1
        previous = words[i - 1] if i and words[i - 1].end + 1 == word.start else None
        before = text[max(sentences[k], word.start - 80) : word.start].lower()
        behind = text[word.end : word.end + 60].lower()
        surface = _surface(text, word)
        if not (
            _is_part(word, surface, behind)
            or _is_verb(surface, before, behind, previous)
            or _is_bed(word, surface, previous)
            or (word.name == "orange" and _is_colour(surface, before, behind))
            or (surface == "seat" and _is_lid(text, sentences[k], word, named))
            or (not people and named & ANIMALS and _is_beast(surface, before, behind))
            or (
                surface in _YOUNG
                and word.name not in _grown(named, surface)
                and bool(_grown(named, surface))
            )
            or (surface in ("family", "families", "couple", "crowd") and _OF_ANIMALS.match(behind))
        ):
            kept.append(word)
    return kept


def _surface(text: str, word: Word) -> str:
    return text[word.start : word.end].lower()


def _is_part(word: Word, surface: str, behind: str) -> bool:
    """Whether a noun behind the word makes it another thing: a train platform, a toilet brush."""
    match = _NEXT.match(behind)
    if match is None:
        return False
    head = match[1]
    if word.name == "person":
        return surface in _WORN_BY and head in _WORN
    if head in ("stand", "stands"):  # "a dog stands" is a verb's, "a hot dog stand" is none
        return (
            word.name in ("hot dog", "cake", "bicycle", "tv", "donut", "pizza") or surface == "taxi"
        )
    if word.name in ANIMALS and head in ("bed", "beds", "bath", "baths", "feeder", "feeders"):
        return True
    if head in _ACTS and _ACTED.match(behind[match.end() :]):
        return False  # "the bed covers most of it", "a train stops at"
    if head in ("area", "areas") and word.name in (
        "sink",
        "bed",
        "toilet",
        "dining table",
        "chair",
        "couch",
    ):
        return False
    return (
        head in _HEADS or head in _HEADS_OF.get(word.name, ()) or head in _HEADS_OF.get(surface, ())
    )


def _is_beast(surface: str, before: str, behind: str) -> bool:
    """Whether a mother or baby, in a text of animals and no people, is one of them."""
    return surface in _FAMILY and (
        re.search(r"\ban?\s+(?:\w+\s+)?$", before) is None
        or re.match(
            r" (?:and|with) (?:(?:its|her|their|an?) )?(?:baby|young|calf|cub|foal|adult)", behind
        )
        is not None
    )


def _is_bed(word: Word, surface: str, previous: Word | None) -> bool:
    """Whether a bed, house or bowl is that of the animal before it."""
    return surface in ("bed", "beds") and previous is not None and previous.name in ANIMALS


def _is_verb(surface: str, before: str, behind: str, previous: Word | None) -> bool:
    """Whether a word that can be a verb is one: behind its subject, before what it does."""
    if surface not in _VERBS:
        return False
    last = re.findall(r"[\w'’]+|[^\w\s]", before)[-1:]
    word = last[0] if last else ""
    if word in _SUBJECTS:
        return True
    if word in _DETERMINERS or not word:
        return False
    if surface in ("tie", "ties"):
        return (
            re.match(r"\s+(?:the|a|an|his|her|their|up|together)\b", behind) is not None
            and word not in _LINKS
        )
    plural = surface.endswith("s")
    follows = re.match(
        r"\s*(?:[.!?]|$|\s(?:down|up|along|through|across|over|past|into|on|in|at|with|around|to)\b)",
        behind,
    )
    if previous is None or follows is None:
        return False
    # "the ship sinks", "the men ski down"; but "kitchen sinks", "two cars parks"
    owner = previous.name not in ("sink", "bowl", "tie")
    return owner and plural


def _is_colour(surface: str, before: str, behind: str) -> bool:
    """One orange is a fruit if a determiner comes before it and no noun or colour after it."""
    if surface != "orange":
        return False
    words = re.findall(r"[\w'-]+|[^\w\s]", before)[-4:]
    after = re.match(r"(?:\s|,|and\b|or\b)*([\w'-]+)?", behind)
    follows = after[1] if after else None
    if follows in ("slice", "slices", "wedges", "segments"):
        return False
    return not _counted(words) or not (follows is None or follows in _AFTER_A_NOUN)


def _counted(before: list[str]) -> bool:
    """Whether the words before a noun reach a determiner with nothing but adjectives between."""
    for word in reversed(before):
        if word in _DETERMINERS:
            return True
        if word in _NO_ADJECTIVES or not word.isalpha():
            return False
    return False


def _is_lid(text: str, start: int, word: Word, named: set[str]) -> bool:
    """Whether a seat is that of a toilet named before it in its sentence, or up or down."""
    if "toilet" not in named:
        return False
    stop = re.search(r"[.!?\n;]", text[word.end : word.end + 80])
    behind = text[word.end : word.end + (stop.start() if stop else 80)]
    sentence = text[start : word.start]
    return re.search(r"\b(?:toilet|its)\b", sentence, re.IGNORECASE) is not None or (
        re.search(r"\b(?:up|down|lid|raised|lowered|lifted|cover)\b", behind) is not None
    )


def _grown(named: set[str], surface: str) -> set[str]:
    """The classes of a text whose young a calf, cub or foal is."""
    return named & _YOUNG[surface]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_NEXT: Final = re.compile(r"[ -]([a-z]+)(?![\w'’-]* (?:of\b))")
_HEADS: Final = _words(
    """
    platform platforms station stations depot depots terminal terminals track tracks stop stops
    shelter shelters brush brushes opener openers carousel carousels claim park parks ramp ramps pad
    pads booth booths lift lifts jacket jackets uniform uniforms cap caps hat hats helmet helmets
    boot boots pole poles goggles gear suit suits mask masks glove gloves attire equipment jersey
    jerseys outfit outfits costume costumes clothes clothing court courts field fields stadium
    diamond hoop hoops game games match matches team teams league tournament house houses shop shops
    store stores factory museum museums club clubs lot lots lane lanes ride rides trip trips holder
    holders rack racks case cases cover covers charger chargers cord cords line lines trail trails
    path paths wash repair rental rentals show shows race races food collar collars leash leashes
    toy poop hair fur skin print prints pattern patterns logo logos sign signs sticker stickers
    magazine magazines tank roll rolls paper slope slopes resort resorts area areas crossing
    crossings crosswalk walkway school schools lesson lessons trailer trailers trunk bumper tire
    tires wheel windshield exhaust mirror plate plates dealership yard yards tree trees leaf leaves
    peel juice pie sauce seed farm farms meat chop wool milk cabinet cabinets shelf shelves legs
    linen linens linens sheet sheets frame frames sheets lamp belt belts clip rest
    """
)
_WORN_BY: Final = _words(
    "cowboy cowboys chef nurse soldier firefighter fireman pilot captain sailor cowgirl umpire "
    "bride"
)
_WORN: Final = _words(
    "hat hats boot boots cap caps helmet helmets uniform uniforms costume costumes suit outfit "
    "jacket gown"
)
_ACTS: Final = _words(
    "covers runs shows rests parks races rides lines lands stops signs trips stands prints logos "
    "cover run stop race park lift"
)
_ACTED: Final = re.compile(
    r" (?:the|a|an|most|part|much|its|his|her|their|in|on|at|along|down|by|for|to|up|over|across|"
    r"through|next|near)\b"
)
_HEADS_OF: Final = {
    "toilet": _words("seat seats stall stalls cleaner"),
    "car": _words("seat seats keys"),
    "boat": _words("dock docks ramp house slip launch"),
    "bus": _words("route routes"),
    "train": _words("schedule tunnel tunnels bridge"),
    "bottle": _words("label labels neck top"),
    "cup": _words("lid lids"),
    "baseball": _words("bases base tee card cards"),
    "pizza": _words("box boxes cutter cutters place restaurant parlor oven"),
    "chair": _words("lifts lift back"),
    "phone": _words("call calls screen number conversation line lines"),
    "cell phone": _words("call calls screen number tower"),
    "mouse": _words("cursor trap"),
    "bear": _words("hug hugs"),
    "tv": _words("remote show shows"),
    "tie": _words("breaker game"),
    "bed": _words("room head post spread side bug"),
    "book": _words("ends bag bags mark"),
    "bench": _words("press player"),
    "kite": _words("string strings festival surfing boarding"),
    "skateboard": _words("trick tricks competition"),
    "surfboard": _words("wax fin"),
    "skis": _words("instructor jump jumps pass boots"),
    "horse": _words("back riding racing racetrack"),
    "dog": _words("sled sleds treat treats tag"),
}
_VERBS: Final = _words(
    "tie ties train trains book books ship ships sink sinks bowl bowls seat seats bear bears duck "
    "ducks ski skis phone "
    "phones monitor monitors man fork surf ram bike bikes cycle cycles skateboard skateboards "
    "snowboard snowboards kayak "
    "kayaks ferry jet cook cooks coach nurse crowd crowds couple host guests pilot"
)
_SUBJECTS: Final = _words(
    "he she they we i you who can could will would may might must should not to cannot and-he"
)
_LINKS: Final = _words("and or of in with bow")
_FAMILY: Final = _words(
    "mother mothers father fathers baby babies adult adults kid kids parent parents sister "
    "sisters brother brothers "
    "sibling siblings family families infant newborn youngster youngsters couple son daughter "
    "friend friends teenager"
)
_YOUNG: Final[dict[str, frozenset[str]]] = {
    "calf": frozenset({"elephant", "giraffe"}),
    "calves": frozenset({"elephant", "giraffe"}),
    "foal": frozenset({"zebra"}),
    "foals": frozenset({"zebra"}),
    "colt": frozenset({"zebra"}),
    "bull": frozenset({"elephant"}),
}
_OF_ANIMALS: Final = re.compile(
    r" of (?:\w+ )?(?:elephants|giraffes|zebras|bears|ducks|birds|cats|dogs|sheep|cows|horses|"
    r"geese|swans|goats|things|items)"
)
_DETERMINERS: Final = _words(
    "a an the some one another each every this that his her its half whole two three several many"
)
_NO_ADJECTIVES: Final = _words("is are was be in of with on dark light")
_AFTER_A_NOUN: Final = _DETERMINERS | _words(
    """
    is are was were has can may might could appears seems sits lies rests stands in on at by near
    next beside behind under with from of to into as that which while placed cut sliced sitting
    lying resting being visible here there he she it they both
    """
)
