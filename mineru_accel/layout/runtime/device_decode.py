"""From raw maps to boxes on the device of the maps: no synchronisation and fixed shapes, so that a graph can hold it.

The same choice as :func:`mineru_accel.layout.postprocess.decode`; only the threshold is left to the host.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from ..postprocess import MAX_DET


def decode_maps(levels: Sequence[tuple[Tensor, Tensor]], strides: Sequence[int], max_det: int = MAX_DET) -> Tensor:
    """Decode a batch.

    Args:
        levels: for each resolution, raw boxes ``(B, h, w, 4 * reg_max)`` and class logits ``(B, h, w, nc)``, float32.
        strides: of the levels.
        max_det: maximum number of boxes a page.

    Returns:
        ``(B, n, 6) float32``, n = min(max_det, cells * nc): x0, y0, x1, y1 in pixels of the input, score, class; best
        score first.
    """
    logits = torch.cat([cls.flatten(1, 2) for _, cls in levels], 1)  # (B, A, nc)
    boxes = torch.cat([box.flatten(1, 2) for box, _ in levels], 1)  # (B, A, 4 * reg_max)
    nc = logits.shape[2]
    best = logits.amax(2)
    best = torch.where(best.isnan(), float("-inf"), best)
    anchors = best.topk(min(max_det, best.shape[1]), 1).indices  # (B, k)
    scores = logits.gather(1, anchors[..., None].expand(-1, -1, nc)).sigmoid().flatten(1)
    scores = torch.where(scores.isnan(), -1.0, scores)  # (B, k * nc)
    scores, order = scores.topk(min(max_det, scores.shape[1]), 1)  # (B, n)
    anchors = anchors.gather(1, order // nc)
    distances = _distances(boxes.gather(1, anchors[..., None].expand(-1, -1, boxes.shape[2])))  # (B, n, 4)
    centres, stride = _cells(anchors, levels, strides)
    corners = torch.cat([centres - distances[..., :2], centres + distances[..., 2:]], 2) * stride[..., None]
    return torch.cat([corners, scores[..., None], (order % nc).float()[..., None]], 2)


def _distances(boxes: Tensor) -> Tensor:
    """``(B, n, 4 * reg_max)`` -> ``(B, n, 4)``: the mean of each side's distribution (DFL)."""
    reg_max = boxes.shape[2] // 4
    if reg_max == 1:
        return boxes
    bins = torch.arange(reg_max, device=boxes.device, dtype=boxes.dtype)
    return (boxes.unflatten(2, (4, reg_max)).softmax(3) * bins).sum(3)


def _cells(anchors: Tensor, levels: Sequence[tuple[Tensor, Tensor]], strides: Sequence[int]) -> tuple[Tensor, Tensor]:
    """Centres ``(B, n, 2)`` (x, y, in strides) and strides ``(B, n)`` of cells, given by their numbers."""
    x, y, scale = (torch.zeros_like(anchors) for _ in range(3))
    start = 0
    for (box, _), stride in zip(levels, strides, strict=True):
        height, width = box.shape[1:3]
        here = (anchors >= start) & (anchors < start + height * width)
        x = torch.where(here, (anchors - start) % width, x)
        y = torch.where(here, (anchors - start) // width, y)
        scale = torch.where(here, stride, scale)
        start += height * width
    return torch.stack([x, y], 2).float() + 0.5, scale.float()
