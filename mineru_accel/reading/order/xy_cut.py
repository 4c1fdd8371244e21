"""Reading order of boxes: left to right, top to bottom, column by column.

The algorithm is the recursive XY-cut of G. Nagy and S. Seth, "Hierarchical representation of optically scanned
documents" (ICPR 1984): a set of boxes is split at empty stripes, alternately across and along the page, until
single boxes are left. Where this differs:

- Nagy and Seth cut at every empty stripe of one direction before they look at the other. Paragraph gaps that
  happen to line up in neighbouring columns then tear the columns apart. Here the horizontal bands are first put
  together again while they share a gutter (:meth:`XYCut._sections`), so a *section* is what lies between
  elements that span its columns; only then are its columns cut.
- A gutter counts only if there is text side by side along it: a date on the right between two lines on the left
  makes no column.
- A section also ends at a short heading beside which the other columns are empty, where the columns change
  altogether, and between the rows of a form (blocks with tops in line, far apart).
- Boxes are shrunk by a tolerance before they are projected, first by a little (detectors are noisy), then by more
  (pages are skewed). What still can't be cut (columns that interlock) is ordered by the two pairwise rules of
  T. Breuel, "High performance document layout analysis" (SDIUT 2003): above comes first, and left comes first
  unless something that spans both lies between.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np

from ...document import BBox
from .spans import Span, overlap, union_of_spans

_TOLERANCES = ((0.4, 0.25), (0.6, 0.6), (0.8, 1.2))
"""How much a box is shrunk on each side, in line heights: (x, y), step by step."""
_MAX_SHRINK = 0.32
"""... but never by more than this part of its size."""

_COLUMN = 6
"""Line heights that a column is wide, at least."""

_SKEW = 0.036
"""Tops count as in line if they differ by no more than on a page that is turned by two degrees."""
_FAR = 1e9


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
        line = line_height(boxes, extent)
    known = set(headings)
    cut = XYCut([boxes[i] for i in ids], line, frozenset(n for n, i in enumerate(ids) if i in known))
    return [ids[n] for n in cut.order(list(range(len(ids))))]


def line_height(boxes: Sequence[BBox], extent: float) -> float:
    """A line's height: the lower quartile of the boxes' heights, within what is usual on a page of this size."""
    heights = sorted(b[3] - b[1] for b in boxes)
    low, high = extent / 140, extent / 50
    return min(max(heights[len(heights) // 4], low), high) if heights else low


@dataclass(slots=True)
class Band:
    """Boxes between two empty stripes across the page, and the columns that they make on their own."""

    ids: list[int]
    columns: list[Span]
    top: float
    bottom: float


@dataclass(slots=True)
class XYCut:
    boxes: Sequence[BBox]
    line: float
    headings: frozenset[int]
    _x: list[list[Span]] = field(default_factory=list)
    _y: list[list[Span]] = field(default_factory=list)

    def __post_init__(self) -> None:
        for x, y in _TOLERANCES:
            self._x.append([self._shrink(b[0], b[2], x * self.line) for b in self.boxes])
            self._y.append([self._shrink(b[1], b[3], y * self.line) for b in self.boxes])

    @staticmethod
    def _shrink(low: float, high: float, by: float) -> Span:
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

    def _bands(self, ids: list[int], step: int) -> list[Band]:
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
            columns = union_of_spans(self._x[step][i] for i in group)
            top, bottom = min(self.boxes[i][1] for i in group), max(self.boxes[i][3] for i in group)
            bands.append(Band(group, columns, top, bottom))
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
    def _side_by_side(left: list[Span], right: list[Span]) -> bool:
        """Whether a good part of the side that has less stands beside something on the other."""
        one, two = union_of_spans(left), union_of_spans(right)
        shared, i, j = 0.0, 0, 0
        while i < len(one) and j < len(two):
            shared += max(0.0, overlap(*one[i], *two[j]))
            if one[i][1] < two[j][1]:
                i += 1
            else:
                j += 1
        least = min(sum(b - a for a, b in one), sum(b - a for a, b in two))
        return shared > 0.3 * least or (least == 0 and shared >= 0 and bool(one and two))

    def _sections(self, bands: list[Band]) -> list[list[int]]:
        """Put bands together while they share a gutter."""
        sections: list[list[Band]] = []
        current, columns = [bands[0]], bands[0].columns
        for number, band in enumerate(bands[1:], 1):
            merged = union_of_spans(columns + band.columns)
            changed = len(columns) > 1 and all(self._straddles(span, columns) for span in band.columns)
            if len(merged) < 2 or changed:
                moved = self._gutter_below(current, band) or self._trailing(current, columns, band)
                sections.append(current)
                current = [*moved, band]
                columns = union_of_spans(span for b in current for span in b.columns)
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
    def _straddles(span: Span, columns: list[Span]) -> bool:
        return sum(overlap(*span, *column) > 0 for column in columns) > 1

    def _gutter_below(self, section: list[Band], after: Band) -> list[Band]:
        """Take the bands off the end of ``section`` that alone make its gutter, if what follows goes on with theirs.

        A narrow abstract has a gutter in common with the first line of the columns below it, by chance. Numbers of
        formulas beside them make no column.
        """
        start, columns = len(section), after.columns
        while start and len(section[start - 1].columns) > 1:
            columns = union_of_spans([*columns, *section[start - 1].columns])
            if len(columns) < 2:
                break
            start -= 1
        alone = union_of_spans(span for band in section[:start] for span in band.columns)
        columns = union_of_spans([*after.columns, *(span for band in section[start:] for span in band.columns)])
        if len(alone) != 1 or any(high - low < _COLUMN * self.line for low, high in columns):
            return []
        moved = section[start:]
        del section[start:]
        return moved

    def _trailing(self, section: list[Band], columns: list[Span], after: Band) -> list[Band]:
        """Take the heading of what follows off the end of ``section``."""
        last = section[-1]
        if len(section) < 2 or len(columns) < 2 or len(last.columns) > 1:
            return []
        if overlap(*last.columns[0], *columns[0]) <= 0:
            return []
        if not self._is_short(last) or not self._nearer_below(last, section[:-1], after.top):
            return []
        return [section.pop()]

    def _is_short(self, band: Band) -> bool:
        return band.bottom - band.top <= 3 * self.line

    def _nearer_below(self, band: Band, above: list[Band], below: float) -> bool:
        """Whether a band is nearer to what comes below than to what stands above it in its own column."""
        bottom = self._last_bottom(band.columns[0], above)
        if bottom is None:
            return True
        factor = 1.0 if self.headings.issuperset(band.ids) else 1.25
        return band.top - bottom > factor * (below - band.bottom)

    def _last_bottom(self, column: Span, bands: list[Band]) -> float | None:
        for band in reversed(bands):
            found = [self.boxes[i][3] for i in band.ids if self._in(i, column)]
            if found:
                return max(found)
        return None

    def _in(self, i: int, column: Span) -> bool:
        return overlap(*self._x[0][i], *column) >= 0

    def _opens(self, band: Band, section: list[Band], columns: list[Span], rest: list[Band]) -> bool:
        """Whether ``band`` is a short heading beside which the section's other columns are empty."""
        if len(columns) < 2 or len(band.columns) > 1 or not rest or not self._is_short(band):
            return False
        if overlap(*band.columns[0], *columns[0]) <= 0:
            return False
        if not self._nearer_below(band, section, rest[0].top):
            return False
        for column in columns:
            if overlap(*column, *band.columns[0]) > 0:
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

    def _has(self, band: Band, column: Span) -> bool:
        return any(overlap(*span, *column) > 0 for span in band.columns)

    def _form(self, section: list[Band]) -> tuple[int, int]:
        """The rows of a form at the end of a section: where they start and end (the same if there are none).

        Rows have columns far apart, tops in line, and space between them. Single blocks may follow.
        """
        end = len(section)
        while end and len(section[end - 1].columns) < 2:
            end -= 1
        start = end
        columns: list[Span] = []
        while start and self._is_row(section[start - 1]):
            if start < end and self._gap(section[start - 1], section[start]) < 1.4 * self.line:
                break
            wider = union_of_spans([*columns, *section[start - 1].columns])
            if len(wider) < 2 or any(b[0] - a[1] <= 3 * self.line for a, b in pairwise(wider)):
                break
            start, columns = start - 1, wider
        return (start, end) if end - start > 1 else (end, end)

    def _is_row(self, band: Band) -> bool:
        if len(band.columns) < 2 or self.headings.issuperset(band.ids):
            return False
        tops = [min(self.boxes[i][1] for i in band.ids if self._in(i, column)) for column in band.columns]
        skew = _SKEW * (band.columns[-1][0] - band.columns[0][0])
        return max(tops) - min(tops) <= 0.4 * self.line + skew

    def _gap(self, one: Band, two: Band) -> float:
        """The least space between two bands within a column."""
        gaps = [_FAR]
        for column in one.columns:
            bottoms = [self.boxes[i][3] for i in one.ids if self._in(i, column)]
            tops = [self.boxes[i][1] for i in two.ids if self._in(i, column)]
            if bottoms and tops:
                gaps.append(min(tops) - max(bottoms))
        return min(gaps)

    def _peel(self, section: list[Band]) -> list[list[Band]]:
        """Take a single line off the top of a section, so that a date on the right is not read with its column."""
        if len(section) < 2:
            return [section]
        line, following = section[0], section[1]
        apart = following.top - line.bottom >= 0.5 * self.line
        if len(line.columns) == 1 and len(following.columns) > 1 and apart and self._is_line(line):
            return [[line], section[1:]]
        return [section]

    def _is_line(self, band: Band) -> bool:
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
