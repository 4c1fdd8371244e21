"""The first convolution of a network, straight from uint8 pixels: 3 channels, stride 2, 3x3.

out[b, h, w, n] = silu( bias[n] + 1/255 sum over i, j, c of image[b, 2 h + i - 1, 2 w + j - 1, c] weight[n, c, i, j] )

The 27 values of a window are one K step of 32; 0..255 is exact in float16, and 1/255 is applied in float32.
Bound by memory: writing out.
"""

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from ._tile import silu, tile_pixels
from .conv2d import evenly_spaced, pixel_stride
from .ops import LIBRARY, split_columns


@triton.jit(do_not_specialize=["B", "H", "W"])
def image_conv2d_kernel(
    x,  # (B, H, W, 3) uint8
    w,  # (N, 32): row, column, channel, five zeros
    bias,  # (N,) float32
    y,  # (B, H/2, W/2, N), pixels SY apart
    B,
    H,
    W,
    N,
    SY,
    BM: tl.constexpr,
    BN0: tl.constexpr,
    BN1: tl.constexpr,
    PRECISION: tl.constexpr,
):
    BN1P: tl.constexpr = BN1 if BN1 > 0 else 16
    HO = (H + 1) // 2
    WO = (W + 1) // 2
    first, offset, row, col, ok = tile_pixels(tl.program_id(0), B, HO, WO, BM, 0)
    image = (first + offset) // (HO * WO)
    rk = tl.arange(0, 32)
    dy = rk // 9 - 1
    dx = (rk % 9) // 3 - 1
    px = x + ((image * H + row * 2) * W + col * 2)[:, None] * 3 + ((dy * W + dx) * 3 + rk % 3)[None, :]
    iy = (row * 2)[:, None] + dy[None, :]
    ix = (col * 2)[:, None] + dx[None, :]
    inside = ok[:, None] & (iy >= 0) & (iy < H) & (ix >= 0) & (ix < W) & (rk < 27)[None, :]
    a = tl.load(px, mask=inside, other=0).to(w.dtype.element_ty)
    rn = tl.arange(0, BN0)
    _columns(a, rn, rk, w, bias, y, first, offset, ok, N, SY, PRECISION)
    if BN1 > 0:
        _columns(a, BN0 + tl.arange(0, BN1P), rk, w, bias, y, first, offset, ok, N, SY, PRECISION)


@triton.jit
def _columns(a, rn, rk, w, bias, y, first, offset, ok, N, SY, PRECISION: tl.constexpr):
    b = tl.load(w + rn[None, :] * 32 + rk[:, None], mask=(rn < N)[None, :], other=0.0)
    z = tl.dot(a, b, input_precision=PRECISION) * (1.0 / 255.0)
    z = silu(z + tl.load(bias + rn, mask=rn < N, other=0.0)[None, :], False)
    mask = ok[:, None] & (rn < N)[None, :]
    tl.store(y + first * SY + (offset[:, None] * SY + rn[None, :]), z.to(y.dtype.element_ty), mask=mask)


def pack_image_weight(weight: Tensor, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(N, 3, 3, 3) -> (N, 32)."""
    return F.pad(weight.detach().permute(0, 2, 3, 1).flatten(1), (0, 5)).to(device, dtype).contiguous()


def image_conv2d(images: Tensor, weight: Tensor, bias: Tensor, out: Tensor, *, implementation: str = "auto") -> Tensor:
    """The convolution at the top of this file, into `out`, which is returned.

    images: (B, H, W, 3) uint8, contiguous; weight: (N, 32) of `pack_image_weight`, N <= 256; bias: (N,) float32; out:
    (B, ceil(H/2), ceil(W/2), N), weight's dtype, evenly spaced pixels. implementation: "auto", "triton" or "vendor".

    Raises ValueError naming the offending shape or option. Differentiation is not supported.
    """
    b, h, w, c = images.shape
    n = weight.shape[0]
    shape = (b, -(-h // 2), -(-w // 2), n)
    if c != 3 or images.dtype != torch.uint8 or not images.is_contiguous():
        raise ValueError(f"images must be (B, H, W, 3) uint8, contiguous, got {tuple(images.shape)} {images.dtype}")
    if weight.shape != (n, 32) or n > 256 or bias.shape != (n,):
        raise ValueError(f"weight must be (N <= 256, 32) with N biases, got {tuple(weight.shape)}, {tuple(bias.shape)}")
    if out.shape != shape or not evenly_spaced(out):
        raise ValueError(f"out must be {shape}, evenly spaced, got {tuple(out.shape)} {out.stride()}")
    torch.ops.accel_kernels.image_conv2d(images, weight, bias, out, implementation)
    return out


def _image_conv2d(images: Tensor, weight: Tensor, bias: Tensor, out: Tensor, implementation: str) -> None:
    if implementation not in ("auto", "triton", "vendor"):
        raise ValueError(f"image_conv2d: implementation must be 'auto', 'triton' or 'vendor', got {implementation!r}")
    b, h, w, _ = images.shape
    n = weight.shape[0]
    if implementation == "vendor" or (implementation == "auto" and not images.is_cuda):
        x = images.permute(0, 3, 1, 2).to(weight.dtype) / 255
        k = weight[:, :27].view(n, 3, 3, 3).permute(0, 3, 1, 2)
        out.copy_(F.silu(F.conv2d(x, k, bias.to(x.dtype), 2, 1)).permute(0, 2, 3, 1))
        return
    bn0, bn1 = split_columns(n)
    image_conv2d_kernel[(triton.cdiv(b * out.shape[1] * out.shape[2], 128),)](
        images, weight, bias, out, b, h, w, n, pixel_stride(out), BM=128, BN0=bn0, BN1=bn1,
        PRECISION="ieee", num_warps=4
    )  # fmt: skip


LIBRARY.define(
    "image_conv2d(Tensor images, Tensor weight, Tensor bias, Tensor(a!) out, str implementation) -> ()",
    tags=(torch.Tag.needs_fixed_stride_order, torch.Tag.pt2_compliant_tag),
)
LIBRARY.impl("image_conv2d", _image_conv2d, "CompositeExplicitAutograd")
torch.library.register_fake("accel_kernels::image_conv2d", lambda *_: None, lib=LIBRARY)
