"""The direction in which a page's text runs, from its text layer: a page most of whose text is sideways or upside down
is to be turned. Worker processes only."""

from __future__ import annotations

import ctypes
import math

import numpy as np
import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

_SAMPLES = 100
"""Characters that are looked at first, each by a call of pdfium: on nearly all pages they suffice."""
_SUSPICIOUS = 0.25
"""Share of turned characters among the samples; with fewer, there is no majority of them on the page."""
_MAJORITY = 0.5
"""Share of the visible characters that must run in one direction to turn the page."""
_MIN_CHARS = 10
"""Visible characters in that direction, as many as make a text layer."""
_STRAIGHT = 10
"""Degrees by which a direction may differ from a right angle: more is text set at a slant."""
_GAP = 1.2
"""Gap in a row, relative to the height of its characters, that parts two cells: wider than spaces of justified text."""
_CELLS = 3
"""Pieces of a row of a table; two may be columns of prose, or a label and its value."""
_CELL_LENGTH = 25
"""Characters; pieces that are longer on average are columns of prose."""
_TABLE_SHARE = 0.6
"""Share of the turned characters that lie in rows of cells on a page that is just a table printed sideways. The rest
is its caption and notes."""
_EDGE = 0.1
"""Share of the page along each edge for running heads, which may be level on a sideways page, and for stamps: a single
turned line there is not the page's text."""
_MAX_LEVEL = 0.25
"""Number of level characters within the edges, relative to the turned ones: where there are more, the turned ones are
heads of columns, or labels of a drawing."""


def text_turn(page: pdfium.PdfPage, textpage: pdfium.PdfTextPage) -> int:
    """Degrees by which the page, as displayed, is to be turned counter-clockwise so that its text is upright.

    0 for a page without much text, and for one that is just a table printed sideways: that is read as such.
    """
    count = textpage.count_chars()
    if count < _MIN_CHARS:
        return 0
    rotation = page.get_rotation()
    step = max(1, count // _SAMPLES)
    samples = _directions(textpage, range(0, count, step))
    if np.count_nonzero((samples >= 0) & ((samples + rotation) % 360 != 0)) < _SUSPICIOUS * len(samples):
        return 0
    visible = [i for i in range(count) if not chr(pdfium_c.FPDFText_GetUnicode(textpage, i)).isspace()]
    directions = _directions(textpage, visible)
    found, numbers = np.unique(directions[directions >= 0], return_counts=True)
    if not len(found):
        return 0
    direction = int(found[numbers.argmax()])
    turn = (direction + rotation) % 360
    if not turn or numbers.max() < max(_MIN_CHARS, _MAJORITY * len(visible)):
        return 0
    boxes = _boxes(textpage, visible)
    within = _within(boxes, page.get_bbox())
    turned, level = directions == direction, (directions + rotation) % 360 == 0
    if np.count_nonzero(level & within) > _MAX_LEVEL * np.count_nonzero(turned):
        return 0
    rows = _rows(_upright(boxes[turned], direction))
    if len(rows) < 2 and not within[turned].any():
        return 0
    return 0 if turn != 180 and _is_table(rows) else turn


def _directions(textpage: pdfium.PdfTextPage, indices: range | list[int]) -> np.ndarray:
    """Clockwise rotation of characters on the unrotated page: 0, 90, 180, 270, or -1 for a slant."""
    angles = [math.degrees(pdfium_c.FPDFText_GetCharAngle(textpage, i)) for i in indices]
    right = np.round(np.array(angles) / 90) * 90
    return np.where(np.abs(np.array(angles) - right) <= _STRAIGHT, right % 360, -1).astype(int)


def _boxes(textpage: pdfium.PdfTextPage, indices: list[int]) -> np.ndarray:
    """(n, 4): left, bottom, right, top of characters in points of the unrotated page, y upwards."""
    sides = [ctypes.c_double() for _ in range(4)]
    boxes = np.zeros((len(indices), 4))
    left, right, bottom, top = map(ctypes.byref, sides)
    for row, index in enumerate(indices):
        pdfium_c.FPDFText_GetCharBox(textpage, index, left, right, bottom, top)
        boxes[row] = sides[0].value, sides[2].value, sides[1].value, sides[3].value
    return boxes


def _upright(boxes: np.ndarray, direction: int) -> np.ndarray:
    """The boxes as (x0, y0, x1, y1), x along the lines of text and y from line to line."""
    left, bottom, right, top = boxes.T
    sides = {
        0: (left, -top, right, -bottom),
        90: (-top, -right, -bottom, -left),
        180: (-right, bottom, -left, top),
        270: (bottom, left, top, right),
    }
    return np.stack(sides[direction], axis=1)


def _rows(boxes: np.ndarray) -> list[np.ndarray]:
    """The boxes (x0, y0, x1, y1) by row of text, from left to right in each."""
    middles = (boxes[:, 1] + boxes[:, 3]) / 2
    order = np.argsort(middles, kind="stable")
    height = max(float(np.median(boxes[:, 3] - boxes[:, 1])), 1e-3)
    ends = np.flatnonzero(np.diff(middles[order]) > height / 2) + 1
    return [boxes[row[np.argsort(boxes[row, 0], kind="stable")]] for row in np.split(order, ends)]


def _is_table(rows: list[np.ndarray]) -> bool:
    """Whether most characters lie in rows of several short pieces."""
    in_cells = 0
    for row in rows:
        height = max(float(np.median(row[:, 3] - row[:, 1])), 1e-3)
        pieces = 1 + int(np.count_nonzero(row[1:, 0] - np.maximum.accumulate(row[:, 2])[:-1] > _GAP * height))
        if pieces >= _CELLS and len(row) < _CELL_LENGTH * pieces:
            in_cells += len(row)
    return in_cells >= _TABLE_SHARE * sum(map(len, rows))


def _within(boxes: np.ndarray, page: tuple[float, float, float, float]) -> np.ndarray:
    """Which boxes lie within the page's edges."""
    x0, y0, x1, y1 = page
    x, y = _EDGE * (x1 - x0), _EDGE * (y1 - y0)
    left, bottom, right, top = boxes.T
    return (left > x0 + x) & (right < x1 - x) & (bottom > y0 + y) & (top < y1 - y)
