"""Looking again at what a text names: asking, deciding, leaving out, writing anew."""

from seesay.looking.looker import Revised, steps_of, unfit
from seesay.looking.second_look import SecondLook

__all__ = ["Revised", "SecondLook", "steps_of", "unfit"]
