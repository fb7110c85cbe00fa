"""`python -m seesay` is the command line."""

from seesay.cli import main

if __name__ == "__main__":
    main()
