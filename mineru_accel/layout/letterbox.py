"""Pages into the network's input: scaled to fit, padded with grey to a multiple of the stride.

The same geometry and pixels as doclayout_yolo's ``LetterBox(auto=True, center=True)``, except that a side never
shrinks to nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

PAD_VALUE = 114
"""Grey of the padding, doclayout_yolo's."""


@dataclass(frozen=True, slots=True)
class Letterbox:
    """The place of a page of ``height`` x ``width`` pixels on its canvas."""

    height: int
    width: int
    inner: tuple[int, int]
    """Height and width of the scaled page."""
    shape: tuple[int, int]
    """Height and width of the canvas; pages of equal shape can share a batch."""
    top: int
    left: int

    @classmethod
    def fit(cls, height: int, width: int, imgsz: int, stride: int = 32) -> Letterbox:
        """Scale the longer side to ``imgsz``; pad both sides to multiples of ``stride``, evenly."""
        ratio = min(imgsz / height, imgsz / width)
        inner_w, inner_h = max(1, round(width * ratio)), max(1, round(height * ratio))
        pad_w, pad_h = (imgsz - inner_w) % stride / 2, (imgsz - inner_h) % stride / 2
        top, bottom = round(pad_h - 0.1), round(pad_h + 0.1)
        left, right = round(pad_w - 0.1), round(pad_w + 0.1)
        shape = (inner_h + top + bottom, inner_w + left + right)
        return cls(height, width, (inner_h, inner_w), shape, top, left)

    def draw(self, image: np.ndarray, canvas: np.ndarray) -> None:
        """Write ``image (height, width, 3) uint8`` onto ``canvas (*shape, 3) uint8``, every pixel of it."""
        inner_h, inner_w = self.inner
        if (self.height, self.width) != self.inner:
            import cv2

            image = cv2.resize(np.ascontiguousarray(image), (inner_w, inner_h), interpolation=cv2.INTER_LINEAR)
        if self.inner != self.shape:
            canvas[:] = PAD_VALUE
        canvas[self.top : self.top + inner_h, self.left : self.left + inner_w] = image

    def to_page(self, boxes: np.ndarray) -> np.ndarray:
        """Boxes ``(n, 4)`` x0, y0, x1, y1 from canvas pixels to page pixels, clipped to the page.

        As ``scale_boxes`` does it: gain and padding are worked out again from the rounded shapes.
        """
        gain = min(self.shape[0] / self.height, self.shape[1] / self.width)
        pad_x = round((self.shape[1] - self.width * gain) / 2 - 0.1)
        pad_y = round((self.shape[0] - self.height * gain) / 2 - 0.1)
        boxes = (boxes - np.array([pad_x, pad_y, pad_x, pad_y], np.float32)) / np.float32(gain)
        return np.clip(boxes, 0, np.array([self.width, self.height] * 2, np.float32))


def as_rgb(image: np.ndarray) -> np.ndarray:
    """An image of shape ``(H, W, 3)``, ``(H, W, 1)`` or ``(H, W)``, uint8, with three channels.

    Raises:
        ValueError: if it has another shape or dtype, or no pixels.
    """
    if not isinstance(image, np.ndarray) or image.dtype != np.uint8:
        raise ValueError(f"a page image must be a uint8 array, not {getattr(image, 'dtype', type(image).__name__)}")
    if image.ndim == 2:
        image = image[:, :, None]
    if image.ndim != 3 or image.shape[2] not in (1, 3) or image.size == 0:
        raise ValueError(f"a page image must be (H, W, 3) with at least one pixel, not {image.shape}")
    return np.broadcast_to(image, (*image.shape[:2], 3))
