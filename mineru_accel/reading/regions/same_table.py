"""Detected boxes that are parts of one table become one."""

from __future__ import annotations

from ...document import BBox
from ..geometry import box_area, share_inside, union

_MIN_SHARED = 0.5
"""Share of the smaller of two boxes that lies in the other. A detector finds long tables in overlapping pieces, which
reach to the ends of the same ruled lines after they are snapped to them; tables side by side share an edge at most."""


def group_tables(boxes: list[BBox]) -> list[tuple[BBox, list[int]]]:
    """Tables as (box, indices of the boxes that it was found as), each box in one of them."""
    groups: list[tuple[BBox, list[int]]] = []
    for index in sorted(range(len(boxes)), key=lambda i: -box_area(boxes[i])):
        box, members = boxes[index], [index]
        while other := next((group for group in groups if _is_same(box, group[0])), None):
            groups.remove(other)
            box, members = union([box, other[0]]), other[1] + members
        groups.append((box, members))
    return groups


def _is_same(one: BBox, other: BBox) -> bool:
    smaller, larger = sorted((one, other), key=box_area)
    return share_inside(smaller, larger) > _MIN_SHARED
