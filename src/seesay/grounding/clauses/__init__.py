"""Sentences of a caption, and leaving clauses out of them."""

from seesay.grounding.clauses.details import leave_words_out
from seesay.grounding.clauses.leave import leave_out
from seesay.grounding.clauses.left import Left, Removal
from seesay.grounding.clauses.sentences import sentences

__all__ = ["Left", "Removal", "leave_out", "leave_words_out", "sentences"]
