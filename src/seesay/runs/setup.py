"""How a worker loads its model, in whichever process it lives."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch

from seesay.vlm import VLM, load


@dataclass(frozen=True)
class Setup:
    """How a worker loads its model: see `vlm.load`. `threads` for torch; None leaves its choice."""

    model: str | None = None
    dtype: str | None = None
    device: str | None = None
    revision: str | None = None
    trust_remote_code: bool = False
    threads: int | None = None

    def load(self) -> VLM:
        """The model.

        Raises:
            ModelError: see `vlm.load`.
        """
        if self.threads is not None:
            torch.set_num_threads(self.threads)
        return load(
            self.model,
            dtype=self.dtype,
            device=self.device,
            revision=self.revision,
            trust_remote_code=self.trust_remote_code,
        )

    def of_rank(self, rank: int) -> Setup:
        """The setup of the worker number `rank`: GPUs go round where no single one is named."""
        count = torch.cuda.device_count()
        if count < 2 or self.device not in (None, "cuda"):
            return self
        return replace(self, device=f"cuda:{rank % count}")
