"""Does a paper's observation hold for this model? One file a diagnosis; `run` measures them.

A diagnosis takes notes while texts are read (`reading`), may have pictures described anew under
methods (`asking`), and concludes with figures, numbers and claims (`content`), which `page` and
`markdown` write down. `registry` lists them.
"""

from __future__ import annotations

from seesay.explain.diagnose.protocol import DiagnosisSettings
from seesay.explain.diagnose.run import REGISTRY, DiagnosisWorker, diagnose, diagnose_with, parse
from seesay.explain.diagnose.types import Claim, Diagnosis, DiagnosisReport, Finding, FindingPart

__all__ = [
    "REGISTRY",
    "Claim",
    "Diagnosis",
    "DiagnosisReport",
    "DiagnosisSettings",
    "DiagnosisWorker",
    "Finding",
    "FindingPart",
    "diagnose",
    "diagnose_with",
    "parse",
]
