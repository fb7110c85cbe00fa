"""English words of the closed classes, and the few open ones that the rules of clauses need."""

from __future__ import annotations

from typing import Final


def _set(text: str) -> frozenset[str]:
    return frozenset(text.split())


SINGULAR: Final = _set("a an one another each every this either neither")
PLURAL: Final = _set(
    """
    two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen
    sixteen twenty thirty forty fifty hundred several many multiple numerous few
    various both these those some dozens hundreds
    """
)
POSSESSIVE: Final = _set("his her its their my our your whose")
DETERMINERS: Final = SINGULAR | PLURAL | POSSESSIVE | _set("the all any no most half such what")

BE: Final = _set("is are was were am 's 're")
BE_OTHER: Final = _set("be been being")
AUXILIARIES: Final = _set("has have had do does did 've")
MODALS: Final = _set("can could may might must shall should will would cannot")
PRONOUNS: Final = _set(
    """
    it he she they them him we us i you someone everyone something everything nothing anyone
    somebody everybody nobody itself himself herself themselves others
    """
)
RELATIVES: Final = _set("who whom which whose where")
SUBORDINATORS: Final = _set(
    "while because since if when whenever although though until unless whereas whether how why"
)
COMPLEMENTS: Final = _set("that how whether if why")
CONJUNCTIONS: Final = _set("and or but nor &")

# What opens a subject that the text has not named before.
NEW: Final = (SINGULAR | PLURAL) - _set("both this these those every each either neither another")

# What the rest of a group is told by: "one on the left, another on the right".
APART: Final = _set("one another other others some each all both")

EXAMPLES: Final = _set("including such like")

# Where something is: what follows such a phrase need not be about its object.
PLACE: Final = _set(
    """
    in on at by near behind beside under above below over around across against along among amid
    between through toward towards into onto inside outside beneath underneath within upon opposite
    past beyond alongside atop throughout off amidst nearby next-to
    """
)
PREPOSITIONS: Final = PLACE | _set(
    """
    with of from for about without during after before like as via up down including despite
    regarding besides except than per out
    """
)
# One does things on them, seldom do they.
UNDERFOOT: Final = _set("on in at through down along across")
# Prepositions of several words; longer ones first. Their last word is a preposition by itself.
COMPOUND: Final = tuple(
    sorted(
        (
            ("next", "to"), ("close", "to"), ("closer", "to"), ("closest", "to"), ("near", "to"),
            ("adjacent", "to"), ("in", "front", "of"), ("on", "top", "of"), ("on", "board"),
            ("in", "addition", "to"), ("due", "to"), ("because", "of"), ("out", "of"),
            ("instead", "of"), ("ahead", "of"), ("away", "from"), ("such", "as"), ("along", "with"),
            ("together", "with"), ("in", "between"), ("in", "the", "midst", "of"),
            ("in", "and", "around"), ("on", "either", "side", "of"), ("on", "both", "sides", "of"),
            ("in", "the", "vicinity", "of"), ("on", "and", "around"), ("in", "case", "of"),
            ("apart", "from"), ("far", "from"), ("up", "to"), ("inside", "of"), ("outside", "of"),
            ("off", "of"), ("similar", "to"),
        ),
        key=len,
        reverse=True,
    )
)  # fmt: skip
# In "to the left of the plate" the part is only a place.
PARTS: Final = _set(
    """
    left right top bottom middle center centre front back edge edges side sides corner corners end
    ends rear base foot head surface inside outside rest part area half portion section
    """
)
# In "a group of dogs" the dogs are what is named.
QUANTITIES: Final = _set(
    """
    group groups couple pair pairs variety number lot lots bunch row rows set sets array assortment
    collection pile piles stack stacks dozen dozens cluster clusters herd flock pack handful
    selection range series majority plenty amount kind type sort kinds types piece pieces slice
    slices line crowd team one some many most all several each both two
    three four few any none either half pieces heap abundance multitude total rest
    """
)
BLENDS: Final = _set("combination mix mixture blend contrast pairing juxtaposition balance")
# In "a bowl of oranges" the bowl stays when the oranges go.
CONTAINERS: Final = _set(
    """
    bowl bowls cup cups glass glasses plate plates bottle bottles box boxes basket baskets tray
    trays jar jars mug mugs vase vases bag bags can cans pot pots pan pans dish dishes bucket
    buckets bouquet platter street city room beach park field man woman picture painting photo
    statue table truck cart shelf shelves
    """
)

