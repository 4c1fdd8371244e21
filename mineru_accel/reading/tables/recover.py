"""Tables as HTML: docvortex's recovery from rules and text, checked against what the text's places say."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable
from html import escape, unescape
from html.parser import HTMLParser

from ...document import BBox
from ...pdf.docvortex.pages import TextPage
from ..text.lines import Fragment
from .grid import Grid, build, td

GUESSED = "a table's cells are guessed from the places of its text"
_LONG_CELL = 4
"""Words; where the median cell has as many, the would-be table is lines of prose in columns."""
UNREADABLE = "a table has no text that could be read: kept as a picture"


def recover(page: TextPage, bbox: BBox, fragments: list[Fragment]) -> tuple[str, str, str | None]:
    """Read a table region.

    Args:
        bbox: in points, origin top left.
        fragments: the region's text.

    Returns:
        The block's type (``image`` where there is no table to be seen, a chart for instance), its HTML, empty where
        nothing could be read, and a warning where it is less than sure.
    """
    found = (page.recover_table(bbox, angle) for angle in (0, 90, 270))
    html = next((html for html in found if html is not None), None)
    grid = build(fragments, rules_of(page.horizontal_rules_of_tables(), bbox))
    if html is None and fragments and not is_table(grid):
        return "image", "", None
    return "table", *combine(html, grid, bool(fragments))


def is_table(grid: Grid | None) -> bool:
    """Does text alone make a table? Prose in columns and the labels of a chart don't."""
    return (
        grid is not None
        and grid.clean
        and grid.columns >= 2
        and statistics.median(len(c.text.split()) for c in grid.cells) < _LONG_CELL
        and len(grid.cells) > 0.4 * grid.rows * grid.columns
    )


def combine(html: str | None, grid: Grid | None, has_text: bool) -> tuple[str, str | None]:
    """The better of docvortex's table and ours, or the structure of the one with the text of the other.

    docvortex sees rules, so its spans are right; we see columns that are mostly empty, and cells that hold a dash.
    """
    if html is None and grid is None:
        return "", None if has_text else UNREADABLE
    if html is None:
        assert grid is not None
        return grid.html(), GUESSED
    if grid is None or not grid.clean:
        return html, None
    rows, columns, cells = _parse(html)
    if (rows, columns) == (grid.rows, grid.columns):
        return _with_texts(cells, grid), None
    if grid.columns > columns and grid.rows >= rows:
        return grid.html(), None
    if grid.columns == columns and len(cells) == rows * columns and grid.rows > rows + 1 and _every_line_is_a_row(grid):
        return grid.html(), None
    return html, None


def _every_line_is_a_row(grid: Grid) -> bool:
    """Are lines rows, where no rules say so? Most cells of each have text, while lines of longer cells leave gaps."""
    filled = Counter(c.row for c in grid.cells if c.text)
    first = {c.row for c in grid.cells if c.column == 0 and c.text}
    short = statistics.median(len(c.text.split()) for c in grid.cells) < _LONG_CELL
    least = max(2, 0.6 * grid.columns)
    return short and len(first) == grid.rows and all(filled[row] >= least for row in range(grid.rows))


def rules_of(horizontal: Iterable[BBox], bbox: BBox) -> list[BBox]:
    """A region's horizontal rules as (x0, y, x1, y), of all those of its page; boxes in points."""
    out = []
    for x0, y0, x1, y1 in horizontal:
        y = (y0 + y1) / 2
        if bbox[1] - 3 <= y <= bbox[3] + 3 and x0 < bbox[2] and x1 > bbox[0]:
            out.append((x0, y, x1, y))
    return out


_Span = tuple[int, int, int, int, str]
"""(row, column, rows, columns, inner HTML)"""


def _parse(html: str) -> tuple[int, int, list[_Span]]:
    parser = _TableParser()
    parser.feed(html)
    parser.close()
    return parser.row + 1, parser.width, parser.cells


class _TableParser(HTMLParser):
    """Cells of one table with their places."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.row = -1
        self.width = 0
        self.cells: list[_Span] = []
        self._taken: set[tuple[int, int]] = set()
        self._open: tuple[int, int, int, int] | None = None
        self._inner: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "tr":
            self.row += 1
        elif tag in ("td", "th"):
            given = dict(attrs)
            rows, columns = int(given.get("rowspan") or 1), int(given.get("colspan") or 1)
            column = 0
            while (self.row, column) in self._taken:
                column += 1
            self._taken.update((self.row + r, column + c) for r in range(rows) for c in range(columns))
            self.width = max(self.width, column + columns)
            self._open, self._inner = (self.row, column, rows, columns), []
        elif self._open:
            self._inner.append(self.get_starttag_text() or "")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th") and self._open:
            self.cells.append((*self._open, "".join(self._inner)))
            self._open = None
        elif self._open:
            self._inner.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        if self._open:
            self._inner.append(data)

    def handle_entityref(self, name: str) -> None:
        self.handle_data(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self.handle_data(f"&#{name};")


def _with_texts(cells: list[_Span], grid: Grid) -> str:
    """docvortex's table; a cell whose text differs in more than markup takes ours."""
    texts = grid.texts()
    rows: list[list[str]] = [[] for _ in range(grid.rows)]
    for row, column, high, wide, inner in cells:
        ours = " ".join(
            texts[r, c] for r in range(row, row + high) for c in range(column, column + wide) if (r, c) in texts
        )
        if ours and re.sub(r"<[^>]+>", "", unescape(inner)).split() != ours.split():
            inner = escape(ours)
        if row < len(rows):
            rows[row].append(td(inner, high, wide))
    return "<table>" + "".join(f"<tr>{''.join(row)}</tr>" for row in rows) + "</table>"
