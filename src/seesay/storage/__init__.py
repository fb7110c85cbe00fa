"""Files that outlive their run: journals, and files that are written whole or not at all."""
