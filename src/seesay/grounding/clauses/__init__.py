"""Sentences and clauses of a caption."""
