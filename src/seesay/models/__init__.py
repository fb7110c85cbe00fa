"""A vision-language model: its parts, how it is loaded, its processor, and how it sees images."""
