"""Finds a table's cells from the positions of its text: lines are rows, aligned text is a column.

Complements docvortex, which recovers ruled tables well, where there are few or no rules: columns that are empty in most
rows, cells that hold a dash, text rotated by 90 degrees.
"""

from __future__ import annotations

import itertools
import statistics
from collections import Counter
from dataclasses import dataclass
from html import escape

from ...document import BBox
from ..geometry import union
from ..text.lines import Char, Fragment, join_chars, upright_box

_CELL_GAP = 0.75
"""Line heights; a wider gap separates two cells."""
_SPACE = 0.16
"""Line heights; a wider gap within a cell is a space."""
_LONG_RULE = 0.8
"""Share of the table's width; a longer rule separates rows, a shorter one underlines a heading of columns."""


@dataclass(slots=True)
class Cell:
    """Text of a table with its box in points, rotated upright, and its place in the grid."""

    x0: float
    y0: float
    x1: float
    y1: float
    text: str
    row: int = 0
    column: int = 0
    rows: int = 1
    """Number of rows that it spans."""
    columns: int = 1
    """Number of columns that it spans."""


@dataclass(slots=True)
class Grid:
    """A table's cells in rows and columns."""

    rows: int
    columns: int
    cells: list[Cell]
    is_consistent: bool
    """Whether no two cells claim the same place."""

    def texts(self) -> dict[tuple[int, int], str]:
        """Text by (row, column) of the upper left place of each cell."""
        return {(c.row, c.column): c.text for c in self.cells}

    def html(self) -> str:
        """The grid as an HTML table; places without a cell are empty cells."""
        cells = {(c.row, c.column): c for c in self.cells}
        covered = {
            (r, k)
            for c in self.cells
            for r in range(c.row, c.row + c.rows)
            for k in range(c.column, c.column + c.columns)
        } - set(cells)
        out = []
        for r in range(self.rows):
            out.append("<tr>")
            for k in range(self.columns):
                if (r, k) in covered:
                    continue
                cell = cells.get((r, k))
                out.append(html_cell(escape(cell.text), cell.rows, cell.columns) if cell else "<td></td>")
            out.append("</tr>")
        return f"<table>{''.join(out)}</table>"


def html_cell(inner: str, rows: int, columns: int) -> str:
    """A table cell as HTML.

    Args:
        inner: its content as HTML.
        rows, columns: number that it spans.
    """
    span = (f' rowspan="{rows}"' if rows > 1 else "") + (f' colspan="{columns}"' if columns > 1 else "")
    return f"<td{span}>{inner}</td>"


def build_grid(fragments: list[Fragment], rules: list[BBox]) -> Grid | None:
    """Arrange the text of a region in rows and columns.

    Args:
        fragments: the region's text.
        rules: its horizontal rules (x0, y, x1, y) in points. Where long ones separate the rows, lines between two of
            them are one row; a short one below a cell shows which columns that cell heads.

    Returns:
        None for less than two rows or two columns.
    """
    if not fragments:
        return None
    rotation = Counter(f.rotation for f in fragments).most_common(1)[0][0]
    rows = _group_rows([cell for fragment in fragments for cell in _split_at_gaps(fragment, rotation)])
    if rotation:
        rules = []  # horizontal on the page, but vertical in the table
    left, right = min(c.x0 for row in rows for c in row), max(c.x1 for row in rows for c in row)
    long = [r for r in rules if min(r[2], right) - max(r[0], left) > _LONG_RULE * (right - left)]
    rows = _merge_between_rules(rows, [r[1] for r in long])
    columns = _find_columns(rows)
    rows = _merge_interleaved_rows(rows)
    if len(rows) < 2 or len(columns) < 2:
        return None
    is_consistent = _place_cells(rows, columns, [r for r in rules if r not in long])
    cells = _merge_same_place([cell for row in rows for cell in row])
    _widen_totals(cells, len(rows), len(columns))
    return Grid(len(rows), len(columns), cells, is_consistent)


def _place_cells(rows: list[list[Cell]], columns: list[tuple[float, float]], short_rules: list[BBox]) -> bool:
    """Set the row and columns of each cell; False if two cells of a row claim the same column."""
    is_consistent = True
    for number, row in enumerate(rows):
        taken: set[int] = set()
        for cell in row:
            span = _columns_of(cell, columns, short_rules)
            cell.row, cell.column, cell.columns = number, span[0], span[-1] - span[0] + 1
            is_consistent &= not taken & set(span) or any(_are_stacked(cell, c) for c in row if c is not cell)
            taken |= set(span)
    return is_consistent


def _split_at_gaps(fragment: Fragment, rotation: int) -> list[Cell]:
    """The cells that result from cutting a fragment at wide gaps."""
    groups: list[list[Char]] = [[]]
    last: BBox | None = None
    for char in fragment.chars:
        if char["char"].isspace():
            if groups[-1]:
                groups[-1].append(char)
            continue
        box = upright_box(char["bbox"], rotation)
        if last is not None and (
            box[0] - last[2] > _CELL_GAP * (box[3] - box[1]) or box[0] < last[0] - (box[3] - box[1])
        ):
            groups.append([])
        groups[-1].append(char)
        last = box
    out = []
    for chars in groups:
        ink = [upright_box(c["bbox"], rotation) for c in chars if not c["char"].isspace()]
        if ink:
            out.append(Cell(*union(ink), join_chars(chars, fragment.rotation)))
    return out


