"""Boxes on pages that are turned to be read. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Sequence

from ..document import BBox


def box_as_displayed(bbox: Sequence[float], turn: int) -> BBox:
    """Move a box from the upright page to the page as displayed; with the negative turn, back.

    Args:
        bbox: fractions of the upright page.
        turn: degrees by which the page was turned counter-clockwise to be upright, a multiple of 90.
    """
    x0, y0, x1, y1 = bbox
    match turn % 360:
        case 90:
            return 1 - y1, x0, 1 - y0, x1
        case 180:
            return 1 - x1, 1 - y1, 1 - x0, 1 - y0
        case 270:
            return y0, 1 - x1, y1, 1 - x0
    return x0, y0, x1, y1
