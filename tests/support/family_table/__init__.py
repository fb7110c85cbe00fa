"""Tiny random models of nearly every image-and-text family, and what seesay does on them."""
