"""Behind a text: one word under the lens, what a method changed, what a model attends to."""
