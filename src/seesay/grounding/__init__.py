"""Is this word in the picture? Object words (`words`), their scores (`scores`), and how much to
doubt them (`risk`)."""

from seesay.grounding.reading import Reading, Token, read
from seesay.grounding.risk import Mention, Reference
from seesay.grounding.words import Vocabulary, Word

__all__ = ["Mention", "Reading", "Reference", "Token", "Vocabulary", "Word", "read"]
