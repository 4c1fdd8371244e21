"""OCR of a part of a page."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..document import BBox
from ..pdf.ocr import read_line, read_lines
from ..pdf.opening import open_page
from ..pdf.rendering import render
from ..pdf.types import Key
from .geometry import clamped, intersection, scaled
from .text.lines import join_texts

_LINE_DPI = 144
"""Ordinary lines are then 20 to 30 pixels high: enough to compare them with the text layer."""
_MARGIN = 0.15
"""Margin around a line as a share of its height: recognition models expect some."""
_MIN_CONTRAST = 4
"""Standard deviation of pixel values (0..255); below it a region is blank."""
_BLUR = 2
"""Pixels by which ink may stand outside the boxes of its line."""
_MIN_PAPER_CONTRAST = 16
"""As above, for a scanned sheet: its shadows and specks deviate less than a photograph."""


def read_region(key: Key, index: int, bbox: BBox, dpi: int, known: Sequence[BBox] = ()) -> str:
    """The text in a region as one paragraph; empty where it is blank or holds none.

    Args:
        bbox: as fractions of the displayed page.
        dpi: resolution at which the region is rendered.
        known: boxes of lines whose text is known, as fractions of the page; unless more is drawn, OCR does not run.

    Raises:
        InputError: if the page can't be loaded.
    """
    with open_page(key, index) as page:
        pixels = render(page, dpi / 72, bbox)
    if pixels.size == 0 or _without(pixels, bbox, known).std() < _MIN_CONTRAST:
        return ""
    return join_texts(read_lines(pixels))


def _without(pixels: np.ndarray, bbox: BBox, boxes: Sequence[BBox]) -> np.ndarray:
    """A region's pixels, where some boxes are painted over in the colour of the paper.

    Args:
        pixels: (H, W, 3) uint8.
        bbox, boxes: of the region and of what is painted over, as fractions of the page.
    """
    inner = [box for box in boxes if intersection(box, bbox) > 0]
    if not inner:
        return pixels
    paper = np.median(pixels.reshape(-1, 3)[::97], axis=0).astype(np.uint8)
    pixels = pixels.copy()
    height, width = pixels.shape[:2]
    x, y = width / (bbox[2] - bbox[0]), height / (bbox[3] - bbox[1])
    for box in inner:
        x0, y0, x1, y1 = scaled((box[0] - bbox[0], box[1] - bbox[1], box[2] - bbox[0], box[3] - bbox[1]), x, y)
        pixels[max(int(y0) - _BLUR, 0) : int(y1) + _BLUR + 1, max(int(x0) - _BLUR, 0) : int(x1) + _BLUR + 1] = paper
    return pixels


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
