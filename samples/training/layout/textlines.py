"""Text lines of a PDF page and small geometry of boxes; points, origin top left, ``[x0, y0, x1, y1]``."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import pypdfium2 as pdfium

Box = list[float]
NUMBER = re.compile(r"[(（\[][A-Z]{0,2}[.\-]?\d+([.\-]\d+)*[a-z']?[)）\]]")
"""The number of a displayed formula, blanks taken out."""
FIGURE_WORD = (
    r"(?i)(fig(ure|\.)?s?|abb(ildung|\.)|illustration|scheme|рис(\.|унок)?|图|圖|図|그림)\s*[\dA-Z]{1,3}([.\-–:]\d+)*"
)
TABLE_WORD = r"(?i)(tab(le|leau|elle|la|\.)s?|cuadro|табл(\.|ица)|表|표)\s*([\dA-Z]|[IVX]){1,4}([.\-–:]\d+)*"


def lines_of(page: pdfium.PdfPage, height: float) -> list[tuple[str, Box]]:
    """Lines from the top: runs side by side, joined over gaps smaller than the line is high."""
    text = page.get_textpage()
    runs = []
    for i in range(text.count_rects()):
        x0, y0, x1, y1 = text.get_rect(i)
        words = text.get_text_bounded(x0, y0, x1, y1).strip()
        if words and x1 - x0 > 0.5 and y1 - y0 > 0.5:
            runs.append((words, [x0, height - y1, x1, height - y0]))
    runs.sort(key=lambda r: r[1][0])
    lines: list[tuple[str, Box]] = []
    for words, box in runs:
        for k, (before, line) in enumerate(lines):
            size = min(14.0, max(6.0, line[3] - line[1], box[3] - box[1]))
            level = min(line[3], box[3]) - max(line[1], box[1]) > 0.45 * min(line[3] - line[1], box[3] - box[1])
            if level and -size < box[0] - line[2] < 0.9 * size:
                lines[k] = (f"{before} {words}", hull([line, box]))
                break
        else:
            lines.append((words, box))
    return sorted(lines, key=lambda v: (v[1][1], v[1][0]))


def shared(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Intersection over union, and over the smaller box."""
    w, h = min(a[2], b[2]) - max(a[0], b[0]), min(a[3], b[3]) - max(a[1], b[1])
    if w <= 0 or h <= 0:
        return 0.0, 0.0
    sizes = ((a[2] - a[0]) * (a[3] - a[1]), (b[2] - b[0]) * (b[3] - b[1]))
    return w * h / max(1e-6, sum(sizes) - w * h), w * h / max(1e-6, min(sizes))


def overlap(a0: float, a1: float, b0: float, b1: float) -> float:
    """Shared length of two intervals over the shorter one's."""
    return (min(a1, b1) - max(a0, b0)) / max(1e-6, min(a1 - a0, b1 - b0))


def centre_in(inner: Sequence[float], outer: Sequence[float], slack: float = 2) -> bool:
    """Whether the middle of a box lies in another."""
    x, y = (inner[0] + inner[2]) / 2, (inner[1] + inner[3]) / 2
    return outer[0] - slack <= x <= outer[2] + slack and outer[1] - slack <= y <= outer[3] + slack


def hull(boxes: Sequence[Sequence[float]]) -> Box:
    """The box around boxes."""
    a = np.asarray(boxes)
    return [*a[:, :2].min(0).tolist(), *a[:, 2:].max(0).tolist()]


def gap(a: Sequence[float], b: Sequence[float]) -> float:
    """Distance of two boxes, sideways and up added."""
    return max(0, a[1] - b[3], b[1] - a[3]) + max(0, a[0] - b[2], b[0] - a[2])


def merge(boxes: Sequence[Sequence[float]], dx: float, dy: float) -> list[Box]:
    """Unite boxes nearer than that."""
    out = [list(b) for b in boxes]
    changed = True
    while changed:
        changed = False
        for i in range(len(out)):
            for j in range(len(out) - 1, i, -1):
                a, b = out[i], out[j]
                if max(a[0], b[0]) - min(a[2], b[2]) < dx and max(a[1], b[1]) - min(a[3], b[3]) < dy:
                    out[i] = hull([a, b])
                    del out[j]
                    changed = True
    return out
