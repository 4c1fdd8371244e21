"""YOLOv10's dual assignment loss for boxes given as distances in strides (no distribution).

Task-aligned assignment (alpha 0.5, beta 6; ten cells a region for the one-to-many head, one for the one-to-one head),
BCE on aligned scores, CIoU, and in the place of DFL a smooth L1 on the sides relative to the region's size.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

BOX, CLS, SIDE = 7.5, 0.5, 1.5


def cells(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Centres ``(A, 2)`` in pixels and strides ``(A, 1)``."""
    centres, strides = [], []
    for s in (8, 16, 32):
        y, x = torch.meshgrid(
            torch.arange(height // s, device=device), torch.arange(width // s, device=device), indexing="ij"
        )
        centres.append((torch.stack((x, y), -1).view(-1, 2).float() + 0.5) * s)
        strides.append(torch.full((len(centres[-1]), 1), float(s), device=device))
    return torch.cat(centres), torch.cat(strides)


def ciou(a: Tensor, b: Tensor) -> Tensor:
    """Complete IoU of ``(..., 4)`` boxes."""
    aw, ah = a[..., 2] - a[..., 0], a[..., 3] - a[..., 1]
    bw, bh = b[..., 2] - b[..., 0], b[..., 3] - b[..., 1]
    aw, ah, bw, bh = (v.clamp(min=1e-3) for v in (aw, ah, bw, bh))
    iw = (torch.minimum(a[..., 2], b[..., 2]) - torch.maximum(a[..., 0], b[..., 0])).clamp(min=0)
    ih = (torch.minimum(a[..., 3], b[..., 3]) - torch.maximum(a[..., 1], b[..., 1])).clamp(min=0)
    inter = iw * ih
    iou = inter / (aw * ah + bw * bh - inter + 1e-7)
    cw = torch.maximum(a[..., 2], b[..., 2]) - torch.minimum(a[..., 0], b[..., 0])
    ch = torch.maximum(a[..., 3], b[..., 3]) - torch.minimum(a[..., 1], b[..., 1])
    diagonal = cw * cw + ch * ch + 1e-7
    rho = (
        (b[..., 0] + b[..., 2] - a[..., 0] - a[..., 2]) ** 2 + (b[..., 1] + b[..., 3] - a[..., 1] - a[..., 3]) ** 2
    ) / 4
    v = 4 / math.pi**2 * (torch.atan(bw / bh) - torch.atan(aw / ah)) ** 2
    with torch.no_grad():
        alpha = v / (v - iou + 1 + 1e-7)
    return iou - (rho / diagonal + v * alpha)


@torch.no_grad()
def candidates(centres: Tensor, labels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Pairs of a region and a cell whose centre lies in it: image, region and cell numbers, ``(K,)`` each."""
    wide = (targets[..., 2:] - targets[..., :2]).clamp(min=9)  # a region thinner than a cell must still hold one centre
    middle = (targets[..., 2:] + targets[..., :2]) / 2
    low, high = middle - wide / 2, middle + wide / 2
    x, y = centres[:, 0], centres[:, 1]
    inside = (
        (x > low[..., 0:1])
        & (x < high[..., 0:1])
        & (y > low[..., 1:2])
        & (y < high[..., 1:2])
        & (labels >= 0)[..., None]
    )
    return inside.nonzero(as_tuple=True)  # type: ignore[return-value]


@torch.no_grad()
def assign(
    scores: Tensor, boxes: Tensor, labels: Tensor, targets: Tensor, pairs: tuple[Tensor, Tensor, Tensor], topk: int
) -> tuple[Tensor, Tensor, Tensor]:
    """Which cell answers for which region.

    Args:
        scores: ``(B, A, nc)`` probabilities.  boxes: ``(B, A, 4)`` pixels.
        labels: ``(B, M)``, -1 where there is no region.  targets: ``(B, M, 4)``.  pairs: of :func:`candidates`.

    Returns:
        Region index ``(B, A)``, mask of answering cells ``(B, A)``, aligned score ``(B, A)``.
    """
    (b, m, a), (B, A), M, device = pairs, scores.shape[:2], labels.shape[1], scores.device
    overlap = ciou(targets[b, m], boxes[b, a]).clamp(min=0)
    metric = scores[b, a, labels[b, m]].sqrt() * overlap**6 + 1e-12
    # The best topk cells of each region: sort by region, then by metric.
    owner, cell = b * M + m, b * A + a
    order = metric.argsort(descending=True)
    order = order[owner[order].argsort(stable=True)]
    counts = torch.bincount(owner, minlength=B * M)
    rank = torch.arange(len(order), device=device) - (counts.cumsum(0) - counts)[owner[order]]
    order = order[rank < topk]
    owner, cell, m, overlap, metric = owner[order], cell[order], m[order], overlap[order], metric[order]
    # A cell chosen by several regions answers for the one it overlaps most.
    most = torch.full((B * A,), -1.0, device=device).scatter_reduce_(0, cell, overlap, "amax")
    wins = overlap >= most[cell]
    owner, cell, m, overlap, metric = owner[wins], cell[wins], m[wins], overlap[wins], metric[wins]
    peak = torch.zeros(B * M, device=device).scatter_reduce_(0, owner, metric, "amax")
    reach = torch.zeros(B * M, device=device).scatter_reduce_(0, owner, overlap, "amax")
    region = torch.zeros(B * A, dtype=torch.long, device=device)
    region[cell] = m
    mask = torch.zeros(B * A, dtype=torch.bool, device=device)
    mask[cell] = True
    aligned = torch.zeros(B * A, device=device)
    aligned[cell] = metric * reach[owner] / (peak[owner] + 1e-12)
    return region.view(B, A), mask.view(B, A), aligned.view(B, A)


def head_loss(
    head: tuple[Tensor, Tensor], centres: Tensor, strides: Tensor, labels: Tensor, targets: Tensor,
    pairs: tuple[Tensor, Tensor, Tensor], topk: int,
) -> Tensor:  # fmt: skip
    """Box, class and side losses of one head: ``(3,)``."""
    distances, logits = head
    boxes = torch.cat([centres - distances[..., :2] * strides, centres + distances[..., 2:] * strides], -1)
    region, mask, aligned = assign(logits.detach().sigmoid(), boxes.detach(), labels, targets, pairs, topk)
    kind = labels.clamp(min=0).gather(1, region)
    score = torch.zeros_like(logits).scatter_(-1, kind.unsqueeze(-1), aligned.unsqueeze(-1))
    total = score.sum().clamp(min=1)
    cls = F.binary_cross_entropy_with_logits(logits, score, reduction="sum") / total
    where = mask.nonzero(as_tuple=True)
    p, t, w = boxes[where], targets[where[0], region[where]], aligned[where]
    box = ((1 - ciou(p, t)) * w).sum() / total
    size = (t[:, 2:] - t[:, :2]).clamp(min=4).repeat(1, 2)
    side = (F.smooth_l1_loss(p / size, t / size, reduction="none", beta=0.05).mean(-1).clamp(max=5) * w).sum() / total
    return torch.stack((BOX * box, CLS * cls, SIDE * side))


def dual_loss(
    heads: list[tuple[Tensor, Tensor]], size: tuple[int, int], labels: Tensor, targets: Tensor
) -> tuple[Tensor, Tensor]:
    """Both heads: the sum, and the six parts for the log."""
    centres, strides = cells(*size, targets.device)
    pairs = candidates(centres, labels, targets)
    many = head_loss(heads[0], centres, strides, labels, targets, pairs, 10)
    one = head_loss(heads[1], centres, strides, labels, targets, pairs, 1)
    return many.sum() + one.sum(), torch.cat((many, one)).detach()
