"""Looking again at what a text names: asking, deciding, leaving out, writing anew."""

from seesay.verification.pipeline import Verification
from seesay.verification.policy import Revised, steps_of, unfit

__all__ = ["Revised", "Verification", "steps_of", "unfit"]
