"""Finds ruled lines and pictures on a scanned page by morphology."""

from __future__ import annotations

import cv2
import numpy as np

Box = tuple[float, float, float, float]

_MIN_RULE_LENGTH = 1 / 40
"""Shortest rule, as a share of the page's longer side: about the width of a table cell."""
_MIN_RULE_ASPECT = 6
"""Length by thickness; thicker strokes are bars or letters."""
_MIN_FIGURE_AREA = 0.008
"""Share of the page; smaller figures are specks or ornaments."""
_MIN_FIGURE_SIDE = 0.04
"""Share of the page's shorter side; flatter figures are rests of text or rules."""
_MIN_FIGURE_INK = 0.02
"""Share of a figure's pixels that are ink; with less it is scattered noise."""


def find_rules(pixels: np.ndarray, text: list[Box]) -> list[Box]:
    """Horizontal and vertical ruled lines.

    Args:
        pixels: (H, W, 3) uint8, a straightened page.
        text: boxes of text lines in pixels; strokes inside them (long dashes, stems) are not rules.

    Returns:
        Segments (x0, y0, x1, y1) in pixels, each with y0 == y1 or x0 == x1.
    """
    ink = _ink_mask(pixels)
    shortest = max(15, round(max(ink.shape) * _MIN_RULE_LENGTH))
    rules: list[Box] = []
    for horizontal in (True, False):
        size = (shortest, 1) if horizontal else (1, shortest)
        # Scanning breaks thin lines: close small gaps first.
        joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((1, 5) if horizontal else (5, 1), np.uint8))
        lines = cv2.morphologyEx(joined, cv2.MORPH_OPEN, cv2.getStructuringElement(cv2.MORPH_RECT, size))
        lines = cv2.dilate(lines, np.ones((3, 3), np.uint8))
        _, _, stats, _ = cv2.connectedComponentsWithStats(lines, connectivity=8)
        for x, y, width, height, _area in stats[1:]:
            thickness = height if horizontal else width
            length = width if horizontal else height
            if thickness > max(12, ink.shape[1] / 100) or length < _MIN_RULE_ASPECT * thickness:
                continue
            cx, cy = x + width / 2, y + height / 2
            if horizontal:
                segment = (float(x + 1), cy, float(x + width - 1), cy)
            else:
                segment = (cx, float(y + 1), cx, float(y + height - 1))
            if not _runs_through_text(segment, text):
                rules.append(segment)
    return rules


def find_figures(pixels: np.ndarray, text: list[Box], rules: list[Box]) -> list[Box]:
    """Areas of ink that are neither text nor ruled lines: pictures, charts, stamps.

    Args:
        pixels: (H, W, 3) uint8, a straightened page.
        text: boxes of text lines in pixels.
        rules: as :func:`find_rules` returns them.

    Returns:
        Boxes (x0, y0, x1, y1) in pixels.
    """
    ink = _ink_mask(pixels)
    height, width = ink.shape
    for x0, y0, x1, y1 in text:
        pad = 0.25 * (y1 - y0)
        ink[_clip(y0 - pad, height) : _clip(y1 + pad, height), _clip(x0 - pad, width) : _clip(x1 + pad, width)] = 0
    for x0, y0, x1, y1 in rules:
        ink[_clip(y0 - 4, height) : _clip(y1 + 5, height), _clip(x0 - 4, width) : _clip(x1 + 5, width)] = 0
    border = max(2, width // 60)  # the scanner's edges leave shadows
    ink[:border], ink[-border:], ink[:, :border], ink[:, -border:] = 0, 0, 0, 0
    ink = cv2.morphologyEx(ink, cv2.MORPH_OPEN, np.ones((2, 2), np.uint8))  # removes specks
    reach = max(5, max(height, width) // 70)
    joined = cv2.morphologyEx(ink, cv2.MORPH_CLOSE, np.ones((reach, reach), np.uint8))
    _, _, stats, _ = cv2.connectedComponentsWithStats(joined, connectivity=8)
    boxes = [
        (float(x), float(y), float(x + w), float(y + h))
        for x, y, w, h, _area in stats[1:]
        if w * h > _MIN_FIGURE_AREA * width * height
        and min(w, h) > _MIN_FIGURE_SIDE * min(width, height)
        and ink[y : y + h, x : x + w].mean() > 255 * _MIN_FIGURE_INK
    ]
    return _without_nested(boxes)


def _ink_mask(pixels: np.ndarray) -> np.ndarray:
    """(H, W) uint8, 255 where there is ink; the threshold is adaptive, so that shadows don't count."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY)
    grey = cv2.medianBlur(grey, 3)
    block = max(31, (min(grey.shape) // 25) | 1)
    return cv2.adaptiveThreshold(grey, 255, cv2.ADAPTIVE_THRESH_MEAN_C, cv2.THRESH_BINARY_INV, block, 18)


def _runs_through_text(segment: Box, text: list[Box]) -> bool:
    """Whether most of a stroke runs through text lines: baselines of bold or blurred type look like rules."""
    horizontal = segment[1] == segment[3]
    length = max(segment[2] - segment[0], segment[3] - segment[1], 1.0)
    covered = 0.0
    for x0, y0, x1, y1 in text:
        pad = 0.35 * (y1 - y0)
        if horizontal and y0 - pad < segment[1] < y1 + pad:
            covered += max(0.0, min(x1, segment[2]) - max(x0, segment[0]))
        elif not horizontal and x0 < segment[0] < x1:
            covered += max(0.0, min(y1, segment[3]) - max(y0, segment[1]))
    return covered > 0.5 * length


def _clip(value: float, limit: int) -> int:
    return int(min(max(value, 0), limit))


def _without_nested(boxes: list[Box]) -> list[Box]:
    """Boxes whose centre lies in no larger one."""
    kept: list[Box] = []
    for box in sorted(boxes, key=lambda b: (b[0] - b[2]) * (b[3] - b[1])):
        cx, cy = (box[0] + box[2]) / 2, (box[1] + box[3]) / 2
        if not any(k[0] <= cx <= k[2] and k[1] <= cy <= k[3] for k in kept):
            kept.append(box)
    return kept