# Adverbs that do not end in -ly, and adjectives that stand behind a noun.
ADVERBS: Final = _set(
    """
    also very quite too just still together nearby here away almost already always often even
    perhaps maybe however then now again rather more most less slightly not n't never there
    therefore thus overall once soon both ever somewhere else instead further farther outdoors
    indoors apart aside upright side-by-side overhead forward backward upside ahead above below
    respectively well back alone so otherwise additionally meanwhile lastly finally likely
    """
)
BEHIND: Final = _set(
    "visible present available close next adjacent full ready able alone eager unable aware"
)
ALONE: Final = _set("visible present available alone")
NOT_ADVERBS: Final = _set(
    """
    family butterfly fly belly jelly lily curly woolly lovely friendly lively daily elderly ugly
    silly leisurely
    """
)

# Words in -ing and -ed that are no participles.
ING_NOUNS: Final = _set(
    """
    building ceiling clothing painting railing awning ring wing string king spring swing evening
    morning thing something nothing everything anything being wedding living dining swimming
    parking rolling cutting dressing landing crossing setting gathering covering serving topping
    string lighting seating flooring during wiring frosting filling icing bedding meaning
    """
)
ED_OTHER: Final = _set(
    "red bed shed sled seed weed need feed speed shred wed bleed breed indeed hundred"
)
PARTICIPLES: Final = _set(
    """
    seen worn held taken made set cut shown built kept hung laid left spread drawn driven eaten
    found given grown known lit put sat sold sewn strewn thrown torn tied wrapped written hidden
    caught bound broken frozen lain split sliced stuck woven led chosen begun
    """
)
# Participles and verbs that say nothing without the phrase that follows.
NEEDY: Final = _set(
    """
    placed located situated positioned surrounded filled covered made adorned attached connected
    set stacked topped lined decorated equipped accompanied dressed mounted laid kept put based
    composed furnished paired served loaded packed followed known lies lie lying rests rest
    resting leans lean consists consist belongs belong looks look looking focuses focused focusing
    leads lead gazing gazes staring stares pointing points depends relies includes contains has
    have reaching reaches interacting engaged directed concentrated centered facing tending
    participating involved featuring featured displayed leading belonging consisting attending
    occupied shared dominated illuminated enclosed wrapped supported tied holding holds
    hold cater caters
    """
)

# Participles that say what the clause before them means.
REMARKS: Final = _set(
    """
    adding suggesting indicating showcasing creating making giving completing enhancing providing
    emphasizing contributing highlighting demonstrating displaying reflecting implying allowing
    capturing offering conveying portraying bringing hinting evoking ensuring signifying
    """
)

# Verbs of captions, base forms; -s and -es are formed.
_BASES: Final = """
    add allow appear approach attach attempt balance begin belong bring capture carry catch cater
    chase come compete consist contain contribute convey cover create cross cut depict describe dip
    display drive eat emphasize engage enhance enjoy evoke exhibit face feature feel fill fly
    follow gather gaze get give glide go graze grow hang have help highlight hit hold hover include
    indicate interact invite jump keep kneel lay lead lean lie listen look make match move
    navigate observe occupy offer overlook own perch perform play point portray pose prepare
    present protrude provide pull push reach read receive reflect relax remain represent reveal
    ride rise roam run say see seem sell serve share showcase shine sit skate sleep smile soar
    stand stare stay step stick stretch stroll suggest support surf surround swim swing take
    talk tend throw touch travel try use wait walk want watch wear work
"""


def _third(base: str) -> str:
    if base == "have":
        return "has"
    if base.endswith(("s", "x", "z", "ch", "sh")) or base in ("go", "do"):
        return base + "es"
    if base.endswith("y") and base[-2] not in "aeiou":
        return base[:-1] + "ies"
    return base + "s"


VERBS: Final = _set(_BASES) | {"show", "rest", "focus", "center", "park"}
THIRD: Final = {base: _third(base) for base in VERBS}
"""Plural form of a verb → singular form."""
BARE: Final = VERBS | {"have", "do", "be"}
FINITE_S: Final = frozenset(THIRD.values()) - {"parks", "centers"}

ADJECTIVES: Final = _set(
    """
    red green blue yellow black white brown gray grey orange pink purple golden silver dark light
    bright pale beige tan large small big little tiny huge tall short long wide narrow old young
    new modern vintage antique round square flat open closed empty full clean dirty soft hard warm
    cold hot cool fresh ripe raw sweet wet dry thick thin deep heavy plain single double various
    different similar other same own male female wild calm quiet busy cozy nice good great fine
    clear main entire whole public wooden metal plastic glass stone brick leather quaint steep
    elegant vibrant rustic neat unique adult larger smaller bigger taller shorter older younger
    darker lighter longer fresh delicious cute fun huge adorable gorgeous
    """
)
ADJECTIVE_ENDINGS: Final = (
    "y", "ful", "ous", "ive", "al", "ic", "able", "ible", "ish", "less", "ed", "ing", "ern", "ant",
    "ent", "like", "vid", "did",
)  # fmt: skip
PLURAL_NOUNS: Final = _set(
    "people men women children mice geese sheep feet teeth cattle police skis scissors"
)
