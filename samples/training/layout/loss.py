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
        y, x = torch.meshgrid(torch.arange(height // s, device=device), torch.arange(width // s, device=device), indexing="ij")
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
    rho = ((b[..., 0] + b[..., 2] - a[..., 0] - a[..., 2]) ** 2 + (b[..., 1] + b[..., 3] - a[..., 1] - a[..., 3]) ** 2) / 4
    v = 4 / math.pi**2 * (torch.atan(bw / bh) - torch.atan(aw / ah)) ** 2
    with torch.no_grad():
        alpha = v / (v - iou + 1 + 1e-7)
    return iou - (rho / diagonal + v * alpha)


@torch.no_grad()
def assign(scores: Tensor, boxes: Tensor, centres: Tensor, labels: Tensor, targets: Tensor, topk: int) -> tuple[Tensor, Tensor, Tensor]:
    """Which cell answers for which region.

    Args:
        scores: ``(B, A, nc)`` probabilities.  boxes: ``(B, A, 4)`` pixels.  centres: ``(A, 2)``.
        labels: ``(B, M)``, -1 where there is no region.  targets: ``(B, M, 4)``.

    Returns:
        Region index ``(B, A)``, mask of answering cells ``(B, A)``, aligned score ``(B, A)``.
    """
    valid = labels >= 0
    wide = (targets[..., 2:] - targets[..., :2]).clamp(min=9)  # a region thinner than a cell must still hold one centre
    middle = (targets[..., 2:] + targets[..., :2]) / 2
    low, high = middle - wide / 2, middle + wide / 2
    x, y = centres[:, 0], centres[:, 1]
    inside = (x > low[..., 0:1]) & (x < high[..., 0:1]) & (y > low[..., 1:2]) & (y < high[..., 1:2]) & valid[..., None]  # (B, M, A)
    overlaps = torch.zeros(inside.shape, device=boxes.device)
    metric = torch.zeros_like(overlaps)
    b, m, a = inside.nonzero(as_tuple=True)
    o = ciou(targets[b, m], boxes[b, a]).clamp(min=0)
    overlaps[b, m, a] = o
    metric[b, m, a] = scores[b, a, labels[b, m]].sqrt() * o**6 + 1e-12
    top = metric.topk(topk, -1).indices
    chosen = torch.zeros_like(inside).scatter_(-1, top, True) & inside
    # A cell chosen by several regions answers for the one it overlaps most.
    several = chosen.sum(1, keepdim=True) > 1
    best = torch.zeros_like(chosen).scatter_(1, (overlaps + chosen * 1e-6).argmax(1, keepdim=True), True)
    chosen = torch.where(several, best & inside, chosen)
    region = chosen.float().argmax(1)
    mask = chosen.any(1)
    metric = metric * chosen
    peak = metric.amax(-1, keepdim=True)
    reach = (overlaps * chosen).amax(-1, keepdim=True)
    aligned = (metric * reach / (peak + 1e-9)).amax(1)
    return region, mask, aligned


def head_loss(head: tuple[Tensor, Tensor], centres: Tensor, strides: Tensor, labels: Tensor, targets: Tensor, topk: int) -> Tensor:
    """Box, class and side losses of one head: ``(3,)``."""
    distances, logits = head
    boxes = torch.cat([centres - distances[..., :2] * strides, centres + distances[..., 2:] * strides], -1)
    region, mask, aligned = assign(logits.detach().sigmoid(), boxes.detach(), centres, labels, targets, topk)
    index = region.unsqueeze(-1)
    wanted = targets.gather(1, index.expand(-1, -1, 4))
    kind = labels.clamp(min=0).gather(1, region)
    score = torch.zeros_like(logits).scatter_(-1, kind.unsqueeze(-1), aligned.unsqueeze(-1)) * mask.unsqueeze(-1)
    total = score.sum().clamp(min=1)
    cls = F.binary_cross_entropy_with_logits(logits, score, reduction="sum") / total
    p, t, w = boxes[mask], wanted[mask], aligned[mask]
    box = ((1 - ciou(p, t)) * w).sum() / total
    size = (t[:, 2:] - t[:, :2]).clamp(min=4).repeat(1, 2)
    side = (F.smooth_l1_loss(p / size, t / size, reduction="none", beta=0.05).mean(-1).clamp(max=5) * w).sum() / total
    return torch.stack((BOX * box, CLS * cls, SIDE * side))


def dual_loss(heads: list[tuple[Tensor, Tensor]], size: tuple[int, int], labels: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Both heads: the sum, and the six parts for the log."""
    centres, strides = cells(*size, targets.device)
    many = head_loss(heads[0], centres, strides, labels, targets, 10)
    one = head_loss(heads[1], centres, strides, labels, targets, 1)
    return many.sum() + one.sum(), torch.cat((many, one)).detach()
