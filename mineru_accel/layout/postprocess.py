"""From the network's raw maps to boxes, in numpy; used by the runtimes on the CPU.

YOLOv10's one-to-one head needs no NMS: the best ``max_det`` (position, class) pairs are the result. Boxes are
decoded in float32, and only for these.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

MAX_DET = 300
"""Maximum boxes a page."""
SAME_CLASS_IOU = 0.7
CROSS_CLASS_IOU = 0.8
"""Overlap from which on a box repeats a better one of its own class, or of another."""


@dataclass(slots=True)
class Detections:
    """Boxes of one page, best score first."""

    boxes: np.ndarray
    """``(n, 4) float32``: x0, y0, x1, y1 in pixels."""
    scores: np.ndarray
    """``(n,) float32``, 0..1."""
    classes: np.ndarray
    """``(n,) int64``, class ids."""

    def __len__(self) -> int:
        return len(self.scores)

    def take(self, keep: np.ndarray) -> Detections:
        """The detections at ``keep`` (indices or mask)."""
        return Detections(self.boxes[keep], self.scores[keep], self.classes[keep])


def decode(
    boxes: np.ndarray,
    logits: np.ndarray,
    shape: tuple[int, int],
    strides: Sequence[int],
    conf: float,
    max_det: int = MAX_DET,
) -> Detections:
    """Decode one page.

    Args:
        boxes: ``(4 * reg_max, A) float32``: distances left, top, right, bottom from a cell's centre, in strides; with
            ``reg_max`` > 1, logits of their distribution over 0..reg_max-1.
        logits: ``(nc, A) float32``.
        shape: Height and width of the network's input.
        strides: Stride of each level, in the order of A.
        conf: Scores must be above this.
        max_det: Maximum number of boxes.

    Returns:
        Boxes in pixels of the input.
    """
    nc = len(logits)
    best = logits.max(0)
    best[np.isnan(best)] = -np.inf
    anchors = np.argpartition(-best, max_det - 1)[:max_det] if len(best) > max_det else np.arange(len(best))
    with np.errstate(over="ignore"):
        scores = (1 / (1 + np.exp(-logits[:, anchors].T.astype(np.float64)))).astype(np.float32).ravel()  # (n * nc,)
    order = np.argsort(-scores, kind="stable")[:max_det]
    order = order[scores[order] > conf]
    anchors, classes = anchors[order // nc], order % nc

    distances = _distances(boxes[:, anchors].astype(np.float32))  # (4, n)
    centres, stride = _cells(anchors, shape, strides)
    corners = np.concatenate([centres - distances[:2], centres + distances[2:]]) * stride
    found = Detections(corners.T.astype(np.float32), scores[order], classes)
    return found.take(np.isfinite(found.boxes).all(1))


def _distances(boxes: np.ndarray) -> np.ndarray:
    """``(4 * reg_max, n)`` -> ``(4, n)``: the mean of each side's distribution (DFL)."""
    reg_max = len(boxes) // 4
    if reg_max == 1:
        return boxes
    bins = boxes.reshape(4, reg_max, -1)
    p = np.exp(bins - bins.max(1, keepdims=True))
    return np.einsum("sbn,b->sn", p / p.sum(1, keepdims=True), np.arange(reg_max, dtype=np.float32))


def _cells(anchors: np.ndarray, shape: tuple[int, int], strides: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
    """Centres ``(2, n)`` (x, y, in strides) and strides ``(n,)`` of cells, given by their numbers."""
    x, y, stride = (np.empty(len(anchors), np.float32) for _ in range(3))
    start = 0
    for s in strides:
        height, width = shape[0] // s, shape[1] // s
        here = (anchors >= start) & (anchors < start + height * width)
        y[here], x[here] = np.divmod(anchors[here] - start, width)
        stride[here] = s
        start += height * width
    return np.stack([x, y]) + np.float32(0.5), stride


def suppress_duplicates(
    found: Detections, same_class: float = SAME_CLASS_IOU, cross_class: float = CROSS_CLASS_IOU
) -> Detections:
    """Drop boxes that repeat a better one, of the same class or of another.

    Training makes the head free of duplicates, but not perfectly: it still gives one region two classes (a caption that
    may be text), and small models repeat boxes. Only near-copies are dropped: a box inside a larger one stays.
    """
    if len(found) < 2:
        return found
    overlap = iou_matrix(found.boxes)
    # candidates first; the overlap is compared exactly below, since float32(limit) is not quite the limit
    better, worse = np.nonzero(overlap >= np.float32(min(same_class, cross_class)))
    limit = np.where(found.classes[better] == found.classes[worse], same_class, cross_class)
    clash = (better < worse) & (overlap[better, worse] > limit)
    rows, starts = np.unique(better[clash], return_index=True)
    keep = np.ones(len(found), bool)
    for row, copies in zip(rows, np.split(worse[clash], starts[1:]), strict=False):
        if keep[row]:
            keep[copies] = False
    return found.take(keep)


def iou_matrix(boxes: np.ndarray) -> np.ndarray:
    """Intersection over union of each pair of ``(n, 4)`` boxes: ``(n, n) float32``."""
    x0, y0, x1, y1 = np.ascontiguousarray(boxes.T)  # whole rows: four times as fast as (n, n, 2)
    inter = _overhang(x0, x1) * _overhang(y0, y1)
    area = np.clip(x1 - x0, 0, None) * np.clip(y1 - y0, 0, None)
    union = np.add.outer(area, area)
    union -= inter
    return np.divide(inter, np.maximum(union, np.float32(1e-9), out=union), out=inter)


def _overhang(low: np.ndarray, high: np.ndarray) -> np.ndarray:
    """Length of the overlap of each pair of ``n`` intervals: ``(n, n)``, 0 for those apart."""
    length = np.minimum.outer(high, high)
    length -= np.maximum.outer(low, low)
    return np.maximum(length, 0, out=length)
