"""Benchmarks: CHAIR, POPE, AMBER, MME's hallucination subset, and the bundled scenes.

::

    from seesay.evaluate.benchmarks import suite

    for benchmark in suite("toy, pope(parser=strict)", data="/data"):
        samples = benchmark.samples()
"""

from seesay.evaluate.benchmarks.listed import present_pictures
from seesay.evaluate.benchmarks.suites import SUITES, Suite, suite

__all__ = ["SUITES", "Suite", "present_pictures", "suite"]
