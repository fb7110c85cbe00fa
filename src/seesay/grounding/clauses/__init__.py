"""Sentences of a caption, and leaving clauses out of them."""

from seesay.grounding.clauses.leave import Left, Removal, leave_out
from seesay.grounding.clauses.sentences import sentences

__all__ = ["Left", "Removal", "leave_out", "sentences"]
