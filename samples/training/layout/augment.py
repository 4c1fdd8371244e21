"""Training batches from pages that lie in the accelerator's memory: geometry, scans and boxes, all on the device."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

PAD = 114 / 255


class Pages:
    """Pages on the device, in buffers of a fixed capacity: more can be added while others are trained on."""

    def __init__(self, capacity: int, device: torch.device, side: int, most: int = 400) -> None:
        self.images = torch.empty((capacity, 3, side, side), dtype=torch.uint8, device=device)
        self.boxes = torch.full((capacity, most, 5), -1.0, device=device)
        self.sizes = torch.ones((capacity, 2), device=device)
        self.families: list[str] = []
        self.side, self.most = side, most
        self.stream = torch.cuda.Stream() if device.type == "cuda" else None

    def __len__(self) -> int:
        return len(self.families)

    def add(self, image: np.ndarray, boxes: np.ndarray, family: str) -> bool:
        """Copy one page, ``(H, W, 3) uint8`` and ``(n, 5)``, beside the training's own stream; False when full."""
        i = len(self.families)
        if i >= len(self.images):
            return False
        h, w = image.shape[:2]
        with torch.cuda.stream(self.stream):
            self.images[i, :, :h, :w] = torch.from_numpy(image).to(self.images.device).permute(2, 0, 1)
            self.boxes[i, : len(boxes)] = torch.from_numpy(boxes[: self.most]).to(self.images.device)
            self.sizes[i] = torch.tensor([h, w]).to(self.images.device)
        if self.stream is not None:
            self.stream.synchronize()
        self.families.append(family)
        return True


def uniform(n: int, low: float, high: float, device: torch.device) -> Tensor:
    return torch.rand(n, device=device) * (high - low) + low


