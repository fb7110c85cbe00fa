"""Does a paper's observation hold for this model? One file a diagnosis; `run` measures them.

A diagnosis takes notes while texts are read (`reading`), may have pictures described anew under
methods (`asking`), and concludes with figures, numbers and claims (`content`), which `page` and
`markdown` write down. `registry` lists them.
"""

from __future__ import annotations

from seesay.evaluate.diagnose.content import Claim, Finding, Part, Report
from seesay.evaluate.diagnose.diagnosis import Diagnosis
from seesay.evaluate.diagnose.protocol import Settings
from seesay.evaluate.diagnose.registry import REGISTRY, parse
from seesay.evaluate.diagnose.run import diagnose

__all__ = [
    "REGISTRY",
    "Claim",
    "Diagnosis",
    "Finding",
    "Part",
    "Report",
    "Settings",
    "diagnose",
    "parse",
]
