"""Groups regions that are read as one: a figure and its caption, a table with its caption and footnotes, a formula and
its number, a box and the regions inside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ...document import BBox, Region
from ..geometry import box_area, intersection, union
from .spans import overlap
from .xy_cut import order_boxes

ANCHOR_LABELS = ("figure", "table", "isolate_formula")
"""Labels of the regions that captions, footnotes and numbers belong to."""
_ATTACHED_SUFFIXES = ("_caption", "_footnote")
"""Ends of the labels that belong to an anchor."""
_MIN_INSIDE = 0.85
"""Share of a box inside another; above it the box is its content."""
_MIN_TWIN = 0.7
"""Share of the outer box that the inner one covers; above it both are the same region, detected twice."""
_MAX_ATTACHED_GAP = 4
"""Maximum distance between a region and its anchor in line heights."""
_UNMATCHED_COST = 8
"""Cost of a caption without an anchor in line heights: more than of any pair."""


Pair = tuple[float, int, int]
"""(cost, region, anchor): cost as a distance, the others as indices."""


@dataclass(slots=True)
class Group:
    """Regions that are ordered as one."""

    members: list[int]
    """Indices of the regions, in reading order."""
    bbox: BBox
    """Around all members, in the unit of :attr:`Grouping.boxes`."""


@dataclass(slots=True)
class Grouping:
    """Finds the groups of a page."""

    regions: Sequence[Region]
    boxes: Sequence[BBox]
    """Of the regions, in a unit that is the same for x and y."""
    line_height: float
    """Of a line of text, in that unit."""

    def groups_of(self, ids: list[int]) -> list[Group]:
        """Groups of the regions with these indices; each is in exactly one."""
        owner = self._containers(ids)
        free = [i for i in ids if i not in owner]
        groups: dict[int, list[int]] = {i: [i] for i in free}
        self._attach(groups, free, "formula_caption", "isolate_formula")
        self._attach(groups, free, "table_caption", "table")
        self._attach(groups, free, "table_footnote", "table")
        self._attach(groups, free, "figure_caption", "figure")
        out = []
        for anchor, members in groups.items():
            ordered = self._order_members(anchor, members)
            bbox = union([self.boxes[i] for i in members])
            out.append(Group([j for i in ordered for j in (i, *self._contents(i, owner))], bbox))
        return out

    def _containers(self, ids: list[int]) -> dict[int, int]:
        """The box that each nested or repeated box follows, by index."""
        if len(ids) < 2:
            return {}
        by_size = sorted(ids, key=lambda i: (-box_area(self.boxes[i]), i))
        box = np.array([self.boxes[i] for i in by_size])
        sizes = (box[:, 2] - box[:, 0]).clip(0) * (box[:, 3] - box[:, 1]).clip(0)
        wide = np.minimum(box[:, None, 2], box[None, :, 2]) - np.maximum(box[:, None, 0], box[None, :, 0])
        high = np.minimum(box[:, None, 3], box[None, :, 3]) - np.maximum(box[:, None, 1], box[None, :, 1])
        shared = wide.clip(0) * high.clip(0)
        inside = np.triu((shared >= _MIN_INSIDE * sizes[None, :]) & (wide >= 0) & (high >= 0), 1)  # [outer, inner]
        twins = shared >= _MIN_TWIN * sizes[:, None]
        owner: dict[int, int] = {}
        for j, i in zip(*np.nonzero(inside), strict=True):  # outer boxes from the largest
            one, other = by_size[i], by_size[j]
            attached = self.regions[one].label.endswith(_ATTACHED_SUFFIXES)
            is_content = self.regions[other].label in ANCHOR_LABELS and not attached
            if one not in owner and other not in owner and (is_content or twins[j, i]):
                owner[one] = other
        return owner

    def _contents(self, i: int, owner: dict[int, int]) -> list[int]:
        """The boxes that follow box ``i``, in reading order."""
        inside = [j for j, o in owner.items() if o == i]
        return [inside[n] for n in order_boxes([self.boxes[j] for j in inside], line_height=self.line_height)]

    def _attach(self, groups: dict[int, list[int]], ids: list[int], kind: str, to: str) -> None:
        """Add each region with label ``kind`` to the group of the region with label ``to`` that it belongs to."""
        regions = [i for i in ids if self.regions[i].label == kind and i in groups]
        anchors = [i for i in ids if self.regions[i].label == to and i in groups]
        if not regions or not anchors:
            return
        moved: dict[int, int] = {}  # anchors that share a caption with the group they went into
        for _, i, j in self._best_pairs(regions, anchors, kind):
            j = moved.get(j, j)
            if self._comes_between(i, groups[j], [k for k in ids if k in groups]):
                continue
            row = self._sharing_caption(i, j, anchors, groups)
            groups[j] += [i, *row]
            del groups[i]
            for k in row:
                del groups[k]
                moved[k] = j

    def _best_pairs(self, regions: list[int], anchors: list[int], kind: str) -> list[Pair]:
        """Pairs for captions on their usual side, unless the other side is clearly better for the page as a whole."""
        usually_below = kind != "table_caption"
        pairs = self._match_pairs(regions, anchors, usually_below, kind)
        if kind in ("formula_caption", "table_footnote"):
            return pairs
        others = self._match_pairs(regions, anchors, not usually_below, kind)
        better = self._total_cost(others, regions) < self._total_cost(pairs, regions) - 0.5 * self.line_height
        return others if better else pairs

    def _total_cost(self, pairs: list[Pair], regions: list[int]) -> float:
        """Cost of some pairs, and of the regions that are in none."""
        unmatched = len(regions) - len({region for _, region, _ in pairs})
        return sum(cost for cost, _, _ in pairs) + _UNMATCHED_COST * self.line_height * unmatched

    def _comes_between(self, i: int, group: list[int], ids: list[int]) -> bool:
        """Whether another region lies between ``i`` and ``group``, so that they don't belong together."""
        old = union([self.boxes[k] for k in group])
        new = union([old, self.boxes[i]])
        for k in ids:
            box = self.boxes[k]
            if k != i and k not in group and intersection(new, box) - intersection(old, box) > 0.3 * box_area(box):
                return True
        return False

    def _match_pairs(self, regions: list[int], anchors: list[int], below: bool, kind: str) -> list[Pair]:
        """Match regions with anchors, the cheapest pairs first; each anchor gets one region before any gets two.

        Args:
            regions, anchors: indices of both.
            below: whether regions are expected below their anchor rather than above it.
            kind: label of the regions.
        """
        costs = []
        for i in regions:
            for j in anchors:
                cost = self._pair_cost(self.boxes[i], self.boxes[j], below, kind)
                if cost is not None:
                    costs.append((cost, i, j))
        costs.sort()
        pairs: list[Pair] = []
        for again in (False, True):
            for cost, i, j in costs:
                taken = any(p[2] == j for p in pairs)
                if all(p[1] != i for p in pairs) and (again or not taken):
                    pairs.append((cost + (2 * self.line_height if again else 0.0), i, j))
        return pairs

    def _pair_cost(self, one: BBox, other: BBox, below: bool, kind: str) -> float | None:
        """Cost (a distance) of attaching box ``one`` to the anchor ``other``; None where they can't belong together."""
        dx = -overlap(one[0], one[2], other[0], other[2])
        dy = -overlap(one[1], one[3], other[1], other[3])
        if kind == "formula_caption":
            return max(dx, 0.0) if dy < -0.4 * min(one[3] - one[1], other[3] - other[1]) else None
        if max(dx, dy) > _MAX_ATTACHED_GAP * self.line_height:
            return None
        if dx < 0:  # above or below
            usual = (one[1] + one[3] > other[1] + other[3]) == below
            return max(dy, 0.0) * (1.0 if usual else 1.6) + (0.0 if usual else 0.5 * self.line_height)
        if dy < 0:  # at its side
            return dx + 1.5 * self.line_height
        return None

    def _sharing_caption(self, i: int, j: int, anchors: list[int], groups: dict[int, list[int]]) -> list[int]:
        """Other figures in the row of figure ``j`` that share its caption ``i``, which extends below them."""
        caption, first = self.boxes[i], self.boxes[j]
        if self.regions[i].label != "figure_caption":
            return []
        out = []
        for k in anchors:
            box = self.boxes[k]
            if k == j or groups.get(k) != [k] or abs(box[3] - first[3]) > 2 * self.line_height:
                continue
            if overlap(caption[0], caption[2], box[0], box[2]) > 0.2 * (box[2] - box[0]):
                out.append(k)
        return out

    def _order_members(self, anchor: int, members: list[int]) -> list[int]:
        """Members of a group in reading order, see :func:`.page.sort_regions`."""
        middle = self.boxes[anchor][1] + self.boxes[anchor][3]

        def key(i: int) -> tuple[int, float, float]:
            box, label = self.boxes[i], self.regions[i].label
            if label == self.regions[anchor].label:
                return 1, box[0], box[1]
            if label == "table_caption" and box[1] + box[3] < middle:
                return 0, box[1], box[0]
            return (3 if label == "table_footnote" else 2), box[1], box[0]

        return sorted(members, key=key)
