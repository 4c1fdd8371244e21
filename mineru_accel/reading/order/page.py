"""Reading order of the regions of a page: left to right, top to bottom, column by column.

The algorithm is the recursive XY-cut of G. Nagy and S. Seth, "Hierarchical representation of optically scanned
documents" (ICPR 1984): a set of boxes is split at empty stripes, alternately across and along the page, until
single boxes are left. Where this differs:

- Nagy and Seth cut at every empty stripe of one direction before they look at the other. Paragraph gaps that
  happen to line up in neighbouring columns then tear the columns apart. Here the horizontal bands are first put
  together again while they share a gutter (:meth:`_XYCut._sections`), so a *section* is what lies between
  elements that span its columns; only then are its columns cut.
- A gutter counts only if there is text side by side along it: a date on the right between two lines on the left
  makes no column.
- A section also ends at a short heading beside which the other columns are empty, where the columns change
  altogether, and between the rows of a form (blocks with tops in line, far apart).
- Boxes are shrunk by a tolerance before they are projected, first by a little (detectors are noisy), then by more
  (pages are skewed). What still can't be cut (columns that interlock) is ordered by the two pairwise rules of
  T. Breuel, "High performance document layout analysis" (SDIUT 2003): above comes first, and left comes first
  unless something that spans both lies between.

Regions that belong together (a figure and its caption, a table with its caption and notes, a formula and its
number, a box and what lies inside it) are ordered as one.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import TypeVar

import numpy as np

from ...document import BBox, Region

_TOLERANCES = ((0.4, 0.25), (0.6, 0.6), (0.8, 1.2))
"""How much a box is shrunk on each side, in line heights: (x, y), step by step."""
_MAX_SHRINK = 0.32
"""... but never by more than this part of its size."""

_COLUMN = 6
"""Line heights that a column is wide, at least."""

_SKEW = 0.036
"""Tops count as in line if they differ by no more than on a page that is turned by two degrees."""

_PICTURES = ("figure", "table", "isolate_formula")
_ATTACHED = ("_caption", "_footnote")

_Span = tuple[float, float]
_FAR = 1e9
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
    text = [i for i in flow if known[i].label not in _PICTURES]
    line = _line_height([boxes[i] for i in text or flow], max(width, height))

    out: list[int] = []
    furniture = [i for i, r in enumerate(known) if r.label == "abandon"]
    head = [i for i in furniture if known[i].bbox[1] + known[i].bbox[3] < 1.0]
    foot = [i for i in furniture if known[i].bbox[1] + known[i].bbox[3] >= 1.0]
    out += [head[i] for i in _XYCut([boxes[i] for i in head], line, frozenset()).by_pairs()]
    units = _Units(known, boxes, line).make(flow)
    headings = [n for n, unit in enumerate(units) if known[unit.members[0]].label == "title"]
    for n in order_boxes([unit.bbox for unit in units], line=line, headings=headings):
        out += units[n].members
    out += [foot[i] for i in _XYCut([boxes[i] for i in foot], line, frozenset()).by_pairs()]
    return [known[i] for i in out]


def order_boxes(boxes: Sequence[BBox], *, line: float | None = None, headings: Iterable[int] = ()) -> list[int]:
    """The reading order of plain boxes, as indices into ``boxes``.

    Args:
        boxes: (x0, y0, x1, y1) in any unit that is the same for x and y, origin top left.
        line: height of a line of text in that unit; estimated from the boxes if not given.
        headings: which boxes are headings, if known. They open a section more readily.
    """
    ids = sorted(range(len(boxes)), key=lambda i: (boxes[i][1], boxes[i][0], boxes[i][3], boxes[i][2]))
    if len(ids) < 2:
        return ids
    if line is None:
        extent = max(max(b[2] for b in boxes) - min(b[0] for b in boxes), max(b[3] for b in boxes) - boxes[ids[0]][1])
        line = _line_height(boxes, extent)
    known = set(headings)
    cut = _XYCut([boxes[i] for i in ids], line, frozenset(n for n, i in enumerate(ids) if i in known))
    return [ids[n] for n in cut.order(list(range(len(ids))))]


def _line_height(boxes: Sequence[BBox], extent: float) -> float:
    """A line's height: the lower quartile of the boxes' heights, within what is usual on a page of this size."""
    heights = sorted(b[3] - b[1] for b in boxes)
    low, high = extent / 140, extent / 50
    return min(max(heights[len(heights) // 4], low), high) if heights else low


def _overlap(a0: float, a1: float, b0: float, b1: float) -> float:
    return min(a1, b1) - max(a0, b0)


def _union(spans: Iterable[_Span]) -> list[_Span]:
    """Spans put together where they touch, in order."""
    out: list[_Span] = []
    for low, high in sorted(spans):
        if out and low <= out[-1][1]:
            if high > out[-1][1]:
                out[-1] = (out[-1][0], high)
        else:
            out.append((low, high))
    return out


@dataclass(slots=True)
class _Band:
    """Boxes between two empty stripes across the page, and the columns that they make on their own."""

    ids: list[int]
    columns: list[_Span]
    top: float
    bottom: float


@dataclass(slots=True)
class _XYCut:
    boxes: Sequence[BBox]
    line: float
    headings: frozenset[int]
    _x: list[list[_Span]] = field(default_factory=list)
    _y: list[list[_Span]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for x, y in _TOLERANCES:
            self._x.append([self._shrink(b[0], b[2], x * self.line) for b in self.boxes])
            self._y.append([self._shrink(b[1], b[3], y * self.line) for b in self.boxes])

    @staticmethod
    def _shrink(low: float, high: float, by: float) -> _Span:
        by = min(by, _MAX_SHRINK * max(high - low, 0.0))
        return low + by, max(high - by, low + by)

    def order(self, ids: list[int], level: int = 0) -> list[int]:
        """Order a set of boxes, given from top to bottom."""
        if len(ids) < 2:
            return ids
        for step in range(level, len(_TOLERANCES)):
            bands = self._bands(ids, step)
            parts = self._sections(bands) if len(bands) > 1 else []
            if len(parts) < 2:
                parts = self._columns(ids, step) or [band.ids for band in bands]
            if len(parts) > 1:
                return [i for part in parts for i in self.order(part, step)]
        return self.by_pairs(ids)

    def _bands(self, ids: list[int], step: int) -> list[_Band]:
        spans = self._y[step]
        groups: list[list[int]] = []
        reach = -_FAR
        for i in sorted(ids, key=spans.__getitem__):
            if spans[i][0] > reach or not groups:
                groups.append([])
            groups[-1].append(i)
            reach = max(reach, spans[i][1])
        bands = []
        for group in groups:
            columns = _union(self._x[step][i] for i in group)
            top, bottom = min(self.boxes[i][1] for i in group), max(self.boxes[i][3] for i in group)
            bands.append(_Band(group, columns, top, bottom))
        return bands

    def _columns(self, ids: list[int], step: int) -> list[list[int]]:
        """Cut at the gutters that have text side by side; no cut gives an empty list."""
        spans, heights = self._x[step], self._y[step]
        parts: list[list[int]] = []
        reach = -_FAR
        for i in sorted(ids, key=spans.__getitem__):
            if spans[i][0] > reach or not parts:
                parts.append([])
            parts[-1].append(i)
            reach = max(reach, spans[i][1])
        columns = parts[:1]
        for number in range(1, len(parts)):
            right = [i for part in parts[number:] for i in part]
            if self._side_by_side([heights[i] for i in columns[-1]], [heights[i] for i in right]):
                columns.append([])
            columns[-1] = columns[-1] + parts[number]
        return columns if len(columns) > 1 else []

    @staticmethod
    def _side_by_side(left: list[_Span], right: list[_Span]) -> bool:
        """Whether a good part of the side that has less stands beside something on the other."""
        one, two = _union(left), _union(right)
        shared, i, j = 0.0, 0, 0
        while i < len(one) and j < len(two):
            shared += max(0.0, _overlap(*one[i], *two[j]))
            if one[i][1] < two[j][1]:
                i += 1
            else:
                j += 1
        least = min(sum(b - a for a, b in one), sum(b - a for a, b in two))
        return shared > 0.3 * least or (least == 0 and shared >= 0 and bool(one and two))

    def _sections(self, bands: list[_Band]) -> list[list[int]]:
        """Put bands together while they share a gutter."""
        sections: list[list[_Band]] = []
        current, columns = [bands[0]], bands[0].columns
        for number, band in enumerate(bands[1:], 1):
            merged = _union(columns + band.columns)
            changed = len(columns) > 1 and all(self._straddles(span, columns) for span in band.columns)
            if len(merged) < 2 or changed:
                moved = self._gutter_below(current, band) or self._trailing(current, columns, band)
                sections.append(current)
                current = [*moved, band]
                columns = _union(span for b in current for span in b.columns)
            elif self._opens(band, current, columns, bands[number + 1 :]):
                sections.append(current)
                current, columns = [band], band.columns
            else:
                current.append(band)
                columns = merged
        sections.append(current)
        out: list[list[int]] = []
        for section in sections:
            start, end = self._form(section)
            if start == end:
                out += [[i for band in part for i in band.ids] for part in self._peel(section)]
                continue
            if start:
                out.append([i for band in section[:start] for i in band.ids])
            out += [band.ids for band in section[start:]]
        return out

    @staticmethod
    def _straddles(span: _Span, columns: list[_Span]) -> bool:
        return sum(_overlap(*span, *column) > 0 for column in columns) > 1

    def _gutter_below(self, section: list[_Band], after: _Band) -> list[_Band]:
        """Take the bands off the end of ``section`` that alone make its gutter, if what follows goes on with theirs.

        A narrow abstract has a gutter in common with the first line of the columns below it, by chance. Numbers of
        formulas beside them make no column.
        """
        start, columns = len(section), after.columns
        while start and len(section[start - 1].columns) > 1:
            columns = _union([*columns, *section[start - 1].columns])
            if len(columns) < 2:
                break
            start -= 1
        alone = _union(span for band in section[:start] for span in band.columns)
        columns = _union([*after.columns, *(span for band in section[start:] for span in band.columns)])
        if len(alone) != 1 or any(high - low < _COLUMN * self.line for low, high in columns):
            return []
        moved = section[start:]
        del section[start:]
        return moved

    def _trailing(self, section: list[_Band], columns: list[_Span], after: _Band) -> list[_Band]:
        """Take the heading of what follows off the end of ``section``."""
        last = section[-1]
        if len(section) < 2 or len(columns) < 2 or len(last.columns) > 1:
            return []
        if _overlap(*last.columns[0], *columns[0]) <= 0:
            return []
        if not self._is_short(last) or not self._nearer_below(last, section[:-1], after.top):
            return []
        return [section.pop()]

    def _is_short(self, band: _Band) -> bool:
        return band.bottom - band.top <= 3 * self.line

    def _nearer_below(self, band: _Band, above: list[_Band], below: float) -> bool:
        """Whether a band is nearer to what comes below than to what stands above it in its own column."""
        bottom = self._last_bottom(band.columns[0], above)
        if bottom is None:
            return True
        factor = 1.0 if self.headings.issuperset(band.ids) else 1.25
        return band.top - bottom > factor * (below - band.bottom)

    def _last_bottom(self, column: _Span, bands: list[_Band]) -> float | None:
        for band in reversed(bands):
            found = [self.boxes[i][3] for i in band.ids if self._in(i, column)]
            if found:
                return max(found)
        return None

    def _in(self, i: int, column: _Span) -> bool:
        return _overlap(*self._x[0][i], *column) >= 0

    def _opens(self, band: _Band, section: list[_Band], columns: list[_Span], rest: list[_Band]) -> bool:
        """Whether ``band`` is a short heading beside which the section's other columns are empty."""
        if len(columns) < 2 or len(band.columns) > 1 or not rest or not self._is_short(band):
            return False
        if _overlap(*band.columns[0], *columns[0]) <= 0:
            return False
        if not self._nearer_below(band, section, rest[0].top):
            return False
        for column in columns:
            if _overlap(*column, *band.columns[0]) > 0:
                continue
            above = self._last_bottom(column, section)
            below = next(
                (min(self.boxes[i][1] for i in b.ids if self._in(i, column)) for b in rest if self._has(b, column)),
                None,
            )
            if above is None or below is None or below - above < 2.2 * self.line:
                return False
            if below > rest[0].top + self.line:  # what follows starts level in all columns
                return False
        return True

    def _has(self, band: _Band, column: _Span) -> bool:
        return any(_overlap(*span, *column) > 0 for span in band.columns)

    def _form(self, section: list[_Band]) -> tuple[int, int]:
        """The rows of a form at the end of a section: where they start and end (the same if there are none).

        Rows have columns far apart, tops in line, and space between them. Single blocks may follow.
        """
        end = len(section)
        while end and len(section[end - 1].columns) < 2:
            end -= 1
        start = end
        columns: list[_Span] = []
        while start and self._is_row(section[start - 1]):
            if start < end and self._gap(section[start - 1], section[start]) < 1.4 * self.line:
                break
            wider = _union([*columns, *section[start - 1].columns])
            if len(wider) < 2 or any(b[0] - a[1] <= 3 * self.line for a, b in pairwise(wider)):
                break
            start, columns = start - 1, wider
        return (start, end) if end - start > 1 else (end, end)

    def _is_row(self, band: _Band) -> bool:
        if len(band.columns) < 2 or self.headings.issuperset(band.ids):
            return False
        tops = [min(self.boxes[i][1] for i in band.ids if self._in(i, column)) for column in band.columns]
        skew = _SKEW * (band.columns[-1][0] - band.columns[0][0])
        return max(tops) - min(tops) <= 0.4 * self.line + skew

    def _gap(self, one: _Band, two: _Band) -> float:
        """The least space between two bands within a column."""
        gaps = [_FAR]
        for column in one.columns:
            bottoms = [self.boxes[i][3] for i in one.ids if self._in(i, column)]
            tops = [self.boxes[i][1] for i in two.ids if self._in(i, column)]
            if bottoms and tops:
                gaps.append(min(tops) - max(bottoms))
        return min(gaps)

    def _peel(self, section: list[_Band]) -> list[list[_Band]]:
        """Take a single line off the top of a section, so that a date on the right is not read with its column."""
        if len(section) < 2:
            return [section]
        line, following = section[0], section[1]
        apart = following.top - line.bottom >= 0.5 * self.line
        if len(line.columns) == 1 and len(following.columns) > 1 and apart and self._is_line(line):
            return [[line], section[1:]]
        return [section]

    def _is_line(self, band: _Band) -> bool:
        return band.bottom - band.top <= 1.6 * self.line

    def by_pairs(self, ids: list[int] | None = None) -> list[int]:
        """Breuel's rules for a set (all if not given): a topological order of what must come before what."""
        ids = list(range(len(self.boxes))) if ids is None else ids
        if len(ids) < 2:
            return ids
        box = np.array([self.boxes[i] for i in ids])
        before = self._precedence(box)
        waiting = before.sum(axis=0)  # for each box, how many must come first
        rank = np.lexsort((box[:, 1], box[:, 0])).argsort()
        done = np.zeros(len(ids), dtype=bool)
        out: list[int] = []
        for _ in ids:
            # a cycle is broken where the fewest rules suffer; of several, what follows the last, then the leftmost
            cost = waiting * 4 * len(ids) + rank
            if out:
                cost -= 2 * len(ids) * (before[out[-1]] & (waiting == 0))
            pick = int(np.where(done, np.iinfo(cost.dtype).max, cost).argmin())
            done[pick] = True
            waiting = waiting - before[pick]
            out.append(pick)
        return [ids[n] for n in out]

    @staticmethod
    def _precedence(box: np.ndarray) -> np.ndarray:
        """``out[a, b]``: a comes before b. Beyond 150 boxes what lies between two is not looked at (too slow)."""
        count = len(box)
        width = box[:, 2] - box[:, 0]
        overlap = np.minimum(box[:, None, 2], box[None, :, 2]) - np.maximum(box[:, None, 0], box[None, :, 0])
        beside = overlap > 0.3 * np.minimum(width[:, None], width[None, :])  # one stands above the other
        np.fill_diagonal(beside, False)
        x, y = box[:, 0] + box[:, 2], box[:, 1] + box[:, 3]
        above, left = y[:, None] < y[None, :], x[:, None] < x[None, :]
        spanned = np.zeros((count, count), dtype=bool)
        if count <= 150:
            for c in range(count):
                ends = np.outer(above[:, c] & beside[:, c], above[c] & beside[c])  # a above c above b
                spanned |= ends | ends.T
        return np.where(beside | spanned, above, left)


