"""Reading order of boxes: top to bottom, column by column, columns from left to right.

The algorithm is the recursive XY-cut of G. Nagy and S. Seth, "Hierarchical representation of optically scanned
documents" (ICPR 1984): a set of boxes is split at empty stripes, alternately across and along the page, until
single boxes are left. Where this differs:

- Nagy and Seth cut at every empty stripe of one direction before they look at the other. Paragraph gaps that
  are level in neighbouring columns by chance would then tear the columns apart. Here bands that share a gutter are
  first merged into a *section* (:meth:`XYCut._merge_into_sections`), which ends at elements that span its columns; only
  then are its columns cut.
- A gutter counts only if there is text side by side along it: a date on the right between two lines on the left
  makes no column.
- A section also ends at a short heading beside which the other columns are empty, where all columns change, and
  between the rows of a form (blocks far apart whose tops are level).
- Boxes are shrunk by a tolerance before they are projected, first by a little (detectors are noisy), then by more
  (pages are skewed). Boxes that still can't be cut (interlocking columns) are ordered by rules on pairs of boxes
  (:mod:`.pair_rules`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from ...document import BBox
from .pair_rules import order_by_pairs
from .spans import Span, overlap, union_of_spans

_TOLERANCES = ((0.4, 0.25), (0.6, 0.6), (0.8, 1.2))
"""Shrinkage of a box on each side in line heights, (x, y), for each step."""
_MAX_SHRINK = 0.32
"""Maximum shrinkage as a share of the box's size."""

_MIN_COLUMN_WIDTH = 6
"""Line heights; numbers of formulas beside them make narrower columns."""

_MAX_TOP_SKEW = 0.036
"""Maximum difference of level tops per horizontal distance: that of a page rotated by two degrees."""
_MAX_HEADING_HEIGHT = 3
"""Line heights; a higher band is no short heading."""
_EMPTY_BESIDE = 2.2
"""Line heights; the least space that is empty in the other columns beside a heading of a section."""
_INFINITE = 1e9


def order_boxes(boxes: Sequence[BBox], *, line_height: float | None = None, headings: Iterable[int] = ()) -> list[int]:
    """The reading order of plain boxes, as indices into ``boxes``.

    Args:
        boxes: (x0, y0, x1, y1) in any unit that is the same for x and y, origin top left.
        line_height: of a line of text in that unit; None estimates it from the boxes.
        headings: indices of the boxes known to be headings, which open a section more easily.
    """
    ids = sorted(range(len(boxes)), key=lambda i: (boxes[i][1], boxes[i][0], boxes[i][3], boxes[i][2]))
    if len(ids) < 2:
        return ids
    if line_height is None:
        extent = max(max(b[2] for b in boxes) - min(b[0] for b in boxes), max(b[3] for b in boxes) - boxes[ids[0]][1])
        line_height = estimate_line_height(boxes, extent)
    known = set(headings)
    cut = XYCut([boxes[i] for i in ids], line_height, frozenset(n for n, i in enumerate(ids) if i in known))
    return [ids[n] for n in cut.order(list(range(len(ids))))]


