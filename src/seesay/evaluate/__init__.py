"""Measuring models and methods: what was asked, what came out, and how sure that is."""
