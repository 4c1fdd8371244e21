"""Arithmetic of boxes (x0, y0, x1, y1), origin top left; the unit is the caller's unless a docstring names it."""

from __future__ import annotations

import math
from typing import Any

from ..document import BBox
from ..pdf.turns import box_as_displayed


def scaled(box: Any, x: float, y: float) -> BBox:
    """A box with its coordinates multiplied: fractions to points by the page's size, or back by its inverse."""
    return (box[0] * x, box[1] * y, box[2] * x, box[3] * y)


def rounded(box: Any, digits: int = 4) -> list[float]:
    """A box as a list of rounded coordinates, the form that MinerU's blocks hold."""
    return [round(v, digits) for v in box]


def clamped(box: Any) -> BBox:
    """The part of a box (fractions of the page) that lies on the page."""
    x0, y0, x1, y1 = (min(1.0, max(0.0, v)) for v in box)
    return x0, y0, x1, y1


def union(boxes: list[Any]) -> BBox:
    """The smallest box around some boxes."""
    x0, y0, x1, y1 = zip(*boxes, strict=True)
    return (min(x0), min(y0), max(x1), max(y1))


def box_area(box: Any) -> float:
    """Width times height; 0 for a box turned inside out."""
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def intersection(a: Any, b: Any) -> float:
    """Area of the part that two boxes share."""
    return max(min(a[2], b[2]) - max(a[0], b[0]), 0.0) * max(min(a[3], b[3]) - max(a[1], b[1]), 0.0)


def share_inside(inner: Any, outer: Any) -> float:
    """Share of one box's area that lies in another, 0..1."""
    return float(intersection(inner, outer) / max(box_area(inner), 1e-12))


def holds(box: Any, x: float, y: float) -> bool:
    """Whether a point lies in a box."""
    return bool(box[0] <= x <= box[2] and box[1] <= y <= box[3])


def centre(box: Any) -> tuple[float, float]:
    """The middle of a box."""
    return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2


def horizontal_overlap(a: Any, b: Any) -> float:
    """Width that two boxes share; where they share none, minus the gap between them."""
    return float(min(a[2], b[2]) - max(a[0], b[0]))


def to_displayed(bbox: BBox | list[float], turn: int, angle: float, size: tuple[float, float]) -> list[float]:
    """Move a bbox from the page as it was read, turned and straightened, to the page as displayed.

    Args:
        bbox: fractions of the page as it was read.
        turn: degrees by which the page was turned counter-clockwise: 0, 90, 180 or 270.
        angle: degrees by which the turned page was straightened, counter-clockwise as seen.
        size: width and height of the turned page in points.
    """
    return rounded(box_as_displayed(undo_deskew(bbox, angle, size) if angle else bbox, turn))


def undo_deskew(bbox: BBox | list[float], angle: float, size: tuple[float, float]) -> list[float]:
    """Move a bbox from the straightened page to the page as displayed.

    Its centre is rotated about the page's centre; width and height stay, since the box around a tilted line would
    cover its neighbours.

    Args:
        bbox: fractions of the straightened page.
        angle: degrees by which the page was straightened, counter-clockwise as seen.
        size: width and height of the page in points.
    """
    width, height = size
    x0, y0, x1, y1 = bbox
    x = ((x0 + x1) / 2 - 0.5) * width
    y = ((y0 + y1) / 2 - 0.5) * height
    radians = math.radians(angle)
    cos, sin = math.cos(radians), math.sin(radians)
    dx = ((x * cos - y * sin) / width + 0.5) - (x0 + x1) / 2
    dy = ((x * sin + y * cos) / height + 0.5) - (y0 + y1) / 2
    moved = (x0 + dx, y0 + dy, x1 + dx, y1 + dy)
    return rounded(clamped(moved))
