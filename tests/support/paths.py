"""Where things lie that tests read."""

from __future__ import annotations

import os
from pathlib import Path

TESTS = Path(__file__).parents[1]
ROOT = TESTS.parent
GOLDEN = TESTS / "golden"
EARLIER = TESTS / "fixtures" / "earlier"
DATA = Path(os.environ.get("SEESAY_DATA", ROOT.parent / "shared" / "data"))
"""Public data, read in place; tests that need it skip where it is not."""