def batch(
    pages: Pages, index: Tensor, size: tuple[int, int], strength: float, composites: float
) -> tuple[Tensor, Tensor, Tensor]:
    """A batch of letterboxed, augmented pages.

    Returns:
        Images ``(B, 3, H, W)`` in 0..1, labels ``(B, M)`` (-1: none), boxes ``(B, M, 4)`` in pixels.
    """
    device, n, (H, W) = index.device, len(index), size
    h, w = pages.sizes[index].unbind(1)
    fit = torch.minimum(H / h, W / w)
    kind = torch.rand(n, device=device)
    zoom = torch.where(kind < 0.45, uniform(n, 0.97, 1.0, device), uniform(n, 0.6, 1.35, device))
    zoom = torch.where(kind > 0.94, uniform(n, 1.3, 1.9, device), zoom)
    aspect = torch.where(torch.rand(n, device=device) < 0.4, uniform(n, -0.09, 0.09, device), torch.zeros_like(zoom))
    sx, sy = fit * zoom * torch.exp(aspect / 2), fit * zoom * torch.exp(-aspect / 2)
    turned = torch.rand(n, device=device) < 0.18 * strength
    angle = torch.where(
        turned, (torch.randn(n, device=device) * 1.4).clamp(-4, 4) * math.pi / 180, torch.zeros_like(sx)
    )
    # Where the page's centre goes: centred like a letterbox, or anywhere that fills the canvas.
    free_x, free_y = (W - w * sx) / 2, (H - h * sy) / 2
    loose = torch.rand(n, device=device) < 0.4
    big = zoom > 1.02
    cx = W / 2 + torch.where(loose | big, uniform(n, -1, 1, device) * free_x.abs(), torch.zeros_like(sx))
    cy = H / 2 + torch.where(loose | big, uniform(n, -1, 1, device) * free_y.abs(), torch.zeros_like(sx))
    cos, sin = torch.cos(angle), torch.sin(angle)
    # out = R S (src - c) + centre
    a, b_, c, d = cos * sx, -sin * sy, sin * sx, cos * sy
    det = a * d - b_ * c
    yy, xx = torch.meshgrid(torch.arange(H, device=device) + 0.5, torch.arange(W, device=device) + 0.5, indexing="ij")
    dx, dy = xx[None] - cx[:, None, None], yy[None] - cy[:, None, None]
    v = lambda t: t[:, None, None]  # noqa: E731
    u0 = (v(d) * dx - v(b_) * dy) / v(det) + v(w / 2)
    u1 = (-v(c) * dx + v(a) * dy) / v(det) + v(h / 2)
    grid = torch.stack((u0, u1), -1) * (2 / pages.side) - 1
    image = F.grid_sample(
        pages.images[index].float() / 255, grid, mode="bilinear", padding_mode="border", align_corners=False
    )
    if device.type == "cuda":
        image = image.half()
    outside = (u0 < 0) | (u0 > v(w)) | (u1 < 0) | (u1 > v(h))
    fill = torch.where(
        turned & (torch.rand(n, device=device) < 0.7),
        (torch.rand(n, device=device) * 1.6).clamp(max=1),
        torch.full_like(sx, PAD),
    )
    scan_fill = fill.view(-1, 1, 1, 1)

    # Boxes: the four corners of each.
    labels, box = pages.boxes[index, :, 0].long(), pages.boxes[index, :, 1:]
    x = box[..., [0, 2, 0, 2]] - (w / 2)[:, None, None]
    y = box[..., [1, 1, 3, 3]] - (h / 2)[:, None, None]
    ox = v(a) * x + v(b_) * y + v(cx)
    oy = v(c) * x + v(d) * y + v(cy)
    whole = torch.stack((ox.amin(-1), oy.amin(-1), ox.amax(-1), oy.amax(-1)), -1)

    image = photometric(image, strength)
    image = torch.where(outside[:, None], scan_fill.to(image.dtype), image)

    low = torch.zeros(n, 2, device=device)
    high = torch.tensor([W, H], device=device).float().expand(n, 2).clone()
    boxes = clip(whole, low, high)
    keep = visible(boxes, whole)
    if composites > 0:
        perm = torch.randperm(n, device=device)
        mixed = torch.rand(n, device=device) < composites
        across = torch.rand(n, device=device) < 0.5  # split left | right, else top / bottom
        at = uniform(n, 0.3, 0.7, device)
        high_a = torch.where(
            across[:, None],
            torch.stack((at * W, torch.full_like(at, H)), 1),
            torch.stack((torch.full_like(at, W), at * H), 1),
        )
        low_b = torch.where(
            across[:, None],
            torch.stack((at * W, torch.zeros_like(at)), 1),
            torch.stack((torch.zeros_like(at), at * H), 1),
        )
        first = torch.where(v(across), xx[None] < v(at * W), yy[None] < v(at * H))
        image = torch.where((first | ~v(mixed))[:, None], image, image[perm])
        boxes_a, boxes_b = clip(whole, low, high_a), clip(whole[perm], low_b, high)
        keep_a, keep_b = visible(boxes_a, whole), visible(boxes_b, whole[perm])
        boxes = torch.cat((torch.where(mixed[:, None, None], boxes_a, boxes), boxes_b), 1)
        keep = torch.cat((torch.where(mixed[:, None], keep_a, keep), keep_b & mixed[:, None]), 1)
        labels = torch.cat((labels, labels[perm]), 1)
    keep &= labels >= 0
    labels = torch.where(keep, labels, -1)
    order = keep.float().argsort(dim=1, descending=True, stable=True)[:, : max(1, int(keep.sum(1).max()))]
    return image.clamp(0, 1), labels.gather(1, order), boxes.gather(1, order[..., None].expand(-1, -1, 4))


def clip(boxes: Tensor, low: Tensor, high: Tensor) -> Tensor:
    low, high = low[:, None].repeat(1, 1, 2), high[:, None].repeat(1, 1, 2)
    return torch.minimum(torch.maximum(boxes, low), high)


def visible(part: Tensor, whole: Tensor) -> Tensor:
    """Regions of which enough is left."""
    w, h = (part[..., 2] - part[..., 0]), (part[..., 3] - part[..., 1])
    area = ((whole[..., 2] - whole[..., 0]) * (whole[..., 3] - whole[..., 1])).clamp(min=1)
    return (w > 3) & (h > 3) & (w * h > 0.3 * area)


