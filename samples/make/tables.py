"""Tables of the samples: drawn with rules, and written as the HTML that MinerU gives."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape

from . import inline
from .page import ASCENT, DESCENT, Sample
from .typeset import Style, lines_of


@dataclass(frozen=True)
class Cell:
    """One cell; ``align`` None takes the column's."""

    text: str = ""
    colspan: int = 1
    rowspan: int = 1
    align: str | None = None


Row = list["Cell | str"]


@dataclass
class Table:
    """``rows`` hold each cell once, at its top left, as in HTML; ``rules``: grid, booktabs or lines."""

    rows: list[Row]
    widths: list[float]
    style: Style
    aligns: str = ""
    """One letter a column: l, c or r."""
    header: int = 1
    rules: str = "grid"
    pad: tuple[float, float] = (5.0, 3.5)
    shade: str | None = None
    """Fill of the header rows."""

    def html(self) -> str:
        """The table as ``<table><tr><td>``, in one line."""
        out = []
        for row in self.rows:
            cells = ""
            for raw in row:
                cell = raw if isinstance(raw, Cell) else Cell(raw)
                spans = "".join(
                    f' {name}="{n}"' for name, n in (("rowspan", cell.rowspan), ("colspan", cell.colspan)) if n > 1
                )
                cells += f"<td{spans}>{escape(inline.plain(cell.text), quote=False)}</td>"
            out.append(f"<tr>{cells}</tr>")
        return "<table>" + "".join(out) + "</table>"

    def place(self) -> list[tuple[int, int, Cell]]:
        """Cells with the grid position of their top left corner: (row, column, cell)."""
        taken: set[tuple[int, int]] = set()
        out = []
        for r, row in enumerate(self.rows):
            c = 0
            for raw in row:
                cell = raw if isinstance(raw, Cell) else Cell(raw)
                while (r, c) in taken:
                    c += 1
                taken |= {(r + i, c + j) for i in range(cell.rowspan) for j in range(cell.colspan)}
                out.append((r, c, cell))
                c += cell.colspan
        return out

    def draw(self, sample: Sample, x: float, y: float) -> float:
        """Draw the table with its top left at ``(x, y)``, write it down, and return its bottom."""
        placed = self.place()
        line = (ASCENT + DESCENT) * self.style.size
        set_cells = []
        heights = [0.0] * len(self.rows)
        for r, c, cell in placed:
            width = sum(self.widths[c : c + cell.colspan]) - 2 * self.pad[0]
            named = {"l": "left", "c": "center", "r": "right"}[(self.aligns or "l" * len(self.widths))[c]]
            style = self.style.but(align=cell.align or named, bold=r < self.header)
            lines = lines_of(cell.text, style, width) if cell.text else []
            height = line + (max(len(lines), 1) - 1) * style.leading
            if cell.rowspan == 1:
                heights[r] = max(heights[r], height + 2 * self.pad[1])
            set_cells.append((r, c, cell, style, lines, height))
        xs = [x + sum(self.widths[:i]) for i in range(len(self.widths) + 1)]
        ys = [y + sum(heights[:i]) for i in range(len(heights) + 1)]
        if self.shade:
            sample.fill((xs[0], y, xs[-1], ys[self.header]), self.shade)
        for r, c, cell, style, lines, height in set_cells:
            bottom = ys[r + cell.rowspan]
            if lines:
                sample.lines(lines, style, xs[c] + self.pad[0], ys[r] + (bottom - ys[r] - height) / 2)
            if self.rules == "grid":
                right = xs[c + cell.colspan]
                for x0, y0, x1, y1 in (
                    (xs[c], ys[r], right, ys[r]),
                    (xs[c], bottom, right, bottom),
                    (xs[c], ys[r], xs[c], bottom),
                    (right, ys[r], right, bottom),
                ):
                    sample.rule(x0, y0, x1, y1, 0.6)
            elif self.rules == "booktabs" and cell.colspan > 1 and r < self.header - 1:
                sample.rule(xs[c] + 4, bottom, xs[c + cell.colspan] - 4, bottom, 0.5)
        if self.rules == "booktabs":
            for at, weight in ((y, 1.0), (ys[self.header], 0.6), (ys[-1], 1.0)):
                sample.rule(xs[0], at, xs[-1], at, weight)
        elif self.rules == "lines":
            for number, at in enumerate(ys[1:], 1):
                strong = number in (self.header, len(ys) - 1)
                sample.rule(xs[0], at, xs[-1], at, 0.8 if strong else 0.3, "#333333" if strong else "#aaaaaa")
        text = "\n".join(
            " ".join(inline.plain(cell.text) for r, _, cell in placed if r == number and cell.text)
            for number in range(len(self.rows))
        )
        sample.region("table", (xs[0], y, xs[-1], ys[-1]), text, self.html())
        return ys[-1]
