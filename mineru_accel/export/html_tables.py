"""The rows and cells of HTML tables."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser


@dataclass(slots=True)
class Cell:
    """A ``td`` or ``th``."""

    content: str = ""
    """Its text, or its inner HTML."""
    spans: dict[str, int] = field(default_factory=dict)
    """``rowspan`` and ``colspan``, where the tag has them."""

    @property
    def rows(self) -> int:
        """Rows that it takes, at least 1."""
        return max(1, self.spans.get("rowspan", 1))

    @property
    def columns(self) -> int:
        """Columns that it takes, at least 1."""
        return max(1, self.spans.get("colspan", 1))


Row = list[Cell]
Table = list[Row]


def parse_tables(html: str, *, inner_html: bool = False) -> list[Table]:
    """The tables of some HTML in order; one within a cell is a table of its own.

    Args:
        html: Rows outside of any table belong to the table before them, or to one of their own.
        inner_html: Keep the tags and entities of cells, instead of their text.
    """
    parser = _TableParser(inner_html)
    parser.feed(html)
    parser.close()
    parser.end_cell()
    return parser.tables


def placed(table: Table) -> Iterator[tuple[int, int, Cell]]:
    """Every cell with the row and column (0-based) of its upper left corner, after cells that span into its row."""
    taken: set[tuple[int, int]] = set()
    for row, cells in enumerate(table):
        column = 0
        for cell in cells:
            while (row, column) in taken:
                column += 1
            taken.update((row + r, column + c) for r in range(cell.rows) for c in range(cell.columns))
            yield row, column, cell


class _TableParser(HTMLParser):
    def __init__(self, inner_html: bool) -> None:
        super().__init__(convert_charrefs=not inner_html)
        self.tables: list[Table] = []
        self._inner_html = inner_html
        self._cell: Cell | None = None
        self._pieces: list[str] = []

    def end_cell(self) -> None:
        if self._cell is not None:
            self._cell.content = "".join(self._pieces)
            self._cell = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "table":
            self.end_cell()
            self.tables.append([])
        elif tag == "tr":
            self.end_cell()
            if not self.tables:
                self.tables.append([])
            self.tables[-1].append([])
        elif tag in ("td", "th") and self.tables and self.tables[-1]:
            self.end_cell()
            spans = {k: int(v) for k, v in attrs if k in ("rowspan", "colspan") and v and v.isdigit()}
            self._cell, self._pieces = Cell(spans=spans), []
            self.tables[-1][-1].append(self._cell)
        elif self._inner_html:
            self._pieces.append(self.get_starttag_text() or "")
        elif tag in ("br", "p"):
            self._pieces.append(" ")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr", "table"):
            self.end_cell()
        elif self._inner_html:
            self._pieces.append(f"</{tag}>")

    def handle_data(self, data: str) -> None:
        self._pieces.append(data)

    def handle_entityref(self, name: str) -> None:
        self._pieces.append(f"&{name};")

    def handle_charref(self, name: str) -> None:
        self._pieces.append(f"&#{name};")
