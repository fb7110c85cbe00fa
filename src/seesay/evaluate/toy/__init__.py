"""What the bundled model does, measured on scenes that it never saw: ``docs/toy.md``."""
