"""Is this word in the picture? Object words (`words`), their scores (`scores`), and how much to
doubt them (`risk`)."""

from seesay.grounding.calibration import Calibration
from seesay.grounding.risk import Mention
from seesay.grounding.scored_text import ScoredText, Token, read
from seesay.grounding.vocabulary import Vocabulary, Word

__all__ = ["Calibration", "Mention", "ScoredText", "Token", "Vocabulary", "Word", "read"]
