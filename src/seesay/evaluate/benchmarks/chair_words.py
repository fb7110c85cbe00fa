"""The words of CHAIR: which surfaces name which of the 80 COCO classes.

The vocabulary is the one that the published scorer reads from its `synonyms.txt` (Rohrbach et al.,
Object Hallucination in Image Captioning, 2018), in our own form: a class, then its synonyms. Two of
its entries carry a leading blank there and so match nothing (" motor bike", " cheesecake"): they
are left out, and "motor bike" counts by no scorer that reproduces the published one.
"""

from __future__ import annotations

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
