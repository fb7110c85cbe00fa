"""The words of CHAIR: which surfaces name which of the 80 COCO classes.

The vocabulary is the one that the published scorer reads from its `synonyms.txt` (Rohrbach et al.,
Object Hallucination in Image Captioning, 2018), in our own form: a class, then its synonyms. Two of
its entries carry a leading blank there and so match nothing (" motor bike", " cheesecake"): they
are left out, and "motor bike" counts by no scorer that reproduces the published one.

Singulars for CHAIR: as the published scorers find them, with their mistakes.

Both scorers bring every word to a base form before they look it up. Only words of the vocabulary
matter, so a table of their forms does what the libraries do (`pattern.en.singularize`; NLTK's
tagger and WordNet lemmas), and any other word stays as it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

_CLASSES: Final = """
person: girl, boy, man, woman, kid, child, chef, baker, people, adult, rider, children, baby, worker, passenger, sister, biker, policeman, cop, officer, lady, cowboy, bride, groom, male, female, guy, traveler, mother, father, gentleman, pitcher, player, skier, snowboarder, skater, skateboarder, foreigner, caller, offender, coworker, trespasser, patient, politician, soldier, grandchild, serviceman, walker, drinker, doctor, bicyclist, thief, buyer, teenager, student, camper, driver, solider, hunter, shopper, villager
bicycle: bike, unicycle, minibike, trike
car: automobile, van, minivan, sedan, suv, hatchback, cab, jeep, coupe, taxicab, limo, taxi
motorcycle: scooter, motor cycle, motorbike, moped
airplane: jetliner, plane, air plane, monoplane, aircraft, jet, airbus, biplane, seaplane
bus: minibus, trolley
train: locomotive, tramway, caboose
truck: pickup, lorry, hauler, firetruck
boat: ship, liner, sailboat, motorboat, dinghy, powerboat, speedboat, canoe, skiff, yacht, kayak, catamaran, pontoon, houseboat, vessel, rowboat, trawler, ferryboat, watercraft, tugboat, schooner, barge, ferry, sailboard, paddleboat, lifeboat, freighter, steamboat, riverboat, battleship, steamship
traffic light: street light, traffic signal, stop light, streetlight, stoplight
fire hydrant: hydrant
stop sign
parking meter
bench: pew
bird: ostrich, owl, seagull, goose, duck, parakeet, falcon, robin, pelican, waterfowl, heron, hummingbird, mallard, finch, pigeon, sparrow, seabird, osprey, blackbird, fowl, shorebird, woodpecker, egret, chickadee, quail, bluebird, kingfisher, buzzard, willet, gull, swan, bluejay, flamingo, cormorant, parrot, loon, gosling, waterbird, pheasant, rooster, sandpiper, crow, raven, turkey, oriole, cowbird, warbler, magpie, peacock, cockatiel, lorikeet, puffin, vulture, condor, macaw, peafowl, cockatoo, songbird
cat: kitten, feline, tabby
dog: puppy, beagle, pup, chihuahua, schnauzer, dachshund, rottweiler, canine, pitbull, collie, pug, terrier, poodle, labrador, doggie, doberman, mutt, doggy, spaniel, bulldog, sheepdog, weimaraner, corgi, cocker, greyhound, retriever, brindle, hound, whippet, husky
horse: colt, pony, racehorse, stallion, equine, mare, foal, palomino, mustang, clydesdale, bronc, bronco
sheep: lamb, ram, goat, ewe
cow: cattle, oxen, ox, calf, holstein, heifer, buffalo, bull, zebu, bison
elephant
bear: panda
zebra
giraffe
backpack: knapsack
umbrella
handbag: wallet, purse, briefcase
tie: bow, bow tie
suitcase: suit case, luggage
frisbee
skis: ski
snowboard
sports ball: ball
kite
baseball bat
baseball glove
skateboard
surfboard: longboard, skimboard, shortboard, wakeboard
tennis racket: racket
bottle
wine glass
cup
fork
knife: pocketknife, knive
spoon
bowl: container
banana
apple
sandwich: burger, sub, cheeseburger, hamburger
orange
broccoli
carrot
hot dog
pizza
donut: doughnut, bagel
cake: cupcake, shortcake, coffeecake, pancake
chair: seat, stool
couch: sofa, recliner, futon, loveseat, settee, chesterfield
potted plant: houseplant
bed
dining table: table, desk
toilet: urinal, commode, lavatory, potty
tv: monitor, televison, television
laptop: computer, notebook, netbook, lenovo, macbook, laptop computer
mouse
remote
keyboard
cell phone: mobile phone, phone, cellphone, telephone, phon, smartphone, iPhone
microwave
oven: stovetop, stove, stove top oven
toaster
sink
refrigerator: fridge, freezer
book
clock
vase
scissors
teddy bear: teddybear
hair drier: hairdryer
toothbrush
"""  # noqa: E501


def _nodes() -> dict[str, str]:
    nodes = {}
    for line in _CLASSES.strip().splitlines():
        name, _, synonyms = line.partition(":")
        nodes[name] = name
        nodes |= {word.strip(): name for word in synonyms.split(",") if word.strip()}
    return nodes


NODES: Final = _nodes()
"""Word, of one or two parts → its class."""

_PAIRS: Final = """
motor bike, motor cycle, air plane, traffic light, street light, traffic signal, stop light,
fire hydrant, stop sign, parking meter, suit case, sports ball, baseball bat, baseball glove,
tennis racket, wine glass, hot dog, cell phone, mobile phone, teddy bear, hair drier, potted plant,
laptop computer, home plate, train track
"""
_ANIMALS: Final = "bird cat dog horse sheep cow elephant bear zebra giraffe animal cub"


def _merged() -> dict[tuple[str, str], str]:
    merged = {}
    for pair in _PAIRS.split(","):
        first, second = pair.split()
        merged[first, second] = f"{first} {second}"
    for animal in _ANIMALS.split():
        merged |= {(age, animal): animal for age in ("baby", "adult")}
    merged |= {("passenger", vehicle): vehicle for vehicle in ("jet", "train")}
    # The published singular of "glass" is "glas".
    merged |= {("bow", "tie"): "tie", ("toilet", "seat"): "toilet", ("wine", "glas"): "wine glass"}
    return merged


MERGED: Final = _merged()
"""Two neighbours → the one word that they become; "home plate" and "train track" name nothing."""

PARTS: Final = frozenset(part for pair in MERGED for part in pair)
WORDS: Final = frozenset(word for word in NODES if " " not in word) | PARTS
"""Every single word that any rule looks at."""


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
