"""A table's cells from nothing but the places of its text: the last resort, and reported as such."""

from __future__ import annotations

from html import escape

from .text_layer import Char, Fragment, chars_to_text, rows_of

_GAP = 0.8
"""A gap wider than this many line heights parts two cells."""

Cell = tuple[float, float, str]
"""(x0, x1, text), x in points."""


def grid_html(fragments: list[Fragment]) -> str:
    """Text fragments of a table region as an HTML table.

    Lines give the rows, wide gaps the cells, and cells that overlap sideways the columns.
    """
    rows = [[cell for fragment in row for cell in _cells(fragment)] for row in rows_of(fragments)]
    columns = _columns(rows)
    body = []
    for row in rows:
        texts = [""] * len(columns)
        for x0, x1, text in row:
            best = max(range(len(columns)), key=lambda i: min(x1, columns[i][1]) - max(x0, columns[i][0]))
            texts[best] = f"{texts[best]} {text}".strip()
        body.append("<tr>" + "".join(f"<td>{escape(text)}</td>" for text in texts) + "</tr>")
    return f"<table>{''.join(body)}</table>"


def _cells(fragment: Fragment) -> list[Cell]:
    height = max(fragment.bbox[3] - fragment.bbox[1], 1.0)
    cells: list[list[Char]] = [[]]
    for char in fragment.chars:
        if char["char"].isspace():
            if cells[-1]:
                cells[-1].append(char)
            continue
        ink = [c for c in cells[-1] if not c["char"].isspace()]
        if ink and char["bbox"][0] - ink[-1]["bbox"][2] > _GAP * height:
            cells.append([])
        cells[-1].append(char)
    out = []
    for chars in cells:
        ink = [c for c in chars if not c["char"].isspace()]
        if ink:
            out.append((min(c["bbox"][0] for c in ink), max(c["bbox"][2] for c in ink), chars_to_text(chars)))
    return out


def _columns(rows: list[list[Cell]]) -> list[tuple[float, float]]:
    """Column spans (x0, x1), from the rows with the most cells: a heading that spans columns must not join them."""
    most = max(len(row) for row in rows)
    columns: list[tuple[float, float]] = []
    for x0, x1, _ in sorted(cell for row in rows if len(row) > most / 2 for cell in row):
        if columns and x0 < columns[-1][1]:
            columns[-1] = (columns[-1][0], max(x1, columns[-1][1]))
        else:
            columns.append((x0, x1))
    return columns
