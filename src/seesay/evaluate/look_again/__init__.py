"""Look Again against the methods it is to beat, on the bundled model; see docs/look-again.md."""
