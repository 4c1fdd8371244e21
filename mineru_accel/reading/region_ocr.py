"""OCR of a part of a page."""

from __future__ import annotations

from ..document import BBox
from ..pdf.ocr import read_line, read_lines
from ..pdf.opening import open_page
from ..pdf.rendering import render
from ..pdf.types import Key
from .geometry import clamped
from .text.lines import join_texts

_LINE_DPI = 144
"""Ordinary lines are then 20 to 30 pixels high: enough to compare them with the text layer."""
_MARGIN = 0.15
"""Margin around a line as a share of its height: recognition models expect some."""
_MIN_CONTRAST = 4
"""Standard deviation of pixel values (0..255); below it a region is blank."""
_MIN_PAPER_CONTRAST = 16
"""As above, for a scanned sheet: its shadows and specks deviate less than a photograph."""


def read_region(key: Key, index: int, bbox: BBox, dpi: int) -> str:
    """The text in a region as one paragraph; empty where it is blank or holds none.

    Args:
        bbox: as fractions of the displayed page.
        dpi: resolution at which the region is rendered.

    Raises:
        InputError: if the page can't be loaded.
    """
    with open_page(key, index) as page:
        pixels = render(page, dpi / 72, bbox)
    return join_texts(read_lines(pixels)) if pixels.size and pixels.std() >= _MIN_CONTRAST else ""


def is_blank(key: Key, index: int, bbox: BBox) -> bool:
    """Whether a region shows nothing but paper.

    Raises:
        InputError: if the page can't be loaded.
    """
    with open_page(key, index) as page:
        pixels = render(page, _LINE_DPI / 288, bbox)
    return pixels.size == 0 or bool(pixels.std() < _MIN_PAPER_CONTRAST)


def read_one_line(key: Key, index: int, bbox: BBox) -> str:
    """The text of one line.

    Args:
        bbox: around the line, as fractions of the displayed page.

    Raises:
        InputError: if the page can't be loaded.
    """
    x0, y0, x1, y1 = bbox
    margin = _MARGIN * (y1 - y0)
    with open_page(key, index) as page:
        return read_line(render(page, _LINE_DPI / 72, clamped((x0 - margin, y0 - margin, x1 + margin, y1 + margin))))
