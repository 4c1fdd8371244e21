"""A loaded network, whatever runs it, and what the runtimes on the CPU share."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from ..letterbox import Letterbox
from ..postprocess import Detections, decode


class Runtime(Protocol):
    """A loaded network; safe to use from several threads."""

    name: str
    """For reports: ``onnx:cpu``, ``torch:cuda:0 fp16``."""
    max_batch: int
    """Maximum pages of the usual size in one call."""

    def detect(self, pages: Sequence[np.ndarray], places: Sequence[Letterbox], conf: float) -> list[Detections]:
        """Find boxes on pages whose canvases have one shape.

        Args:
            pages: ``(H, W, 3) uint8`` each.
            places: of each page on its canvas.
            conf: scores must be above this.

        Returns:
            One for each page, boxes in pixels of its canvas.

        Raises:
            RuntimeError: if it is closed.
        """
        ...

    def close(self) -> None:
        """Free it; may be called twice."""
        ...


class HostRuntime:
    """Letterbox and decoding on the CPU, around a network's raw maps.

    Args:
        strides: of the levels, in the order of the raw maps.
    """

    def __init__(self, strides: Sequence[int]) -> None:
        self._strides = tuple(strides)
        self._lock = threading.Lock()

    def run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(B, H, W, 3) uint8`` -> raw boxes ``(B, 4 * reg_max, A)`` and logits ``(B, nc, A)``, float32.

        Called by one thread at a time. Raises RuntimeError if it is closed.
        """
        raise NotImplementedError

    def detect(self, pages: Sequence[np.ndarray], places: Sequence[Letterbox], conf: float) -> list[Detections]:
        """See :class:`Runtime`."""
        shape = places[0].shape
        canvas = np.empty((len(pages), *shape, 3), np.uint8)
        for page, place, out in zip(pages, places, canvas, strict=True):
            place.draw(page, out)
        with self._lock:
            boxes, logits = self.run(canvas)
        return [decode(boxes[i], logits[i], shape, self._strides, conf) for i in range(len(pages))]
