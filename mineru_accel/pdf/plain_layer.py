"""A page's text layer in its plainest form: pdfium's characters with their boxes, written into a PDF of its own.

For pages on which docvortex stumbles: over a character that is none, or a path of impossible coordinates.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from ..document import Source
from .opening import open_page
from .rendering import render
from .scan_graphics import find_figures, find_rules
from .text_pdf import Rect, TextRun, make_text_pdf, text_width
from .types import Key, OcrLayer

_SCALE = 2.0
"""Pixels per point for finding rules and pictures: a thin rule is then a pixel wide."""
_MAX_SIDE = 2600
"""Pixels."""
_DESCENT = 0.25
"""Of the font in :mod:`.text_pdf`, in font sizes."""
_HYPHEN = 2
"""pdfium's character for a hyphen at a line's end."""


@dataclass(slots=True)
class _Piece:
    """Text that stands together on one line."""

    text: str
    box: Rect
    """In points, origin at the bottom left of the page as displayed after it was turned so that the text is upright."""
    turn: int
    """Counter-clockwise rotation of the text as displayed, in degrees: 0, 90, 180 or 270."""

    def goes_on(self, box: Rect, turn: int) -> bool:
        """Whether a character continues the piece: at its height, no further than its height away."""
        own = self.box
        height = max(own[3] - own[1], box[3] - box[1])
        overlap = min(own[3], box[3]) - max(own[1], box[1])
        near = -height < box[0] - own[2] < height and overlap > 0.5 * min(own[3] - own[1], box[3] - box[1])
        return turn == self.turn and near

    def run(self) -> TextRun:
        """The piece as text to be drawn."""
        x0, y0, x1, y1 = self.box
        size = max(y1 - y0, 1.0)
        natural = text_width(self.text) * size
        start = (x0, y0 + _DESCENT * size)
        x, y = {0: start, 90: (-start[1], start[0]), 180: (-start[0], -start[1]), 270: (start[1], -start[0])}[self.turn]
        return TextRun(self.text, x, y, size, (x1 - x0) / natural if natural else 1.0, self.turn)


def plain_layer(key: Key, index: int) -> OcrLayer:
    """The text layer of a page, made of pdfium's characters alone.

    Raises:
        InputError: if the page can't be loaded.
    """
    with open_page(key, index) as page:
        width, height = page.get_size()
        pieces = _pieces(page)
        pixels = render(page, min(_SCALE, _MAX_SIDE / max(width, height)))
    scale = pixels.shape[1] / width

    def to_pixels(box: Rect) -> Rect:
        return box[0] * scale, (height - box[3]) * scale, box[2] * scale, (height - box[1]) * scale

    def to_points(box: Rect) -> Rect:
        return box[0] / scale, height - box[3] / scale, box[2] / scale, height - box[1] / scale

    boxes = [to_pixels(_turned(piece.box, -piece.turn)) for piece in pieces]
    rules = find_rules(pixels, boxes)
    figures = find_figures(pixels, boxes, rules)
    runs = [piece.run() for piece in pieces]
    pdf = make_text_pdf(runs, (0, 0, width, height), [*map(to_points, rules)], [*map(to_points, figures)])
    return OcrLayer(pdf, 0.0, len(pieces), 1.0, Source.TEXT_LAYER)


def _pieces(page: pdfium.PdfPage) -> list[_Piece]:
    left, bottom, _, _ = page.get_bbox()
    rotation, size = page.get_rotation(), page.get_size()
    text = page.get_textpage()
    pieces: list[_Piece] = []
    is_new, has_space = True, False
    try:
        for number in range(text.count_chars()):
            char = char_of(pdfium_c.FPDFText_GetUnicode(text, number))
            if char.isspace() or not char:
                is_new, has_space = is_new or char in "\r\n", True
                continue
            shown = _as_displayed(text.get_charbox(number, loose=True), (left, bottom), rotation, size)
            if shown is None:
                continue
            turn = (-round(math.degrees(pdfium_c.FPDFText_GetCharAngle(text, number)) / 90) * 90 - rotation) % 360
            box = _turned(shown, turn)
            if is_new or not pieces or not pieces[-1].goes_on(box, turn):
                pieces.append(_Piece(char, box, turn))
            else:
                own = pieces[-1].box
                pieces[-1].box = min(own[0], box[0]), min(own[1], box[1]), max(own[2], box[2]), max(own[3], box[3])
                pieces[-1].text += " " * has_space + char
            is_new = has_space = False
    finally:
        text.close()
    return pieces


def char_of(code: int) -> str:
    """pdfium's character as text: U+FFFD for what is none; an empty string for control characters."""
    if code == _HYPHEN:
        return "-"
    if code > 0x10FFFF or 0xD800 <= code <= 0xDFFF:
        return "\ufffd"
    char = chr(code)
    return char if char.isprintable() or char.isspace() else ""


def _as_displayed(box: Rect, origin: tuple[float, float], rotation: int, size: tuple[float, float]) -> Rect | None:
    """The part of a box that is on the page as displayed; None where there is none.

    Args:
        box: in points of the page without its rotation. Coordinates that aren't finite count as 0.
        origin: lower left corner of the page there.
        rotation: of the page, clockwise in degrees.
        size: width and height of the page as displayed.
    """
    finite = [value if math.isfinite(value) else 0.0 for value in box]
    moved = (finite[0] - origin[0], finite[1] - origin[1], finite[2] - origin[0], finite[3] - origin[1])
    x0, y0, x1, y1 = _turned(moved, rotation)
    width, height = size
    dx, dy = {0: (0.0, 0.0), 90: (0.0, height), 180: (width, height), 270: (width, 0.0)}[rotation]
    x0, y0, x1, y1 = x0 + dx, y0 + dy, x1 + dx, y1 + dy
    if x1 < 0 or y1 < 0 or x0 > width or y0 > height:
        return None
    return max(x0, 0.0), max(y0, 0.0), min(x1, width), min(y1, height)


def _turned(box: Rect, degrees: int) -> Rect:
    """A box turned clockwise about the origin by a multiple of 90 degrees."""
    x0, y0, x1, y1 = box
    turns = {0: box, 90: (y0, -x1, y1, -x0), 180: (-x1, -y1, -x0, -y0), 270: (-y1, x0, -y0, x1)}
    return turns[degrees % 360]
