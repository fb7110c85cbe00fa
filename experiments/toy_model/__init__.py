"""The bundled model: how it was trained, and what it can do (docs/toy.md)."""
