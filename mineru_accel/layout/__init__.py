"""Layout detection: the regions of a page, by DocLayout-YOLO.

Importing this package is light; numpy, ONNX Runtime and torch are imported with the first detector.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from .classes import CLASSES, Label

if TYPE_CHECKING:
    from .protocol import LayoutDetector

__all__ = ["CLASSES", "Label", "load_detector"]


def load_detector(
    weights: Path | str | None = None,
    *,
    device: str = "auto",
    runtime: str = "auto",
    imgsz: int | None = None,
    conf: float | None = None,
    threads: int | None = None,
    allow_download: bool = False,
) -> LayoutDetector:
    """Load the layout model.

    Args:
        weights: A checkpoint; None looks where :func:`mineru_accel.models.layout_weights.find_layout_weights` looks.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>``.
        runtime: ``auto``, ``onnx`` or ``torch``.
        imgsz: Longest side of the network's input; the checkpoint's own by default.
        conf: Regions must score above this; 0.2 by default.
        threads: CPU threads; all by default.
        allow_download: Whether a missing checkpoint may be downloaded.

    Raises:
        ModelError: if there are no weights, they are damaged, or the runtime or GPU is not there.
        UsageError: if options contradict each other.
    """
    from ..models.layout_weights import require_layout_weights
    from .detector import DEFAULT_CONF, DocLayoutYolo
    from .verify import verify

    found = require_layout_weights(weights, download_check=verify if allow_download else None)
    return DocLayoutYolo(
        found.path,
        device=device,
        runtime=runtime,
        imgsz=imgsz,
        conf=DEFAULT_CONF if conf is None else conf,
        threads=threads,
    )
