"""Sliding maximum (stride 1, "same") of NHWC activations, from view to view."""

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from ._tile import tile_pixels
from .conv2d import evenly_spaced, pixel_stride
from .ops import LIBRARY


@triton.jit(do_not_specialize=["B", "H", "W"])
def max_pool2d_kernel(x, y, B, H, W, C, SX, SY, KS: tl.constexpr, BM: tl.constexpr, BC: tl.constexpr):
    columns = tl.cdiv(C, BC)
    pid = tl.program_id(0)
    rc = (pid % columns) * BC + tl.arange(0, BC)
    first, offset, row, col, ok = tile_pixels(pid // columns, B, H, W, BM, 0)
    px = x + first * SX + (offset[:, None] * SX + rc[None, :])
    best = tl.full((BM, BC), float("-inf"), x.dtype.element_ty)
    for tap in range(0, KS * KS):
        dy = tap // KS - KS // 2
        dx = tap % KS - KS // 2
        inside = ok & (row + dy >= 0) & (row + dy < H) & (col + dx >= 0) & (col + dx < W)
        a = tl.load(px + (dy * W + dx) * SX, mask=inside[:, None] & (rc < C)[None, :], other=float("-inf"))
        best = tl.maximum(best, a, propagate_nan=tl.PropagateNan.ALL)
    tl.store(y + first * SY + (offset[:, None] * SY + rc[None, :]), best, mask=ok[:, None] & (rc < C)[None, :])


def max_pool2d(x: Tensor, out: Tensor, kernel: int, *, implementation: str = "auto") -> Tensor:
    """Maximum over a kernel x kernel window, into `out`, which is returned.

    x and out: (B, H, W, C) of one dtype, evenly spaced pixels as for `conv2d`, not overlapping.
    implementation: "auto", "triton" or "vendor". Raises ValueError for other shapes or options.
    """
    if x.shape != out.shape or not evenly_spaced(x) or not evenly_spaced(out) or kernel % 2 == 0:
        raise ValueError(
            f"no kernel for {tuple(x.shape)} {x.stride()} -> {tuple(out.shape)} {out.stride()}, k {kernel}"
        )
    torch.ops.accel_kernels.max_pool2d(x, out, kernel, implementation)
    return out


def _max_pool2d(x: Tensor, out: Tensor, kernel: int, implementation: str) -> None:
    if implementation not in ("auto", "triton", "vendor"):
        raise ValueError(f"max_pool2d: implementation must be 'auto', 'triton' or 'vendor', got {implementation!r}")
    if implementation == "vendor" or (implementation == "auto" and not x.is_cuda):
        out.copy_(F.max_pool2d(x.permute(0, 3, 1, 2), kernel, 1, kernel // 2).permute(0, 2, 3, 1))
        return
    b, h, w, c = x.shape
    max_pool2d_kernel[(triton.cdiv(b * h * w, 32) * triton.cdiv(c, 64),)](
        x, out, b, h, w, c, pixel_stride(x), pixel_stride(out), KS=kernel, BM=32, BC=64, num_warps=4
    )


LIBRARY.define(
    "max_pool2d(Tensor x, Tensor(a!) out, int kernel, str implementation) -> ()",
    tags=(torch.Tag.needs_fixed_stride_order, torch.Tag.pt2_compliant_tag),
)
LIBRARY.impl("max_pool2d", _max_pool2d, "CompositeExplicitAutograd")
torch.library.register_fake("accel_kernels::max_pool2d", lambda *_: None, lib=LIBRARY)