def _group_rows(cells: list[Cell]) -> list[list[Cell]]:
    """Cells by row, top to bottom, each row from left to right without the gaps between words."""
    rows: list[list[Cell]] = []
    for cell in sorted(cells, key=lambda c: (c.y0 + c.y1) / 2):
        for row in reversed(rows[-2:]):
            top, bottom = statistics.median(c.y0 for c in row), statistics.median(c.y1 for c in row)
            if min(bottom, cell.y1) - max(top, cell.y0) > 0.5 * min(bottom - top, cell.y1 - cell.y0):
                row.append(cell)
                break
        else:
            rows.append([cell])
    for row in rows:
        row.sort(key=lambda c: c.x0)
    return [_merge_words(row) for row in rows]


def _merge_words(row: list[Cell]) -> list[Cell]:
    """Cells of a row, left to right, where neighbours with a word's gap between them are one cell."""
    merged = [row[0]]
    for cell in row[1:]:
        before = merged[-1]
        gap, height = cell.x0 - before.x1, max(cell.y1 - cell.y0, before.y1 - before.y0)
        if gap > _CELL_GAP * height:
            merged.append(cell)
            continue
        before.text += (" " if gap > _SPACE * height else "") + cell.text
        before.x1, before.y0, before.y1 = max(before.x1, cell.x1), min(before.y0, cell.y0), max(before.y1, cell.y1)
    return merged


def _merge_between_rules(rows: list[list[Cell]], rules: list[float]) -> list[list[Cell]]:
    """Merge rows without a rule between them, where rules separate at least half of all rows, as in a full grid."""
    middles = [statistics.fmean((c.y0 + c.y1) / 2 for c in row) for row in rows]
    separated = [any(a < y < b for y in rules) for a, b in itertools.pairwise(middles)]
    if sum(separated) < 2 or 2 * sum(separated) < len(separated):
        return rows
    merged = [rows[0]]
    for row, cut in zip(rows[1:], separated, strict=True):
        if cut:
            merged.append(row)
        else:
            merged[-1] = merged[-1] + row
    return merged


def _find_columns(rows: list[list[Cell]]) -> list[tuple[float, float]]:
    """Columns as (x0, x1), from the rows with many cells: a heading that spans columns must not join them."""
    most = max(len(row) for row in rows)
    columns: list[tuple[float, float]] = []
    for cell in sorted((c for row in rows if 2 * len(row) > most for c in row), key=lambda c: c.x0):
        if columns and cell.x0 < columns[-1][1] - 0.5:
            columns[-1] = (columns[-1][0], max(cell.x1, columns[-1][1]))
        else:
            columns.append((cell.x0, cell.x1))
    return columns


def _columns_of(cell: Cell, columns: list[tuple[float, float]], short_rules: list[BBox]) -> list[int]:
    """Indices of the columns that a cell spans: those above a short rule right below it, or else those it touches."""
    height = cell.y1 - cell.y0
    for x0, y, x1, _ in short_rules:
        if cell.y0 + 0.5 * height < y < cell.y1 + 0.7 * height and x0 - 2 <= cell.x0 and cell.x1 <= x1 + 2:
            under = [i for i, (a, b) in enumerate(columns) if min(b, x1) - max(a, x0) > 0.6 * (b - a)]
            if len(under) > 1:
                return under
    touched = [i for i, (a, b) in enumerate(columns) if min(cell.x1, b) - max(cell.x0, a) > 0.5]
    if touched:
        return list(range(touched[0], touched[-1] + 1))
    return [min(range(len(columns)), key=lambda i: abs(sum(columns[i]) - cell.x0 - cell.x1))]


def _are_stacked(one: Cell, other: Cell) -> bool:
    """Whether one cell is wholly above the other, as lines of one cell are."""
    return one.y1 <= other.y0 + 1 or other.y1 <= one.y0 + 1


def _merge_interleaved_rows(rows: list[list[Cell]]) -> list[list[Cell]]:
    """Merge each row that overlaps both the one above and the one below into the upper: its cells span both."""
    out: list[list[Cell]] = []
    for i, row in enumerate(rows):
        if out and i + 1 < len(rows):
            top, bottom = min(c.y0 for c in row), max(c.y1 for c in row)
            if top < max(c.y1 for c in out[-1]) - 1 and bottom > min(c.y0 for c in rows[i + 1]) + 1:
                for cell in row:
                    cell.rows = 2
                out[-1].extend(row)
                continue
        out.append(row)
    return out


def _merge_same_place(cells: list[Cell]) -> list[Cell]:
    """Merge cells of the same place: they are lines of one cell, joined from top to bottom."""
    by_place: dict[tuple[int, int], Cell] = {}
    for cell in sorted(cells, key=lambda c: (c.row, c.column, c.y0, c.x0)):
        first = by_place.setdefault((cell.row, cell.column), cell)
        if first is not cell:
            first.text = f"{first.text} {cell.text}"
            first.rows, first.columns = max(first.rows, cell.rows), max(first.columns, cell.columns)
    return list(by_place.values())


def _widen_totals(cells: list[Cell], rows: int, columns: int) -> None:
    """Let the labels of sums at a table's end ("VAT 19 % on ...", right-aligned) span all columns before the amount.

    Such rows are the last ones, of two cells each; in no other rows of two cells does a label span several columns.
    """
    totals: list[Cell] = []
    for r in range(rows - 1, 0, -1):
        row = sorted((c for c in cells if c.row == r), key=lambda c: c.column)
        if len(row) != 2 or row[1].column != columns - 1 or row[0].column == 0 or row[0].column + row[0].columns < 2:
            break
        totals.append(row[0])
    if any(label.columns > 1 for label in totals):
        for label in totals:
            end = label.column + label.columns
            label.column, label.columns = 0, end
