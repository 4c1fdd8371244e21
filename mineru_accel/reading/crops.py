"""JPEG pictures of regions, written beside the results."""

from __future__ import annotations

import math
from pathlib import Path

import cv2
from PIL import Image

from ..document import VISUAL_TYPES, BBox, Block
from ..pdf.rendering import PdfPage, render, rotate

_MAX_CROP_SIDE = 4000
"""Longest side of a picture in pixels: a page of 20 inches at 200 dpi."""
_JPEG_QUALITY = 90
"""Text in tables and formulas stays free of visible artefacts."""


def save_crops(
    page: PdfPage, index: int, blocks: list[Block], folder: Path | None, dpi: int, angle: float = 0.0
) -> None:
    """Write a JPEG of each visual block and name it in the block's ``image_path`` (``images/...``).

    Args:
        page: the page itself, not its OCR layer.
        index: 0-based page number, for the file names.
        blocks: bboxes on the page straightened by ``angle``.
        folder: created when the first picture is written; None writes no pictures.
        dpi: resolution of the pictures.
        angle: degrees that straighten the page (counter-clockwise as seen); the whole page is rotated before cropping.
    """
    visual = [(i, b) for i, b in enumerate(blocks) if b["type"] in VISUAL_TYPES]
    if not visual or folder is None:
        return
    width, height = page.get_size()
    straight = None
    if angle:
        straight = rotate(render(page, min(dpi / 72, _MAX_CROP_SIDE / max(width, height))), angle)
    for number, block in visual:
        box = _padded(block["bbox"], width, height)
        if straight is not None:
            full_height, full_width = straight.shape[:2]
            pixels = straight[
                int(box[1] * full_height) : math.ceil(box[3] * full_height),
                int(box[0] * full_width) : math.ceil(box[2] * full_width),
            ]
        else:
            longest = max((box[2] - box[0]) * width, (box[3] - box[1]) * height)
            pixels = render(page, min(dpi / 72, _MAX_CROP_SIDE / max(longest, 1e-3)), box)
        if pixels.size == 0:
            continue
        rotation = int(block.get("angle") or 0) % 360
        if rotation in _UPRIGHT:
            pixels = cv2.rotate(pixels, _UPRIGHT[rotation])
        folder.mkdir(exist_ok=True)
        name = f"page_{index}_{block['type']}_{number}.jpg"
        Image.fromarray(pixels).save(folder / name, "JPEG", quality=_JPEG_QUALITY)
        block["image_path"] = f"images/{name}"


# A block's ``angle`` is the clockwise rotation of its content.
_UPRIGHT = {90: cv2.ROTATE_90_COUNTERCLOCKWISE, 180: cv2.ROTATE_180, 270: cv2.ROTATE_90_CLOCKWISE}


def _padded(bbox: BBox, width: float, height: float) -> BBox:
    """A bbox widened by a point on each side, within the page."""
    x0, y0, x1, y1 = bbox
    return (
        max(0.0, x0 - 1 / width),
        max(0.0, y0 - 1 / height),
        min(1.0, x1 + 1 / width),
        min(1.0, y1 + 1 / height),
    )