def estimate_line_height(boxes: Sequence[BBox], extent: float) -> float:
    """Height of a line of text: the lower quartile of the boxes' heights, within the usual range for the page's size.

    Args:
        extent: longer side of the page in the unit of the boxes.
    """
    heights = sorted(b[3] - b[1] for b in boxes)
    low, high = extent / 140, extent / 50
    return min(max(heights[len(heights) // 4], low), high) if heights else low


def _touching(ids: Iterable[int], spans: Sequence[Span]) -> list[list[int]]:
    """Indices whose spans touch, group by group, in the order of their spans."""
    groups: list[list[int]] = []
    reach = -_INFINITE
    for i in sorted(ids, key=spans.__getitem__):
        if spans[i][0] > reach or not groups:
            groups.append([])
        groups[-1].append(i)
        reach = max(reach, spans[i][1])
    return groups


@dataclass(slots=True)
class Band:
    """Boxes between two empty stripes across the page, and the columns of these boxes alone."""

    ids: list[int]
    columns: list[Span]
    top: float
    bottom: float


@dataclass(slots=True)
class XYCut:
    """The recursive cut of some boxes, which are named by their indices."""

    boxes: Sequence[BBox]
    line_height: float
    headings: frozenset[int]
    _x: list[list[Span]] = field(default_factory=list)
    """Horizontal spans of the boxes, shrunk by the tolerance of each step."""
    _y: list[list[Span]] = field(default_factory=list)
    """The same for vertical spans."""

    def __post_init__(self) -> None:
        for x, y in _TOLERANCES:
            self._x.append([self._shrink(b[0], b[2], x * self.line_height) for b in self.boxes])
            self._y.append([self._shrink(b[1], b[3], y * self.line_height) for b in self.boxes])

    @staticmethod
    def _shrink(low: float, high: float, by: float) -> Span:
        by = min(by, _MAX_SHRINK * max(high - low, 0.0))
        return low + by, max(high - by, low + by)

    def order(self, ids: list[int], level: int = 0) -> list[int]:
        """The reading order of a set of boxes.

        Args:
            ids: indices of the boxes, from top to bottom.
            level: first step of the tolerances.
        """
        if len(ids) < 2:
            return ids
        for step in range(level, len(_TOLERANCES)):
            bands = self._split_bands(ids, step)
            parts = self._parts_of(self._merge_into_sections(bands)) if len(bands) > 1 else []
            if len(parts) < 2:
                parts = self._split_columns(ids, step) or [band.ids for band in bands]
            if len(parts) > 1:
                return [i for part in parts for i in self.order(part, step)]
        return [ids[n] for n in order_by_pairs([self.boxes[i] for i in ids])]

    def _split_bands(self, ids: list[int], step: int) -> list[Band]:
        """Cut at the empty stripes across the page."""
        bands = []
        for group in _touching(ids, self._y[step]):
            columns = union_of_spans(self._x[step][i] for i in group)
            top, bottom = min(self.boxes[i][1] for i in group), max(self.boxes[i][3] for i in group)
            bands.append(Band(group, columns, top, bottom))
        return bands

    def _split_columns(self, ids: list[int], step: int) -> list[list[int]]:
        """Cut at the gutters that have text side by side; an empty list without a cut."""
        heights = self._y[step]
        parts = _touching(ids, self._x[step])
        columns = parts[:1]
        for number in range(1, len(parts)):
            right = [i for part in parts[number:] for i in part]
            if self._stand_side_by_side([heights[i] for i in columns[-1]], [heights[i] for i in right]):
                columns.append([])
            columns[-1] = columns[-1] + parts[number]
        return columns if len(columns) > 1 else []

    @staticmethod
    def _stand_side_by_side(left: list[Span], right: list[Span]) -> bool:
        """Whether a good part of the side with less text stands beside text of the other side."""
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

    def _merge_into_sections(self, bands: list[Band]) -> list[list[Band]]:
        """Merge bands into sections while they share a gutter.

        A band that closes the gutter, or whose boxes all span several of the section's columns, starts a new section.
        Bands before it move to the new section if they belong to it: those that alone make the old one's gutter, or
        else a heading of what follows.
        """
        sections: list[list[Band]] = []
        current, columns = [bands[0]], bands[0].columns
        for number, band in enumerate(bands[1:], 1):
            merged = union_of_spans(columns + band.columns)
            changed = len(columns) > 1 and all(self._spans_columns(span, columns) for span in band.columns)
            if len(merged) < 2 or changed:
                moved = self._take_bands_of_gutter(current, band) or self._take_heading(current, columns, band)
                sections.append(current)
                current = [*moved, band]
                columns = union_of_spans(span for b in current for span in b.columns)
            elif self._opens_section(band, current, columns, bands[number + 1 :]):
                sections.append(current)
                current, columns = [band], band.columns
            else:
                current.append(band)
                columns = merged
        sections.append(current)
        return sections

    def _parts_of(self, sections: list[list[Band]]) -> list[list[int]]:
        """The sets of boxes that are read one after another: sections; rows of forms and single first lines apart."""
        out: list[list[int]] = []
        for section in sections:
            start, end = self._form_rows(section)
            if start == end:
                out += [[i for band in part for i in band.ids] for part in self._split_first_line(section)]
                continue
            if start:
                out.append([i for band in section[:start] for i in band.ids])
            out += [band.ids for band in section[start:]]
        return out

    @staticmethod
    def _spans_columns(span: Span, columns: list[Span]) -> bool:
        """Whether a span overlaps several columns."""
        return sum(overlap(*span, *column) > 0 for column in columns) > 1

    def _take_bands_of_gutter(self, section: list[Band], after: Band) -> list[Band]:
        """Take the bands off the end of ``section`` that alone make its gutter, if ``after`` shares that gutter.

        A narrow abstract and the first lines of the columns below it can have a gutter in common by chance. Numbers of
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
        if len(alone) != 1 or any(high - low < _MIN_COLUMN_WIDTH * self.line_height for low, high in columns):
            return []
        moved = section[start:]
        del section[start:]
        return moved

    def _take_heading(self, section: list[Band], columns: list[Span], after: Band) -> list[Band]:
        """Take a short band off the end of ``section`` if it is the heading of ``after``."""
        last = section[-1]
        if len(section) < 2 or len(columns) < 2 or len(last.columns) > 1:
            return []
        if overlap(*last.columns[0], *columns[0]) <= 0:
            return []
        if not self._is_short(last) or not self._is_nearer_below(last, section[:-1], after.top):
            return []
        return [section.pop()]

    def _is_short(self, band: Band) -> bool:
        return band.bottom - band.top <= _MAX_HEADING_HEIGHT * self.line_height

    def _is_nearer_below(self, band: Band, above: list[Band], below: float) -> bool:
        """Whether a band is nearer to ``below`` (top of the next band) than to the boxes above it in its column."""
        bottom = self._lowest_in_column(band.columns[0], above)
        if bottom is None:
            return True
        factor = 1.0 if self.headings.issuperset(band.ids) else 1.25
        return band.top - bottom > factor * (below - band.bottom)

    def _lowest_in_column(self, column: Span, bands: list[Band]) -> float | None:
        """Bottom of the lowest box of some bands in a column; None if that is empty."""
        for band in reversed(bands):
            found = [self.boxes[i][3] for i in band.ids if self._is_in_column(i, column)]
            if found:
                return max(found)
        return None

    def _is_in_column(self, i: int, column: Span) -> bool:
        return overlap(*self._x[0][i], *column) >= 0

    def _opens_section(self, band: Band, section: list[Band], columns: list[Span], rest: list[Band]) -> bool:
        """Whether ``band`` is a short heading beside which the section's other columns are empty.

        Args:
            columns: of the section so far.
            rest: the bands after ``band``.
        """
        if len(columns) < 2 or len(band.columns) > 1 or not rest or not self._is_short(band):
            return False
        if overlap(*band.columns[0], *columns[0]) <= 0:
            return False
        if not self._is_nearer_below(band, section, rest[0].top):
            return False
        for column in columns:
            if overlap(*column, *band.columns[0]) > 0:
                continue
            above = self._lowest_in_column(column, section)
            below = next(
                (
                    min(self.boxes[i][1] for i in b.ids if self._is_in_column(i, column))
                    for b in rest
                    if self._reaches_column(b, column)
                ),
                None,
            )
            if above is None or below is None or below - above < _EMPTY_BESIDE * self.line_height:
                return False
            if below > rest[0].top + self.line_height:  # otherwise what follows starts at another height in this column
                return False
        return True

    def _reaches_column(self, band: Band, column: Span) -> bool:
        return any(overlap(*span, *column) > 0 for span in band.columns)

    def _form_rows(self, section: list[Band]) -> tuple[int, int]:
        """Start and end (as indices of bands) of the rows of a form near the end of a section; equal without a form.

        The columns of rows are far apart, their tops level, and there is space between rows. Single blocks may follow.
        """
        end = len(section)
        while end and len(section[end - 1].columns) < 2:
            end -= 1
        start = end
        columns: list[Span] = []
        while start and self._is_form_row(section[start - 1]):
            if start < end and self._vertical_gap(section[start - 1], section[start]) < 1.4 * self.line_height:
                break
            wider = union_of_spans([*columns, *section[start - 1].columns])
            if len(wider) < 2 or any(b[0] - a[1] <= 3 * self.line_height for a, b in pairwise(wider)):
                break
            start, columns = start - 1, wider
        return (start, end) if end - start > 1 else (end, end)

    def _is_form_row(self, band: Band) -> bool:
        """Whether a band has several columns with level tops, and is no heading."""
        if len(band.columns) < 2 or self.headings.issuperset(band.ids):
            return False
        tops = [min(self.boxes[i][1] for i in band.ids if self._is_in_column(i, column)) for column in band.columns]
        skew = _MAX_TOP_SKEW * (band.columns[-1][0] - band.columns[0][0])
        return max(tops) - min(tops) <= 0.4 * self.line_height + skew

    def _vertical_gap(self, one: Band, two: Band) -> float:
        """Smallest distance between two bands within a column."""
        gaps = [_INFINITE]
        for column in one.columns:
            bottoms = [self.boxes[i][3] for i in one.ids if self._is_in_column(i, column)]
            tops = [self.boxes[i][1] for i in two.ids if self._is_in_column(i, column)]
            if bottoms and tops:
                gaps.append(min(tops) - max(bottoms))
        return min(gaps)

    def _split_first_line(self, section: list[Band]) -> list[list[Band]]:
        """Split a single line off the top of a section: a date on the right does not belong to the right column."""
        if len(section) < 2:
            return [section]
        line, following = section[0], section[1]
        apart = following.top - line.bottom >= 0.5 * self.line_height
        if len(line.columns) == 1 and len(following.columns) > 1 and apart and self._is_single_line(line):
            return [[line], section[1:]]
        return [section]

    def _is_single_line(self, band: Band) -> bool:
        return band.bottom - band.top <= 1.6 * self.line_height
