"""Look Again on fresh drawn scenes, beside its rivals: writes docs/look-again.md."""
