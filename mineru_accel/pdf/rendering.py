"""Renders pages to pixels. Worker processes only."""

from __future__ import annotations

from typing import TypeAlias

import cv2
import numpy as np
import pypdfium2 as pdfium

PdfPage: TypeAlias = pdfium.PdfPage
"""An open page."""
MAX_SIDE = 10_000
"""Longest side of any rendered bitmap in pixels, so that a page of 10 metres can't fill the memory."""


def render(page: PdfPage, scale: float, crop: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)) -> np.ndarray:
    """Render a page or a part of it.

    Args:
        scale: pixels per point; reduced where a side would exceed :data:`MAX_SIDE`.
        crop: the part to render, as fractions of the displayed page, origin top left.

    Returns:
        (H, W, 3) uint8 RGB, contiguous.
    """
    width, height = page.get_size()
    x0, y0, x1, y1 = crop
    longest = max((x1 - x0) * width, (y1 - y0) * height, 1e-3)
    scale = min(scale, MAX_SIDE / longest)
    margins = (x0 * width, (1 - y1) * height, (1 - x1) * width, y0 * height)  # left, bottom, right, top
    bitmap = page.render(
        scale=scale,
        crop=margins if any(m > 0 for m in margins) else (0, 0, 0, 0),
        rev_byteorder=True,
        may_draw_forms=True,
    )
    pixels = bitmap.to_numpy()
    if pixels.ndim == 2:
        pixels = pixels[:, :, None]
    pixels = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels[:, :, :3]
    return np.ascontiguousarray(pixels)


def turn(pixels: np.ndarray, degrees: int) -> np.ndarray:
    """Turn an image counter-clockwise by a multiple of 90 degrees; its sides change places with 90 and 270."""
    return np.ascontiguousarray(np.rot90(pixels, degrees // 90)) if degrees else pixels


def rotate(pixels: np.ndarray, degrees: float) -> np.ndarray:
    """Rotate an image about its centre, keeping its size; uncovered corners are white.

    Args:
        pixels: (H, W, 3) uint8.
        degrees: positive rotates counter-clockwise as seen.
    """
    height, width = pixels.shape[:2]
    matrix = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, 1.0)
    return cv2.warpAffine(pixels, matrix, (width, height), flags=cv2.INTER_LINEAR, borderValue=(255, 255, 255))
