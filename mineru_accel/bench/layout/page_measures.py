"""Helpers of the parts that run whole pages: median times and matching boxes."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from typing import Any


def median_seconds(work: Callable[[], object], times: int) -> float:
    """Median seconds of a call."""
    seconds = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        seconds.append(time.perf_counter() - began)
    return statistics.median(seconds)


def matching_boxes(wanted: Any, found: Any, score: float = 0.3, iou: float = 0.95) -> tuple[int, int]:
    """(matched, total) boxes of ``wanted`` over ``score``; matched: ``found`` has its class, IoU over ``iou``."""
    import numpy as np

    from ...layout.postprocess import iou_matrix

    keep = np.asarray(wanted.scores) > score
    n = len(wanted.boxes)
    both = iou_matrix(np.concatenate([wanted.boxes, found.boxes]).astype(np.float32))[:n, n:]
    same = np.asarray(wanted.classes)[:, None] == np.asarray(found.classes)[None]
    good = ((both > iou) & same).any(1) if len(found.boxes) else np.zeros(n, bool)
    return int((good & keep).sum()), int(keep.sum())
