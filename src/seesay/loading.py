"""placeholder while being written"""

from __future__ import annotations
from typing import Any


class _ImagesOnly:
    @classmethod
    def get_attributes(cls) -> list[str]:
        return [n for n in super().get_attributes() if "video" not in n]  # type: ignore[misc]


def images_only(processor_class: Any) -> Any:
    return type(processor_class.__name__, (_ImagesOnly, processor_class), {})