def photometric(x: Tensor, strength: float) -> Tensor:
    """What printing, scanning and compression do. Each effect touches only its share of the batch, in place."""
    device, (n, _, H, W) = x.device, x.shape

    def share(p: float) -> Tensor:
        """Numbers of the images an effect falls on; the count is settled without waiting for the device."""
        count = min(n, int(p * strength * n + torch.rand(1).item()))
        return torch.randperm(n, device=device)[:count]

    def apply(p: float, effect: Callable[[Tensor, Callable[..., Tensor]], Tensor]) -> None:
        which = share(p)
        if len(which):

            def rand(low: float, high: float, c: int = 1) -> Tensor:
                return (torch.rand(len(which), c, 1, 1, device=device) * (high - low) + low).to(x.dtype)

            x[which] = effect(x[which], rand).clamp(0, 1)

    def paper(y: Tensor, rand: Callable[..., Tensor]) -> Tensor:
        tint = 1 - rand(0, 0.22, 3) * rand(0, 1)
        cloud = F.interpolate(
            torch.rand(len(y), 1, 6, 5, device=device), (H, W), mode="bilinear", align_corners=False
        ).to(y.dtype)
        across = torch.linspace(-1, 1, W, device=device, dtype=y.dtype).view(1, 1, 1, W) * rand(-0.18, 0.18)
        down = torch.linspace(-1, 1, H, device=device, dtype=y.dtype).view(1, 1, H, 1) * rand(-0.12, 0.12)
        return y * tint * ((1 - cloud * rand(0, 0.15)) * (1 - (across + down).abs() - rand(0, 0.1)))

    def blur(y: Tensor, rand: Callable[..., Tensor]) -> Tensor:
        k = torch.arange(-2, 3, device=device).view(1, 5)
        kernel = torch.exp(-(k**2) / (2 * rand(0.4, 1.3).float().view(-1, 1) ** 2))
        kernel = (kernel / kernel.sum(1, keepdim=True)).to(y.dtype).view(-1, 5, 1, 1, 1)
        padded = F.pad(y, (2, 2, 0, 0), mode="replicate")
        y = sum(padded[..., i : i + W] * kernel[:, i] for i in range(5))  # type: ignore[assignment]
        padded = F.pad(y, (0, 0, 2, 2), mode="replicate")
        return sum(padded[..., i : i + H, :] * kernel[:, i] for i in range(5))  # type: ignore[return-value]

    apply(0.04, lambda y, rand: 1 - y)
    apply(0.08, lambda y, rand: _erode(y))
    apply(0.3, lambda y, rand: y.mean(1, keepdim=True).expand_as(y))
    apply(0.35, paper)
    apply(0.25, blur)
    apply(0.4, lambda y, rand: (y - 0.5) * rand(0.6, 1.3) + 0.5 + rand(-0.12, 0.12))
    apply(0.2, lambda y, rand: (y + 1e-3) ** rand(0.6, 1.8))
    apply(0.2, lambda y, rand: y * (1 - rand(0, 0.15, 3)))
    apply(0.25, lambda y, rand: y + torch.randn_like(y[:, :1]) * rand(0.01, 0.09))
    apply(0.06, lambda y, rand: torch.where(torch.rand_like(y[:, :1]) < 0.0015, rand(0, 1), y))
    apply(0.03, lambda y, rand: (y.mean(1, keepdim=True) > rand(0.4, 0.7)).to(y.dtype).expand_as(y))
    apply(0.25, lambda y, rand: jpeg(y, rand(0.03, 0.25)))
    return x


def _erode(x: Tensor) -> Tensor:
    """Bolder ink: the darkest of 2 x 2 pixels."""
    return -F.max_pool2d(F.pad(-x, (1, 0, 1, 0), mode="replicate"), 2, 1)


def jpeg(x: Tensor, step: Tensor) -> Tensor:
    """Blocks of 8 x 8 with their DCT quantised, coarser for finer detail."""
    n, c, h, w = x.shape
    k = torch.arange(8, device=x.device).float()
    dct = torch.cos((2 * k[None] + 1) * k[:, None] * math.pi / 16) * 0.5
    dct[0] *= 0.5**0.5
    dct = dct.to(x.dtype)
    blocks = x.reshape(n, c, h // 8, 8, w // 8, 8).permute(0, 1, 2, 4, 3, 5)
    f = dct @ blocks @ dct.T
    table = (step.view(-1, 1, 1, 1, 1, 1) * (0.4 + (k[:, None] + k[None]) / 5)).to(f.dtype)
    f = torch.round(f / table) * table
    return (dct.T @ f @ dct).permute(0, 1, 2, 4, 3, 5).reshape(n, c, h, w)
