"""Looking again at what a text names: asking, deciding, leaving out, writing anew."""

from seesay.verification.pipeline import SecondLook
from seesay.verification.policy import Revised, steps_of, unfit

__all__ = ["Revised", "SecondLook", "steps_of", "unfit"]
