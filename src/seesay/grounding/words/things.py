"""Which nouns name something that can be pointed at in a picture."""

from __future__ import annotations

from typing import Final


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
