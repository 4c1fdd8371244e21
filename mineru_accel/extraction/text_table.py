"""A table's cells from nothing but the places of its text: the last resort, and reported as such."""

from __future__ import annotations

from html import escape

from .text_layer import Line


def grid_html(lines: list[Line]) -> str:
    """Lines as an HTML table: one row a line, cut where two or more spaces or wide gaps left their mark."""
    rows = [[cell.strip() for cell in line.text.split("  ") if cell.strip()] or [line.text] for line in lines]
    width = max(len(row) for row in rows)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row + [""] * (width - len(row))) + "</tr>" for row in rows
    )
    return f"<table>{body}</table>"
