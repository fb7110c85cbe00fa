"""COCO words against the published table, word lists that people write, vocabularies by name."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from paths import DATA
from seesay.errors import InputError
from seesay.grounding.vocabulary import Vocabulary, pluralized

COCO = Vocabulary.coco()
TABLE = DATA / "coco" / "synonyms.txt"
CAPTIONS = DATA / "pope" / "captions_llava.json"

# Words of the published table that name no object of its class here, on purpose.
LEFT_OUT = {
    "bow", "brindle", "caller", "camper", "container", "equine", "female", "knive", "lenovo",
    "liner", "male", "mustang", "notebook", "offender", "phon", "solider", "sub", "televison",
    "trespasser", "trolley",
}  # fmt: skip


def found(text: str, vocabulary: Vocabulary = COCO) -> list[tuple[str, str]]:
    return [(text[w.start : w.end], w.name) for w in vocabulary.find(text)]


def published() -> dict[str, str]:
    rows = [
        [part.strip().lower() for part in line.split(",")]
        for line in TABLE.read_text().splitlines()
    ]
    return {surface: row[0] for row in reversed(rows) for surface in row}


@pytest.mark.data("coco/synonyms.txt")
def test_the_published_table_names_the_same_classes_but_for_listed_words() -> None:
    table = published()
    differing = {word for word, label in table.items() if COCO.surfaces.get(word) != label}
    assert differing == LEFT_OUT
    assert set(table.values()) == COCO.classes


@pytest.mark.data("coco/synonyms.txt", "pope/captions_llava.json")
def test_on_real_captions_the_two_differ_only_where_a_phrase_or_a_listed_word_says_so() -> None:
    table = published()
    plain = Vocabulary(
        "published", {**{pluralized(word): name for word, name in table.items()}, **table}
    )
    known = set(table) | set(map(pluralized, table))
    captions = [json.loads(line)["text"] for line in CAPTIONS.read_text().splitlines()]
    unjudged = Vocabulary("coco", COCO.surfaces, COCO.ignored)  # `senses` has tests of its own
    shared, theirs, unexplained = 0, 0, []
    for text in captions:
        ours = unjudged.find(text)
        spans = {word.start: word for word in ours}
        for word in plain.find(text):
            theirs += 1
            surface = text[word.start : word.end].lower()
            inside = next((o for o in ours if o.start <= word.start and word.end <= o.end), None)
            if inside is not None and inside.name == word.name:
                shared += 1
            elif inside is None and not explained(surface, word.start, text):
                unexplained.append((surface, text[max(0, word.start - 20) : word.end + 20]))
        for start, word in spans.items():
            surface = " ".join(text[start : word.end].lower().split())
            if surface in known and table.get(surface, word.name) != word.name:
                unexplained.append((surface, word.name))
    assert len(captions) == 2000
    assert shared / theirs > 0.975
    assert unexplained == []


def explained(surface: str, start: int, text: str) -> bool:
    """Whether a published word that is not found is left out, a colour, a seat or in a phrase."""
    singular = {word for word in LEFT_OUT if surface in (word, pluralized(word))}
    if singular or surface in ("orange", "seat", "seats"):
        return True
    around = text[max(0, start - 25) : start + len(surface) + 25].lower()
    return any(surface in phrase and phrase in around for phrase in COCO.ignored)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a hot-dog, a teddy-bear", [("hot-dog", "hot dog"), ("teddy-bear", "teddy bear")]),
        ("a double-decker bus", [("double-decker bus", "bus")]),
        ("a passenger train", [("passenger train", "train")]),
        ("a computer monitor", [("computer monitor", "tv")]),
        ("a baseball player with a baseball", [
            ("baseball player", "person"), ("baseball", "sports ball"),
        ]),
        ("They play baseball on a baseball field.", []),
        ("ready to ski down", []),
        ("two skis near a ski lift", [("skis", "skis")]),
        ("a toilet with its seat down", [("toilet", "toilet")]),
        ("a bus with one seat", [("bus", "bus"), ("seat", "chair")]),
        ("an orange and white truck", [("truck", "truck")]),
        ("red and orange flowers", []),
        ("The sky is orange.", []),
        ("an orange, a cup", [("orange", "orange"), ("cup", "cup")]),
        ("the sliced orange is on a plate", [("orange", "orange")]),
        ("bright oranges", [("oranges", "orange")]),
        ("a pitcher of beer", []),
        ("the pitcher throws", [("pitcher", "person")]),
        ("a flock of geese; thieves", [("geese", "bird"), ("thieves", "person")]),
    ],
)  # fmt: skip
def test_words_in_their_places(text: str, expected: list[tuple[str, str]]) -> None:
    assert found(text) == expected


@pytest.mark.parametrize(
    ("singular", "plural"),
    [
        ("glass of wine", "glasses of wine"), ("bookshelf", "bookshelves"), ("shelf", "shelves"),
        ("wine glass", "wine glasses"), ("berry", "berries"), ("toy", "toys"), ("human", "humans"),
        ("fireman", "firemen"), ("tomato", "tomatoes"), ("fish", "fish"), ("bus", "buses"),
    ],
)  # fmt: skip
def test_plurals(singular: str, plural: str) -> None:
    assert pluralized(singular) == plural


# ---- lists ---------------------------------------------------------------------------------


def write(tmp_path: Path, content: str | bytes) -> Path:
    file = tmp_path / "mine.txt"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def test_a_list_with_comments_and_empty_lines(tmp_path: Path) -> None:
    vocabulary = Vocabulary.read(
        write(tmp_path, "# gadgets\n\nWidget , gizmo,, # a note\n C#-key\nT-shirt\n")
    )
    assert vocabulary.classes == {"Widget", "C#-key", "T-shirt"}
    assert found("two gizmos, a widget, t shirts and C#-keys", vocabulary) == [
        ("gizmos", "Widget"),
        ("widget", "Widget"),
        ("t shirts", "T-shirt"),
        ("C#-keys", "C#-key"),
    ]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "no classes"),
        ("# nothing\n  \n", "no classes"),
        ("fork\nknife, Fork\n", "'Fork' is on line 1 and again on line 2"),
        ("fork\n\nfork, prong\n", "'fork' is on line 1 and again on line 3"),
        ("hot dog\nhot-dog\n", "'hot-dog' is on line 1 and again on line 2"),
        ("fork\n, prong\n", "line 2 has no class name"),
        ("fork\ncafé\n".encode("latin-1"), "line 2 is no utf-8 text; save the list as UTF-8"),
        (b"fork\0knife\n", "it is no text"),
    ],
)
def test_lists_that_are_refused(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        Vocabulary.read(write(tmp_path, content))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_unicode_lists_are_read_whatever_wrote_them(tmp_path: Path, encoding: str) -> None:
    vocabulary = Vocabulary.read(write(tmp_path, "café, Straße\r\nmug\r\n".encode(encoding)))
    assert found("CAFÉS, a straße, mugs", vocabulary) == [
        ("CAFÉS", "café"),
        ("straße", "café"),
        ("mugs", "mug"),
    ]


def test_a_word_that_two_classes_claim() -> None:
    with pytest.raises(InputError, match="'crane' names both 'bird' and 'machine'"):
        Vocabulary.of({"bird": ["crane"], "machine": ["crane"]})
    own = Vocabulary.of({"glass": [], "spectacles": ["glasses"]})
    assert found("a glass and glasses", own) == [("glass", "glass"), ("glasses", "spectacles")]


# ---- names ---------------------------------------------------------------------------------


def test_vocabularies_by_name(tmp_path: Path) -> None:
    assert Vocabulary.named("coco") is Vocabulary.coco()
    assert Vocabulary.named("toy") is Vocabulary.toy()
    assert Vocabulary.named(write(tmp_path, "widget\n")).classes == {"widget"}
    with pytest.raises(InputError, match="no file is called 'cocoo'; did you mean coco"):
        Vocabulary.named("cocoo")
    with pytest.raises(InputError, match="cannot read the vocabulary"):
        Vocabulary.named(tmp_path)
