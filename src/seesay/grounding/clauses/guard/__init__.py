"""What an edit must hold to be surely English with the old sentence's meaning."""

from seesay.grounding.clauses.guard.gaps import Gap, gaps, is_person
from seesay.grounding.clauses.guard.sure import sure

__all__ = ["Gap", "gaps", "is_person", "sure"]
