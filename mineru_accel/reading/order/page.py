"""Reading order of the regions of a page.

Regions that belong together form a group (:mod:`.groups`); an XY-cut (:mod:`.xy_cut`) orders the groups.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from ...document import Region
from .groups import ANCHOR_LABELS, Grouping
from .pair_rules import order_by_pairs
from .xy_cut import estimate_line_height, order_boxes

_T = TypeVar("_T")


def in_reading_order(items: Sequence[_T], regions: Sequence[Region], page_size: tuple[float, float]) -> list[_T]:
    """Items in the order in which :func:`sort_regions` puts their regions.

    Args:
        items: any objects.
        regions: of the items, one for each.
        page_size: displayed width and height in points.
    """
    of_region = {id(region): item for region, item in zip(regions, items, strict=True)}
    return [of_region[id(region)] for region in sort_regions(regions, page_size)]


def sort_regions(regions: Sequence[Region], page_size: tuple[float, float]) -> list[Region]:
    """The regions of one page in reading order.

    A table's caption comes before the table if it stands above it, else after it; a figure's caption comes after the
    figure in any case; footnotes come after their table; a formula's number after the formula. Furniture (``abandon``)
    of the upper half of the page comes first, that of the lower half last. The result does not depend on the order of
    the input.

    Args:
        regions: in any order, with bboxes in fractions of the page; may overlap a little, or repeat each other.
        page_size: displayed width and height in points.
    """
    width, height = page_size if min(page_size) > 0 else (595.0, 842.0)
    known = sorted(regions, key=lambda r: (r.bbox[1], r.bbox[0], r.bbox[3], r.bbox[2], r.label, -r.score))
    boxes = [(r.bbox[0] * width, r.bbox[1] * height, r.bbox[2] * width, r.bbox[3] * height) for r in known]
    flow = [i for i, r in enumerate(known) if r.label != "abandon"]
    text = [i for i in flow if known[i].label not in ANCHOR_LABELS]
    line_height = estimate_line_height([boxes[i] for i in text or flow], max(width, height))

    out: list[int] = []
    furniture = [i for i, r in enumerate(known) if r.label == "abandon"]
    head = [i for i in furniture if known[i].bbox[1] + known[i].bbox[3] < 1.0]
    foot = [i for i in furniture if known[i].bbox[1] + known[i].bbox[3] >= 1.0]
    out += [head[i] for i in order_by_pairs([boxes[i] for i in head])]
    groups = Grouping(known, boxes, line_height).groups_of(flow)
    headings = [n for n, group in enumerate(groups) if known[group.members[0]].label == "title"]
    for n in order_boxes([group.bbox for group in groups], line_height=line_height, headings=headings):
        out += groups[n].members
    out += [foot[i] for i in order_by_pairs([boxes[i] for i in foot])]
    return [known[i] for i in out]
