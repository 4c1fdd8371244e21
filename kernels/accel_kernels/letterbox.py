"""Pages of any sizes onto canvases of one: scaled by bilinear interpolation, the margins grey.

As OpenCV's INTER_LINEAR (half-pixel centres, edges repeated), within one level of it.
"""

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from .ops import LIBRARY, interpreting

FIELDS = 7
"""Numbers a page in `places`: first byte in `pixels`, height, width, inner height, inner width, top, left."""


@triton.jit(do_not_specialize=["H", "W"])
def letterbox_kernel(pixels, places, canvas, H, W, PAD: tl.constexpr, BLOCK: tl.constexpr):
    page = tl.program_id(1)
    p = places + page * 7
    start = tl.load(p)
    height = tl.load(p + 1).to(tl.int32)
    width = tl.load(p + 2).to(tl.int32)
    inner_h = tl.load(p + 3).to(tl.int32)
    inner_w = tl.load(p + 4).to(tl.int32)
    i = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)  # a byte of the canvas: (row, column, channel)
    c = i % 3
    x = (i // 3) % W - tl.load(p + 6).to(tl.int32)
    y = i // (3 * W) - tl.load(p + 5).to(tl.int32)
    ok = i < H * W * 3
    inside = ok & (x >= 0) & (x < inner_w) & (y >= 0) & (y < inner_h)
    source = pixels + start + c
    if (height == inner_h) & (width == inner_w):
        same = tl.load(source + (y * width + x) * 3, mask=inside, other=PAD)
        tl.store(canvas + page.to(tl.int64) * H * W * 3 + i, same, mask=ok)
    else:
        fx = (x.to(tl.float32) + 0.5) * (width.to(tl.float32) / inner_w.to(tl.float32)) - 0.5
        fy = (y.to(tl.float32) + 0.5) * (height.to(tl.float32) / inner_h.to(tl.float32)) - 0.5
        fx = tl.minimum(tl.maximum(fx, 0.0), (width - 1).to(tl.float32))
        fy = tl.minimum(tl.maximum(fy, 0.0), (height - 1).to(tl.float32))
        x0 = fx.to(tl.int32)
        y0 = fy.to(tl.int32)
        x1 = tl.minimum(x0 + 1, width - 1)
        y1 = tl.minimum(y0 + 1, height - 1)
        ax = fx - x0.to(tl.float32)
        ay = fy - y0.to(tl.float32)
        v00 = tl.load(source + (y0 * width + x0) * 3, mask=inside, other=PAD).to(tl.float32)
        v01 = tl.load(source + (y0 * width + x1) * 3, mask=inside, other=PAD).to(tl.float32)
        v10 = tl.load(source + (y1 * width + x0) * 3, mask=inside, other=PAD).to(tl.float32)
        v11 = tl.load(source + (y1 * width + x1) * 3, mask=inside, other=PAD).to(tl.float32)
        top = v00 + (v01 - v00) * ax
        bottom = v10 + (v11 - v10) * ax
        value = tl.where(inside, top + (bottom - top) * ay, PAD) + 0.5
        tl.store(canvas + page.to(tl.int64) * H * W * 3 + i, value.to(tl.int32).to(tl.uint8), mask=ok)


def letterbox(pixels: Tensor, places: Tensor, canvas: Tensor, pad: int = 114) -> Tensor:
    """Draw pages onto `canvas` (B, H, W, 3) uint8, every byte of it; returns it.

    pixels: uint8, flat: the pages one after the other, each (height, width, 3). places: (B, 7) int64, see FIELDS, where
    pixels, places and canvas are on one GPU (or all on the CPU, under Triton's interpreter). Sizes are not checked
    against `pixels`.

    Raises ValueError for other shapes or dtypes.
    """
    b = canvas.shape[0]
    if canvas.ndim != 4 or canvas.shape[3] != 3 or canvas.dtype != torch.uint8 or not canvas.is_contiguous():
        raise ValueError(f"canvas must be (B, H, W, 3) uint8, contiguous, got {tuple(canvas.shape)} {canvas.dtype}")
    if places.shape != (b, FIELDS) or places.dtype != torch.int64 or not places.is_contiguous():
        raise ValueError(f"places must be ({b}, {FIELDS}) int64, got {tuple(places.shape)} {places.dtype}")
    if pixels.dtype != torch.uint8 or pixels.ndim != 1:
        raise ValueError(f"pixels must be flat uint8, got {tuple(pixels.shape)} {pixels.dtype}")
    torch.ops.accel_kernels.letterbox(pixels, places, canvas, pad)
    return canvas


def _letterbox(pixels: Tensor, places: Tensor, canvas: Tensor, pad: int) -> None:
    b, h, w, _ = canvas.shape
    if not canvas.is_cuda and not interpreting():
        for place, page in zip(places.tolist(), canvas, strict=True):
            _draw(pixels, place, page, pad)
        return
    block = 1024
    letterbox_kernel[(triton.cdiv(h * w * 3, block), b)](pixels, places, canvas, h, w, PAD=pad, BLOCK=block)


def _draw(pixels: Tensor, place: list[int], canvas: Tensor, pad: int) -> None:
    """One page in plain PyTorch."""
    start, height, width, inner_h, inner_w, top, left = place
    page = pixels[start : start + height * width * 3].view(height, width, 3)
    if (height, width) != (inner_h, inner_w):
        scaled = F.interpolate(page.permute(2, 0, 1)[None].float(), (inner_h, inner_w), mode="bilinear")
        page = (scaled[0].permute(1, 2, 0) + 0.5).to(torch.uint8)
    canvas.fill_(pad)
    canvas[top : top + inner_h, left : left + inner_w] = page


LIBRARY.define(
    "letterbox(Tensor pixels, Tensor places, Tensor(a!) canvas, int pad) -> ()",
    tags=(torch.Tag.needs_fixed_stride_order, torch.Tag.pt2_compliant_tag),
)
LIBRARY.impl("letterbox", _letterbox, "CompositeExplicitAutograd")
torch.library.register_fake("accel_kernels::letterbox", lambda *_: None, lib=LIBRARY)
