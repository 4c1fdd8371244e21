"""Tables as HTML: docvortex's recovery from ruled lines, merged with the grid that the text's positions make."""

from __future__ import annotations

import re
import statistics
from collections import Counter
from collections.abc import Iterable
from html import escape, unescape

from ...document import BBox
from ...export.html_tables import Table, parse_tables, placed
from ...pdf.docvortex.pages import TextPage
from ..text.lines import Fragment
from .grid import Grid, build_grid, html_cell

GUESSED = "a table's cells are guessed from the places of its text"
DOUBTFUL = "a table's cells are doubtful: the places of its text make no regular rows and columns"
_PROSE_WORDS = 4
"""Words; where the median cell has as many, the cells are lines of prose in columns."""
_MIN_FILLED = 0.4
"""Share of a grid's places that have text; the labels of a chart fill fewer."""
UNREADABLE = "a table has no text that could be read: kept as a picture"


def read_table(page: TextPage, bbox: BBox, fragments: list[Fragment]) -> tuple[str, str | None] | None:
    """Read a table region.

    Args:
        bbox: in points, origin top left.
        fragments: the region's text.

    Returns:
        Its HTML (empty where it has no text), and a warning if the cells are uncertain. None where the text makes no
        rows and columns, as in a chart, or in columns of prose.
    """
    found = (page.recover_table(bbox, angle) for angle in (0, 90, 270))
    html = next((html for html in found if html is not None), None)
    grid = build_grid(fragments, rules_within(page.horizontal_rules_of_tables(), bbox))
    if html is None and fragments and not looks_like_table(grid):
        upright = len({fragment.rotation for fragment in fragments}) == 1
        return (grid.html(), DOUBTFUL) if grid is not None and upright and _has_short_cells(grid) else None
    return merge_tables(html, grid, bool(fragments))


def looks_like_table(grid: Grid | None) -> bool:
    """Whether a grid is a table rather than prose in columns or the labels of a chart."""
    return (
        grid is not None
        and grid.is_consistent
        and grid.columns >= 2
        and _has_short_cells(grid)
        and len(grid.cells) > _MIN_FILLED * grid.rows * grid.columns
    )


def _has_short_cells(grid: Grid) -> bool:
    """Whether most cells hold a few words at most; others are lines of prose in columns."""
    return statistics.median(len(c.text.split()) for c in grid.cells) < _PROSE_WORDS


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
    table = next(iter(parse_tables(html, inner_html=True)), [])
    rows = len(table)
    columns = max((column + cell.columns for _, column, cell in placed(table)), default=0)
    if (rows, columns) == (grid.rows, grid.columns):
        return _replace_texts(table, grid), None
    if grid.columns > columns and grid.rows >= rows:
        return grid.html(), None
    has_spans = sum(map(len, table)) != rows * columns
    if grid.columns == columns and not has_spans and grid.rows > rows + 1 and _every_line_is_a_row(grid):
        return grid.html(), None
    return html, None


def _every_line_is_a_row(grid: Grid) -> bool:
    """Whether each line is a row, although no rules separate them: most cells of each have text, and all are short."""
    filled = Counter(c.row for c in grid.cells if c.text)
    first = {c.row for c in grid.cells if c.column == 0 and c.text}
    least = max(2, 0.6 * grid.columns)
    return _has_short_cells(grid) and len(first) == grid.rows and all(filled[row] >= least for row in range(grid.rows))


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


def _replace_texts(table: Table, grid: Grid) -> str:
    """HTML of docvortex's table; where a cell's text differs in more than markup, the grid's text replaces it.

    Args:
        table: its cells hold HTML.
        grid: of the same number of rows and columns.
    """
    texts = grid.texts()
    rows: list[list[str]] = [[] for _ in table]
    for row, column, cell in placed(table):
        places = ((r, c) for r in range(row, row + cell.rows) for c in range(column, column + cell.columns))
        of_grid = " ".join(texts[place] for place in places if place in texts)
        inner = cell.content
        if of_grid and re.sub(r"<[^>]+>", "", unescape(inner)).split() != of_grid.split():
            inner = escape(of_grid)
        rows[row].append(html_cell(inner, cell.rows, cell.columns))
    return "<table>" + "".join(f"<tr>{''.join(row)}</tr>" for row in rows) + "</table>"
