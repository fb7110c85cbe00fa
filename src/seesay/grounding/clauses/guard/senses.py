"""Words by what they need beside them: which say enough alone, which speak of several."""

from __future__ import annotations

from typing import Final


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


# What says enough when nothing follows: "the man is walking", "a cup can be seen".
LONE: Final = _set(
    """
    walking running sleeping eating drinking flying swimming surfing skiing skating skateboarding
    snowboarding playing working relaxing talking chatting conversing smiling waiting posing jumping
    grazing cooking reading driving traveling moving dancing laughing socializing shopping strolling
    swinging performing hovering gliding landing kneeling crouching hiking competing practicing
    napping lounging gathering crossing barking cuddling dining happening occurring floating sailing
    parked seen spotted observed visible gathered seated docked perched
    walk walks sleep sleeps eat eats fly flies swim swims play plays work works relax
    relaxes wait waits smile smiles move moves talk talks shine shines jump jumps graze grazes grow
    grows gather gathers
    """
)
# What says enough of persons and animals only.
POSTURES: Final = _set(
    "sitting standing lying laying resting sit sits stand stands lie lies rest rests run runs"
)
# Participles and verbs that want a place behind them, whichever it is.
_AT_PLACES: Final = _set(
    """
    placed located situated positioned found set displayed arranged laid scattered mounted hung
    hanging leaning kept put spread stored stationed attached lined stopped lean leans hang hangs
    propped tied
    """
)
PLACED: Final = LONE | POSTURES | _AT_PLACES
# Nouns and adjectives that say little without what they are of or for.
LACKING: Final = _set(
    """
    focus view views take mix combination mixture blend presence use sense essence part parts side
    sides top middle process act sight ability opportunity need attempt interaction connection
    relationship contrast contrasts emphasis interest look lack addition close-up way balance aspect
    aspects love bond role center attention access approach kind sort type variety number couple
    pair end edge bottom front back life idea possibility impression nature importance appearance
    majority rest half range right left comparison difference distinction abundance perfect ideal
    suitable sure certain place time feeling effort effect aim intention purpose point preparation
    sign signs indoor outdoor spots means body roll
    distances
    """
)
# What says nothing with an article alone: "captures a moment".
VAGUE: Final = _set("moment area place space way")
# What needs both its object and the phrase behind it.
LINKING: Final = _set(
    """
    connect connecting connects connected compare comparing compares put putting puts place placing
    places attach attaching divide dividing turn turning turns transform transforms transforming
    add adding adds give giving gives bring bringing brings combine combines combining
    """
)
# What says of each item of a list that it is there.
SHOWING: Final = _set(
    """
    with as has have having includes include features feature featuring contains contain containing
    shows show showing displays display displaying depicts wearing holding carrying see to in on at
    near beside front behind around along throughout by
    """
)
# What is said before a list, and not of one thing.
JOINING: Final = _set(
    """
    both between combination contrast interaction bond mix mixture blend pair duo pairing
    juxtaposition relationship connection balance together friendship similarities comparison
    separate separates separating connecting connects comparing consist consists consisting
    bonding
    """
)
# What is said behind a list, and not of one thing.
SHARING: Final = _set(
    """
    both together each share shares sharing shared interaction bond bonding respectively complement
    complementing matching side-by-side same alike combine combined contrasting interacting engaged
    facing opposite comparison
    """
)
# What one thing cannot do to another: it is surrounded by several.
AROUND: Final = _set("surrounded lined dotted crowded littered cluttered packed bustling")
# Who or what is seen may have been counted by where it is seen.
SEEN: Final = _set("seen visible spotted observed present noticed")
# How several lie or stand; one cannot.
SPREAD: Final = _set(
    "scattered spread gathered arranged lined clustered stacked piled grouped dispersed"
)
# What a caption's first subject often is.
IMAGE: Final = _set("image picture photo photograph scene caption")
# Who sits and stands though its name ends like no person's.
ANIMALS: Final = _set(
    """
    dog cat bird horse cow bear sheep elephant zebra giraffe puppy puppies kitten animal calf lamb
    goat bull pig duck goose seagull pigeon owl eagle parrot lion tiger monkey hamster rabbit deer
    polar panda person people men women children babies ladies
    """
)
# Who is spoken of as he, she or they, by endings.
PERSON_ENDINGS: Final = (
    "er", "or", "pire", "man", "woman", "ist", "person", "child", "boy", "girl", "kid", "baby",
    "lady", "guy", "someone", "individual", "adult", "guest", "chef", "mother", "father", "friend",
    "group", "crowd", "team", "couple", "family", "police",
)  # fmt: skip
# Things that end like persons.
THINGS: Final = _set(
    """
    anchor banner blender boiler bumper burger burner butter center color computer container
    controller cooker corner counter cover cracker cucumber decor dinner door drawer dresser dryer
    elevator exterior feather fender finger fireplace floor flower folder freezer gutter hamburger
    hanger harbor heater helicopter interior ladder leather letter locker lumber mirror mixer
    monitor motor mower number order paper parlor pepper planter platter poster printer razor
    refrigerator river saucer scooter shower shutter silver skewer sneaker speaker sweater timber
    toaster tower tractor trailer water weather
    """
)
# Adjectives of the lists that are nouns as well.
BOTH_WAYS: Final = _set(
    "glass stone metal plastic leather brick light square male female adult orange plain whole dark"
)
