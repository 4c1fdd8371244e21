"""Tables as HTML: docvortex's recovery from ruled lines, merged with the grid that the text's positions make."""

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
from .grid import Grid, build_grid, html_cell

GUESSED = "a table's cells are guessed from the places of its text"
_PROSE_WORDS = 4
"""Words; where the median cell has as many, the cells are lines of prose in columns."""
_MIN_FILLED = 0.4
"""Share of a grid's places that have text; the labels of a chart fill fewer."""
UNREADABLE = "a table has no text that could be read: kept as a picture"


def read_table(page: TextPage, bbox: BBox, fragments: list[Fragment]) -> tuple[str, str, str | None]:
    """Read a table region.

    Args:
        bbox: in points, origin top left.
        fragments: the region's text.

    Returns:
        The block's type (``image`` where the text makes no table, as in a chart), its HTML (empty where nothing could
        be read), and a warning if the cells are uncertain.
    """
    found = (page.recover_table(bbox, angle) for angle in (0, 90, 270))
    html = next((html for html in found if html is not None), None)
    grid = build_grid(fragments, rules_within(page.horizontal_rules_of_tables(), bbox))
    if html is None and fragments and not looks_like_table(grid):
        return "image", "", None
    return "table", *merge_tables(html, grid, bool(fragments))


def looks_like_table(grid: Grid | None) -> bool:
    """Whether a grid is a table rather than prose in columns or the labels of a chart."""
    return (
        grid is not None
        and grid.is_consistent
        and grid.columns >= 2
        and statistics.median(len(c.text.split()) for c in grid.cells) < _PROSE_WORDS
        and len(grid.cells) > _MIN_FILLED * grid.rows * grid.columns
    )


def merge_tables(html: str | None, grid: Grid | None, has_text: bool) -> tuple[str, str | None]:
    """The HTML of docvortex's table, of the grid, or of the former with the latter's text, and a warning or None.

    docvortex sees ruled lines, so its spans are right; the grid has mostly empty columns and cells with a dash.

    Args:
        html: docvortex's table; None if it found none.
        grid: of the region's text; None if that has no rows and columns.
        has_text: whether the region has any text.
    """
    if html is None and grid is None:
        return "", None if has_text else UNREADABLE
    if html is None:
        assert grid is not None
        return grid.html(), GUESSED
    if grid is None or not grid.is_consistent:
        return html, None
    rows, columns, cells = _parse_table(html)
    if (rows, columns) == (grid.rows, grid.columns):
        return _replace_texts(cells, grid), None
    if grid.columns > columns and grid.rows >= rows:
        return grid.html(), None
    if grid.columns == columns and len(cells) == rows * columns and grid.rows > rows + 1 and _every_line_is_a_row(grid):
        return grid.html(), None
    return html, None


def _every_line_is_a_row(grid: Grid) -> bool:
    """Whether each line is a row, although no rules separate them: most cells of each have text, and all are short."""
    filled = Counter(c.row for c in grid.cells if c.text)
    first = {c.row for c in grid.cells if c.column == 0 and c.text}
    short = statistics.median(len(c.text.split()) for c in grid.cells) < _PROSE_WORDS
    least = max(2, 0.6 * grid.columns)
    return short and len(first) == grid.rows and all(filled[row] >= least for row in range(grid.rows))


def rules_within(horizontal: Iterable[BBox], bbox: BBox) -> list[BBox]:
    """The horizontal rules in a region as (x0, y, x1, y); all boxes in points.

    Args:
        horizontal: horizontal rules of the page.
        bbox: of the region.
    """
    out = []
    for x0, y0, x1, y1 in horizontal:
        y = (y0 + y1) / 2
        if bbox[1] - 3 <= y <= bbox[3] + 3 and x0 < bbox[2] and x1 > bbox[0]:
            out.append((x0, y, x1, y))
    return out


_HtmlCell = tuple[int, int, int, int, str]
"""(row, column, rows, columns, inner HTML)"""


def _parse_table(html: str) -> tuple[int, int, list[_HtmlCell]]:
    """Number of rows, number of columns, and cells of an HTML table."""
    parser = _TableParser()
    parser.feed(html)
    parser.close()
    return parser.row + 1, parser.width, parser.cells


class _TableParser(HTMLParser):
    """Collects the cells of one table with their places."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=False)
        self.row = -1
        self.width = 0
        self.cells: list[_HtmlCell] = []
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


def _replace_texts(cells: list[_HtmlCell], grid: Grid) -> str:
    """HTML of docvortex's cells; where their text differs in more than markup, the grid's text replaces it."""
    texts = grid.texts()
    rows: list[list[str]] = [[] for _ in range(grid.rows)]
    for row, column, row_span, column_span, inner in cells:
        of_grid = " ".join(
            texts[r, c]
            for r in range(row, row + row_span)
            for c in range(column, column + column_span)
            if (r, c) in texts
        )
        if of_grid and re.sub(r"<[^>]+>", "", unescape(inner)).split() != of_grid.split():
            inner = escape(of_grid)
        if row < len(rows):
            rows[row].append(html_cell(inner, row_span, column_span))
    return "<table>" + "".join(f"<tr>{''.join(row)}</tr>" for row in rows) + "</table>"
