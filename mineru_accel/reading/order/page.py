"""Reading order of the regions of a page.

Regions that belong together (:mod:`.groups`) are put in order as one by an XY-cut (:mod:`.xy_cut`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ...document import Region
from .groups import PICTURES, Grouping
from .xy_cut import XYCut, line_height, order_boxes

_T = TypeVar("_T")


def in_reading_order(items: Sequence[_T], regions: Sequence[Region], page_size: tuple[float, float]) -> list[_T]:
    """Items, each with its region, in the order of :func:`sort_regions`."""
    of_region = {id(region): item for region, item in zip(regions, items, strict=True)}
    return [of_region[id(region)] for region in sort_regions(regions, page_size)]


def sort_regions(regions: Sequence[Region], page_size: tuple[float, float]) -> list[Region]:
    """The regions of one page in reading order.

    A table's caption comes before the table if it stands above it, else after it; a figure's caption comes after the
    figure, wherever it stands; notes come after their table; a formula's number after the formula.
    Page furniture (``abandon``) is out of the flow: that of the upper half of the page comes first, that of the
    lower half last. The result does not depend on the order of the input.

    Args:
        regions: regions with unit boxes, in any order; may overlap a little, or repeat each other.
        page_size: displayed width and height in points.
    """
    width, height = page_size if min(page_size) > 0 else (595.0, 842.0)
    known = sorted(regions, key=lambda r: (r.bbox[1], r.bbox[0], r.bbox[3], r.bbox[2], r.label, -r.score))
    boxes = [(r.bbox[0] * width, r.bbox[1] * height, r.bbox[2] * width, r.bbox[3] * height) for r in known]
    flow = [i for i, r in enumerate(known) if r.label != "abandon"]
    text = [i for i in flow if known[i].label not in PICTURES]
    line = line_height([boxes[i] for i in text or flow], max(width, height))

    out: list[int] = []
    furniture = [i for i, r in enumerate(known) if r.label == "abandon"]
    head = [i for i in furniture if known[i].bbox[1] + known[i].bbox[3] < 1.0]
    foot = [i for i in furniture if known[i].bbox[1] + known[i].bbox[3] >= 1.0]
    out += [head[i] for i in XYCut([boxes[i] for i in head], line, frozenset()).by_pairs()]
    units = Grouping(known, boxes, line).make(flow)
    headings = [n for n, unit in enumerate(units) if known[unit.members[0]].label == "title"]
    for n in order_boxes([unit.bbox for unit in units], line=line, headings=headings):
        out += units[n].members
    out += [foot[i] for i in XYCut([boxes[i] for i in foot], line, frozenset()).by_pairs()]
    return [known[i] for i in out]
