"""Scores and calibrated risks on held-out drawn scenes: writes docs/grounding.md."""
