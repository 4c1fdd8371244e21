"""OCR of a part of a page, rendered for it."""

from __future__ import annotations

from ..document import BBox
from ..pdf.ocr import read_line, read_lines
from ..pdf.opening import open_page
from ..pdf.rendering import render
from ..pdf.types import Key
from .geometry import clamped
from .text.lines import join_texts

_LINE_DPI = 144
_MARGIN = 0.15
"""Share of a line's height that is added on each side: recognition models expect some air."""
_LEAST_CONTRAST = 4
"""Standard deviation of pixel values (0..255) below which a region is blank."""


def read_region(key: Key, index: int, bbox: BBox, dpi: int) -> str:
    """The text in a region as one paragraph; empty where it is blank or holds none.

    Args:
        bbox: as fractions of the displayed page.
    """
    with open_page(key, index) as page:
        pixels = render(page, dpi / 72, bbox)
    return join_texts(read_lines(pixels)) if pixels.size and pixels.std() >= _LEAST_CONTRAST else ""


def read_one_line(key: Key, index: int, bbox: BBox) -> str:
    """The text in the box around a line."""
    x0, y0, x1, y1 = bbox
    air = _MARGIN * (y1 - y0)
    with open_page(key, index) as page:
        return read_line(render(page, _LINE_DPI / 72, clamped((x0 - air, y0 - air, x1 + air, y1 + air))))
