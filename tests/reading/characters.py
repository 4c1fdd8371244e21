"""Characters and lines of a text layer, made by hand."""

from __future__ import annotations

from math import radians
from typing import Any

WIDTH, HEIGHT = 5.0, 10.0
"""Of a character in points."""
Box = tuple[float, float, float, float]


def font(size: float = 10.0) -> dict[str, Any]:
    return {"size": size, "name": "x", "flags": 0}


def character(letter: str, box: Box, index: int = 0, rotation: int = 0) -> dict[str, Any]:
    """A character as docvortex returns it; ``rotation`` is clockwise in degrees."""
    return {
        "char": letter,
        "bbox": box,
        "writing_angle": radians(rotation),
        "char_idx": index,
        "font": font(),
        "tight_bbox": box,
    }
