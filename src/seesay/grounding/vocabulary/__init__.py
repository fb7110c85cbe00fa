"""Object words: where a text names an object.

`vocabulary` finds mentions, `coco` holds the eighty classes, `lists` reads a list of your own,
`nouns` takes every noun that names a thing.
"""

from seesay.grounding.vocabulary.matching import Vocabulary, Word, pluralized

__all__ = ["Vocabulary", "Word", "pluralized"]
