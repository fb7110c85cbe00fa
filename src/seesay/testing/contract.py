"""What a broken contract raises."""

from __future__ import annotations


class ContractError(AssertionError):
    """A method broke its contract; the message names the check and what was seen."""