@dataclass(slots=True)
class _Unit:
    """Regions that are ordered as one."""

    members: list[int]
    bbox: BBox


@dataclass(slots=True)
class _Units:
    """Finds which regions belong together."""

    regions: Sequence[Region]
    boxes: Sequence[BBox]
    line: float

    def make(self, ids: list[int]) -> list[_Unit]:
        """All of ``ids``, each in one unit."""
        owner = self._nested(ids)
        free = [i for i in ids if i not in owner]
        groups: dict[int, list[int]] = {i: [i] for i in free}
        self._attach(groups, free, "formula_caption", "isolate_formula")
        self._attach(groups, free, "table_caption", "table")
        self._attach(groups, free, "table_footnote", "table")
        self._attach(groups, free, "figure_caption", "figure")
        units = []
        for anchor, members in groups.items():
            ordered = self._inner(anchor, members)
            bbox = _hull([self.boxes[i] for i in members])
            units.append(_Unit([j for i in ordered for j in (i, *self._children(i, owner))], bbox))
        return units

    def _nested(self, ids: list[int]) -> dict[int, int]:
        """Boxes that lie inside another, or repeat it: box -> the one to follow."""
        if len(ids) < 2:
            return {}
        by_size = sorted(ids, key=lambda i: (-_area(self.boxes[i]), i))
        box = np.array([self.boxes[i] for i in by_size])
        area = (box[:, 2] - box[:, 0]).clip(0) * (box[:, 3] - box[:, 1]).clip(0)
        wide = np.minimum(box[:, None, 2], box[None, :, 2]) - np.maximum(box[:, None, 0], box[None, :, 0])
        high = np.minimum(box[:, None, 3], box[None, :, 3]) - np.maximum(box[:, None, 1], box[None, :, 1])
        shared = wide.clip(0) * high.clip(0)
        inside = np.triu((shared >= 0.85 * area[None, :]) & (wide >= 0) & (high >= 0), 1)  # [outer, inner]
        twins = shared >= 0.7 * area[:, None]
        owner: dict[int, int] = {}
        for j, i in zip(*np.nonzero(inside), strict=True):  # outer boxes from the largest
            one, other = by_size[i], by_size[j]
            picture = self.regions[other].label in _PICTURES and not self.regions[one].label.endswith(_ATTACHED)
            if one not in owner and other not in owner and (picture or twins[j, i]):
                owner[one] = other
        return owner

    def _children(self, i: int, owner: dict[int, int]) -> list[int]:
        inside = [j for j, o in owner.items() if o == i]
        return [inside[n] for n in order_boxes([self.boxes[j] for j in inside], line=self.line)]

    def _attach(self, groups: dict[int, list[int]], ids: list[int], kind: str, to: str) -> None:
        """Add each region of class ``kind`` to the group of the ``to`` it belongs to."""
        small = [i for i in ids if self.regions[i].label == kind and i in groups]
        big = [i for i in ids if self.regions[i].label == to and i in groups]
        if not small or not big:
            return
        best: tuple[float, list[tuple[float, int, int]]] | None = None
        for below in (kind != "table_caption", kind == "table_caption"):  # the usual side first
            pairs = self._match(small, big, below, kind)
            cost = sum(p[0] for p in pairs) + 8 * self.line * (len(small) - len({p[1] for p in pairs}))
            if best is None or cost < best[0] - 0.5 * self.line:
                best = (cost, pairs)
            if kind in ("formula_caption", "table_footnote"):
                break
        assert best is not None
        moved: dict[int, int] = {}  # pictures that went into another's group
        for _, i, j in best[1]:
            j = moved.get(j, j)
            if self._comes_between(i, groups[j], [k for k in ids if k in groups]):
                continue
            row = self._row(i, j, big, groups)
            groups[j] += [i, *row]
            del groups[i]
            for k in row:
                del groups[k]
                moved[k] = j

    def _comes_between(self, i: int, group: list[int], ids: list[int]) -> bool:
        """Whether something else lies between ``i`` and ``group``, so that they can't be one."""
        old = _hull([self.boxes[k] for k in group])
        new = _hull([old, self.boxes[i]])
        for k in ids:
            box = self.boxes[k]
            if k != i and k not in group and _intersection(new, box) - _intersection(old, box) > 0.3 * _area(box):
                return True
        return False

    def _match(self, small: list[int], big: list[int], below: bool, kind: str) -> list[tuple[float, int, int]]:
        """Pairs (cost, small, big), the cheapest first; each of ``big`` gets one of ``small`` before any gets two."""
        costs = []
        for i in small:
            for j in big:
                cost = self._cost(self.boxes[i], self.boxes[j], below, kind)
                if cost is not None:
                    costs.append((cost, i, j))
        costs.sort()
        pairs: list[tuple[float, int, int]] = []
        for again in (False, True):
            for cost, i, j in costs:
                taken = any(p[2] == j for p in pairs)
                if all(p[1] != i for p in pairs) and (again or not taken):
                    pairs.append((cost + (2 * self.line if again else 0.0), i, j))
        return pairs

    def _cost(self, one: BBox, other: BBox, below: bool, kind: str) -> float | None:
        """How unlikely it is that ``one`` belongs to ``other``; None: impossible."""
        dx = -_overlap(one[0], one[2], other[0], other[2])
        dy = -_overlap(one[1], one[3], other[1], other[3])
        if kind == "formula_caption":
            return max(dx, 0.0) if dy < -0.4 * min(one[3] - one[1], other[3] - other[1]) else None
        if max(dx, dy) > 4 * self.line:
            return None
        if dx < 0:  # above or below
            usual = (one[1] + one[3] > other[1] + other[3]) == below
            return max(dy, 0.0) * (1.0 if usual else 1.6) + (0.0 if usual else 0.5 * self.line)
        if dy < 0:  # at its side
            return dx + 1.5 * self.line
        return None

    def _row(self, i: int, j: int, big: list[int], groups: dict[int, list[int]]) -> list[int]:
        """Other pictures in the row of ``j`` that share its caption ``i``, since the caption runs below them too."""
        caption, first = self.boxes[i], self.boxes[j]
        if self.regions[i].label != "figure_caption":
            return []
        out = []
        for k in big:
            box = self.boxes[k]
            if k == j or groups.get(k) != [k] or abs(box[3] - first[3]) > 2 * self.line:
                continue
            if _overlap(caption[0], caption[2], box[0], box[2]) > 0.2 * (box[2] - box[0]):
                out.append(k)
        return out

    def _inner(self, anchor: int, members: list[int]) -> list[int]:
        """The order within a unit."""
        middle = self.boxes[anchor][1] + self.boxes[anchor][3]

        def key(i: int) -> tuple[int, float, float]:
            box, label = self.boxes[i], self.regions[i].label
            if label == self.regions[anchor].label:
                return 1, box[0], box[1]
            if label == "table_caption" and box[1] + box[3] < middle:
                return 0, box[1], box[0]
            return (3 if label == "table_footnote" else 2), box[1], box[0]

        return sorted(members, key=key)


def _area(box: BBox) -> float:
    return max(box[2] - box[0], 0.0) * max(box[3] - box[1], 0.0)


def _intersection(a: BBox, b: BBox) -> float:
    return max(_overlap(a[0], a[2], b[0], b[2]), 0.0) * max(_overlap(a[1], a[3], b[1], b[3]), 0.0)


def _hull(boxes: Sequence[BBox]) -> BBox:
    return min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes)
