"""Experiments: the bundled model's training, and programs that write pages of docs/."""
