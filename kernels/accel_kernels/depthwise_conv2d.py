"""Depthwise "same" convolution of NHWC activations, from view to view.

out[b, h, w, c] = act( bias[c] + sum over i, j of x[b, s h + i - k//2, s w + j - k//2, c] weight[c, i, j] )
                  (+ residual[b, h, w, c])

Bound by memory: x once, out once. A program owns BM pixels of BC channels; neighbouring taps hit the L1 and L2 caches.
"""

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from ._tile import silu, tile_pixels
from .conv2d import evenly_spaced, pixel_stride
from .ops import LIBRARY, interpreting


@triton.jit(do_not_specialize=["B", "H", "W"])
def depthwise_kernel(
    x,  # (B, H, W, C), pixels SX apart
    w,  # (KS*KS, C) float32
    bias,  # (C,) float32
    residual,  # (B, HO, WO, C), pixels SR apart, or None
    y,  # (B, HO, WO, C), pixels SY apart
    B,
    H,
    W,
    C,
    SX,
    SR,
    SY,
    KS: tl.constexpr,
    STRIDE: tl.constexpr,
    SILU: tl.constexpr,
    BM: tl.constexpr,
    BC: tl.constexpr,
):
    HO = (H + STRIDE - 1) // STRIDE
    WO = (W + STRIDE - 1) // STRIDE
    columns = tl.cdiv(C, BC)
    pid = tl.program_id(0)
    rc = (pid % columns) * BC + tl.arange(0, BC)
    cok = rc < C
    first, offset, row, col, ok = tile_pixels(pid // columns, B, HO, WO, BM, 0)
    image = (first + offset) // (HO * WO)
    px = x + ((image * H + row * STRIDE) * W + col * STRIDE)[:, None] * SX + rc[None, :]
    pw = w + rc
    acc = tl.zeros((BM, BC), tl.float32) + tl.load(bias + rc, mask=cok, other=0.0)[None, :]
    if KS <= 3:
        for tap in tl.static_range(KS * KS):
            acc += _tap(tap, px, pw, row * STRIDE, col * STRIDE, ok, cok, H, W, C, SX, KS)
    else:  # unrolled, it needs more registers than AMD's GPUs have
        for tap in range(0, KS * KS):
            acc += _tap(tap, px, pw, row * STRIDE, col * STRIDE, ok, cok, H, W, C, SX, KS)
    if SILU:
        acc = silu(acc, False)
    mask = ok[:, None] & cok[None, :]
    if residual is not None:
        acc += tl.load(residual + first * SR + (offset[:, None] * SR + rc[None, :]), mask=mask, other=0.0).to(
            tl.float32
        )
    tl.store(y + first * SY + (offset[:, None] * SY + rc[None, :]), acc.to(y.dtype.element_ty), mask=mask)


@triton.jit
def _tap(tap, px, pw, row, col, ok, cok, H, W, C, SX, KS: tl.constexpr):
    """[BM, BC] float32: one tap's products; row and col are the window's centre."""
    dy = tap // KS - KS // 2
    dx = tap % KS - KS // 2
    inside = (ok & (row + dy >= 0) & (row + dy < H) & (col + dx >= 0) & (col + dx < W))[:, None] & cok[None, :]
    a = tl.load(px + (dy * W + dx) * SX, mask=inside, other=0.0).to(tl.float32)
    return a * tl.load(pw + tap * C, mask=cok, other=0.0)[None, :]


def depthwise_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    out: Tensor,
    *,
    stride: int = 1,
    activation: str | None = None,
    residual: Tensor | None = None,
    implementation: str = "auto",
) -> Tensor:
    """The convolution at the top of this file, into `out`, which is returned.

    x: (B, H, W, C); weight: (C, k, k) float32; bias: (C,) float32; out and residual: (B, ceil(H / stride),
    ceil(W / stride), C), x's dtype; maps as for `conv2d`. implementation: "auto", "triton" or "vendor".

    Raises ValueError naming the offending shape, stride or option. Differentiation is not supported.
    """
    b, h, w, c = x.shape
    if weight.ndim != 3 or weight.shape[0] != c or bias.shape != (c,) or stride < 1 or activation not in (None, "silu"):
        raise ValueError(
            f"no kernel for x {tuple(x.shape)}, weight {tuple(weight.shape)}, stride {stride}, {activation!r}"
        )
    shape = (b, -(-h // stride), -(-w // stride), c)
    for name, tensor in (("x", x), ("out", out), ("residual", residual)):
        if tensor is not None and ((name != "x" and tensor.shape != shape) or not evenly_spaced(tensor)):
            raise ValueError(f"{name} must be {shape}, evenly spaced, got {tuple(tensor.shape)} {tensor.stride()}")
    torch.ops.accel_kernels.depthwise_conv2d(
        x, weight, bias, residual, out, stride, activation == "silu", implementation
    )
    return out


def _depthwise(
    x: Tensor,
    weight: Tensor,
    bias: Tensor,
    residual: Tensor | None,
    out: Tensor,
    stride: int,
    silu: bool,
    implementation: str,
) -> None:
    if implementation not in ("auto", "triton", "vendor"):
        raise ValueError(
            f"depthwise_conv2d: implementation must be 'auto', 'triton' or 'vendor', got {implementation!r}"
        )
    c, k, _ = weight.shape
    if implementation == "vendor" or (implementation == "auto" and not x.is_cuda):
        w = weight[:, None].to(x.dtype)
        y = F.conv2d(x.permute(0, 3, 1, 2), w, bias.to(x.dtype), stride, k // 2, groups=c).permute(0, 2, 3, 1)
        y = F.silu(y) if silu else y
        out.copy_(y if residual is None else y + residual)
        return
    b, h, w_, _ = x.shape
    bm, bc = (32, 64) if not interpreting() else (64, 64)
    pixels = out.shape[0] * out.shape[1] * out.shape[2]
    if pixels < 32 * 132 * 4 or (k > 3 and not interpreting()):  # 32 x 64 with a loop of taps spills on sm_80
        bm = 16
    depthwise_kernel[(triton.cdiv(pixels, bm) * triton.cdiv(c, bc),)](
        x, _taps(weight), bias, residual, out, b, h, w_, c, pixel_stride(x),
        0 if residual is None else pixel_stride(residual), pixel_stride(out), KS=k, STRIDE=stride, SILU=silu, BM=bm,
        BC=bc, num_warps=4
    )  # fmt: skip


def _taps(weight: Tensor) -> Tensor:
    """(k*k, C): a view if the weight was packed by `pack_taps`, else a copy."""
    return weight.permute(1, 2, 0).reshape(-1, weight.shape[0])


def pack_taps(weight: Tensor, device: torch.device) -> Tensor:
    """(C, 1, k, k) of any dtype -> (C, k, k) float32 whose memory is (k, k, C)."""
    return weight.detach()[:, 0].permute(1, 2, 0).to(device, torch.float32).contiguous().permute(2, 0, 1)


LIBRARY.define(
    "depthwise_conv2d(Tensor x, Tensor weight, Tensor bias, Tensor? residual, Tensor(a!) out, int stride, bool silu,"
    " str implementation) -> ()",
    tags=(torch.Tag.needs_fixed_stride_order, torch.Tag.pt2_compliant_tag),
)
LIBRARY.impl("depthwise_conv2d", _depthwise, "CompositeExplicitAutograd")
torch.library.register_fake("accel_kernels::depthwise_conv2d", lambda *_: None, lib=LIBRARY)
