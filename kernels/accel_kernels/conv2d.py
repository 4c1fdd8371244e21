"""Dense "same" convolution of NHWC activations with bias, activation and additions in one kernel, from view to view.

z = bias[n] + sum over i, j, c of x[b, s h + i - k//2, s w + j - k//2, c] weight[n, c, i, j]  (+ low[b, h//2, w//2, n])
out[b, h, w, n] = act(z) (+ residual[b, h, w, n])

x, residual, low and out may be channel slices of wider maps, so that no concatenation or split is ever copied. `low`
is a map of half the size, added before the activation: a 1x1 convolution over concat(upsample(a), b) is
act(bias + Wb b + upsample(Wa a)), with Wa a computed at a quarter of the pixels.

Channel counts are run-time values here: all layers of one kernel size and tile share one compiled kernel.

Implementations: "triton" (one implicit-GEMM kernel), "hybrid" (cuDNN's or MIOpen's convolution, then one kernel for the
rest), "vendor" (PyTorch). "auto" takes what was measured fastest for the shape; see shape_cache.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from ._tile import is_inside, silu, taps_inside, tile_pixels
from .dilated_conv2d import precision, tile_options, tiles
from .ops import LIBRARY, run_triton, split_columns
from .shape_cache import Config

IMPLEMENTATIONS = ("triton", "hybrid", "vendor")


@triton.jit(do_not_specialize=["B", "H", "W"])
def conv2d_kernel(
    x,  # (B, H, W, C), pixels SX apart
    w,  # (N, KS*KS, C)
    bias,  # (N,) float32 or None
    residual,  # (B, HO, WO, N), pixels SR apart, or None
    low,  # (B, HO/2, WO/2, N), pixels SL apart, or None
    y,  # (B, HO, WO, N), pixels SY apart
    B,
    H,
    W,
    C,
    N,
    SX,
    SR,
    SL,
    SY,
    KS: tl.constexpr,
    STRIDE: tl.constexpr,
    SILU: tl.constexpr,
    EVEN_C: tl.constexpr,  # C is a multiple of BK
    EVEN_N: tl.constexpr,  # N is a multiple of BN0 + BN1
    BM: tl.constexpr,
    BN0: tl.constexpr,
    BN1: tl.constexpr,
    BK: tl.constexpr,
    TW: tl.constexpr,
    PRECISION: tl.constexpr,
):
    BN1P: tl.constexpr = BN1 if BN1 > 0 else 16
    BK1: tl.constexpr = BK // 3 if BK % 3 == 0 else 0  # tiles are powers of two: 48 channels are 32 and 16
    BK0: tl.constexpr = BK - BK1
    BK1P: tl.constexpr = BK1 if BK1 > 0 else 16
    HO = (H + STRIDE - 1) // STRIDE
    WO = (W + STRIDE - 1) // STRIDE
    columns = tl.cdiv(N, BN0 + BN1)
    pid = tl.program_id(0)
    n0 = (pid % columns) * (BN0 + BN1)
    first, offset, row, col, ok = tile_pixels(pid // columns, B, HO, WO, BM, TW)
    rk0 = tl.arange(0, BK0)
    rk1 = BK0 + tl.arange(0, BK1P)
    rn0 = n0 + tl.arange(0, BN0)
    rn1 = n0 + BN0 + tl.arange(0, BN1P)
    if STRIDE == 1:
        px = x + first * SX
        pixel = offset * SX
    else:
        px = x
        pixel = (((first + offset) // (HO * WO) * H + row * STRIDE) * W + col * STRIDE) * SX
    px0 = px + (pixel[:, None] + rk0[None, :])  # [BM, BK0]
    px1 = px + (pixel[:, None] + rk1[None, :])
    K = KS * KS * C
    pw00 = w + (rn0[None, :] * K + rk0[:, None])  # [BK0, BN0]
    pw01 = w + (rn0[None, :] * K + rk1[:, None])
    pw10 = w + (rn1[None, :] * K + rk0[:, None])
    pw11 = w + (rn1[None, :] * K + rk1[:, None])
    acc0 = tl.zeros((BM, BN0), tl.float32)
    acc1 = tl.zeros((BM, BN1P), tl.float32)
    taps = taps_inside(row * STRIDE, col * STRIDE, ok, H, W, 1, KS)
    tap = 0
    c0 = 0
    for _ in range(0, KS * KS * tl.cdiv(C, BK)):
        i = tap // KS
        j = tap % KS
        inside = ok
        if KS > 1:
            inside = is_inside(taps, i, j)
        dy = i - KS // 2
        dx = j - KS // 2
        at = (dy * W + dx) * SX + c0
        from_k = tap * C + c0
        a0 = _channels(px0 + at, inside, rk0, C - c0, EVEN_C)
        acc0 = tl.dot(a0, _weights(pw00 + from_k, rn0, rk0, C - c0, N, EVEN_C, EVEN_N), acc0,
                      input_precision=PRECISION)  # fmt: skip
        if BN1 > 0:
            acc1 = tl.dot(a0, _weights(pw10 + from_k, rn1, rk0, C - c0, N, EVEN_C, EVEN_N), acc1,
                          input_precision=PRECISION)  # fmt: skip
        if BK1 > 0:
            a1 = _channels(px1 + at, inside, rk1, C - c0, EVEN_C)
            acc0 = tl.dot(a1, _weights(pw01 + from_k, rn0, rk1, C - c0, N, EVEN_C, EVEN_N), acc0,
                          input_precision=PRECISION)  # fmt: skip
            if BN1 > 0:
                acc1 = tl.dot(a1, _weights(pw11 + from_k, rn1, rk1, C - c0, N, EVEN_C, EVEN_N), acc1,
                              input_precision=PRECISION)  # fmt: skip
        c0 += BK
        if KS > 1:  # counted, not divided: a division by C's chunks at every step is a tenth of the loop
            tap = tl.where(c0 < C, tap, tap + 1)
            c0 = tl.where(c0 < C, c0, 0)
    _finish(acc0, rn0, first, offset, row, col, ok, bias, residual, low, y, HO, WO, N, SR, SL, SY, SILU, EVEN_N)
    if BN1 > 0:
        _finish(acc1, rn1, first, offset, row, col, ok, bias, residual, low, y, HO, WO, N, SR, SL, SY, SILU, EVEN_N)


@triton.jit
def _channels(px, inside, rk, left, EVEN_C: tl.constexpr):
    """[BM, BK]: channels rk of the tile's pixels at a tap, `left` of the tap's channels from here on."""
    if EVEN_C:
        return tl.load(px, mask=inside[:, None], other=0.0)
    else:
        return tl.load(px, mask=inside[:, None] & (rk < left)[None, :], other=0.0)


@triton.jit
def _weights(pw, rn, rk, left, N, EVEN_C: tl.constexpr, EVEN_N: tl.constexpr):
    """[BK, BN]: weights of columns rn, `left` input channels of the tap from here on."""
    if EVEN_C and EVEN_N:
        return tl.load(pw)
    elif EVEN_C:
        return tl.load(pw, mask=(rn < N)[None, :], other=0.0)
    else:
        return tl.load(pw, mask=(rn < N)[None, :] & (rk < left)[:, None], other=0.0)


@triton.jit
def _finish(
    acc, rn, first, offset, row, col, ok, bias, residual, low, y, HO, WO, N, SR, SL, SY, SILU: tl.constexpr,
    EVEN_N: tl.constexpr
):  # fmt: skip
    """Bias, the half-size map, activation, residual and store of columns rn."""
    mask = ok[:, None]
    if not EVEN_N:
        mask = mask & (rn < N)[None, :]
    if bias is not None:
        acc += tl.load(bias + rn, mask=rn < N, other=0.0)[None, :]
    if low is not None:
        image = (first + offset) // (HO * WO)
        half = (image * (HO // 2) + row // 2) * (WO // 2) + col // 2
        acc += tl.load(low + half[:, None] * SL + rn[None, :], mask=mask, other=0.0).to(tl.float32)
    if SILU:
        acc = silu(acc, False)
    if residual is not None:
        acc += tl.load(residual + first * SR + (offset[:, None] * SR + rn[None, :]), mask=mask, other=0.0).to(
            tl.float32
        )
    tl.store(y + first * SY + (offset[:, None] * SY + rn[None, :]), acc.to(y.dtype.element_ty), mask=mask)


@triton.jit(do_not_specialize=["B", "H", "W"])
def epilogue_kernel(
    z,  # (B, H, W, N) contiguous
    bias,  # (N,) float32 or None
    residual,
    low,
    y,
    B,
    H,
    W,
    N,
    SR,
    SL,
    SY,
    SILU: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
):
    columns = tl.cdiv(N, BN)
    pid = tl.program_id(0)
    rn = (pid % columns) * BN + tl.arange(0, BN)
    first, offset, row, col, ok = tile_pixels(pid // columns, B, H, W, BM, 0)
    mask = ok[:, None] & (rn < N)[None, :]
    acc = tl.load(z + first * N + (offset[:, None] * N + rn[None, :]), mask=mask, other=0.0).to(tl.float32)
    _finish(acc, rn, first, offset, row, col, ok, bias, residual, low, y, H, W, N, SR, SL, SY, SILU, False)


@dataclass(frozen=True)
class ConvWeights:
    """A convolution's weights as the kernels read them."""

    weight: Tensor  # (N, k, k, C) contiguous
    bias: Tensor | None  # (N,) float32

    @classmethod
    def pack(cls, weight: Tensor, bias: Tensor | None, dtype: torch.dtype, device: torch.device) -> "ConvWeights":
        """From (N, C, k, k) and (N,) of any dtype."""
        return cls(
            weight.detach().permute(0, 2, 3, 1).contiguous().to(device, dtype),
            None if bias is None else bias.detach().to(device, torch.float32).contiguous(),
        )


def conv2d(
    x: Tensor,
    weights: ConvWeights,
    out: Tensor,
    *,
    stride: int = 1,
    activation: str | None = None,
    residual: Tensor | None = None,
    low: Tensor | None = None,
    implementation: str = "auto",
) -> Tensor:
    """The convolution at the top of this file, into `out`, which is returned.

    x: (B, H, W, C); out and residual: (B, ceil(H / stride), ceil(W / stride), N); low: half of that in height and
    width. Each with channels one apart and pixels evenly spaced: contiguous, or a slice of channels of such a map.
    x, residual and low have the weights' dtype, out that or float32. out may not overlap x or low; it may be residual.
    activation: None or "silu". implementation: "auto", "own" ("auto", but our kernel wherever it runs: nothing is
    planned for a new shape), "triton", "hybrid" or "vendor"; an explicit one is used or raises.

    Raises ValueError naming the offending shape, stride or option. Differentiation is not supported.
    """
    n, k, _, c = weights.weight.shape
    if x.ndim != 4 or x.shape[3] != c:
        raise ValueError(f"x must be (B, H, W, {c}), got {tuple(x.shape)}")
    if k % 2 == 0 or stride < 1 or activation not in (None, "silu"):
        raise ValueError(f"no kernel for k {k}, stride {stride}, activation {activation!r}")
    b, h, w, _ = x.shape
    shape = (b, -(-h // stride), -(-w // stride), n)
    half = (b, shape[1] // 2, shape[2] // 2, n)
    for name, tensor, wanted in (("out", out, shape), ("residual", residual, shape), ("low", low, half)):
        if tensor is not None and tensor.shape != wanted:
            raise ValueError(f"{name} must be {wanted}, got {tuple(tensor.shape)}")
    if low is not None and (shape[1] % 2 or shape[2] % 2):
        raise ValueError(f"low needs an even height and width, got {shape}")
    for name, tensor in (("x", x), ("out", out), ("residual", residual), ("low", low)):
        if tensor is not None and not evenly_spaced(tensor):
            raise ValueError(f"{name} must have evenly spaced pixels, got strides {tensor.stride()}")
    torch.ops.accel_kernels.conv2d(
        x, weights.weight, weights.bias, residual, low, out, stride, activation == "silu", implementation
    )
    return out


def evenly_spaced(x: Tensor) -> bool:
    """Whether x is (B, H, W, C) with channels one apart and pixels evenly spaced."""
    _, h, w, c = x.shape
    s = x.stride(2) if w > 1 else x.stride(1) if h > 1 else x.stride(0)
    wanted = (h * w * s, w * s, s, 1)
    return s >= c and all(have == want or n == 1 for have, want, n in zip(x.stride(), wanted, x.shape, strict=True))


def pixel_stride(x: Tensor) -> int:
    """Elements from pixel to pixel of an evenly spaced x."""
    _, h, w, _ = x.shape
    return x.stride(2) if w > 1 else x.stride(1) if h > 1 else x.stride(0)


def shape_key(x: Tensor, n: int, k: int, stride: int) -> tuple[str, str, int]:
    """(family, exact, size) of shape_cache."""
    b, h, w, c = x.shape
    return f"C{c}-N{n}-k{k}-s{stride}", f"{b}x{h}x{w}", b * h * w // stride**2


def default_config(c: int, n: int, k: int, pixels: int) -> Config:
    """Tile sizes for a shape nobody measured: large tiles where there are enough of them, whole chunks of channels."""
    bk = next((bk for bk in (64, 32, 16) if c % bk == 0), 32) if c % 48 or c > 48 else 64
    bn0, bn1 = split_columns(n, 128)
    if n > 192 and n % 192 == 0:
        bn0, bn1 = 128, 64
    bm = 128 if pixels >= 128 * 256 else 64
    return {
        "BM": bm, "BN0": bn0, "BN1": bn1, "BK": bk, "TW": 0, "num_warps": 8 if bm * (bn0 + bn1) > 128 * 128 else 4,
        "num_stages": 4 if bk < 64 else 3,
    }  # fmt: skip


def _conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    low: Tensor | None,
    out: Tensor,
    stride: int,
    silu: bool,
    implementation: str,
) -> None:
    if x.numel() == 0:
        return
    n, k, _, c = weight.shape
    if implementation in ("auto", "own") and not x.is_cuda:
        implementation = "vendor"
    runners = {
        "triton": lambda config: launch(x, weight, bias, residual, low, out, stride, silu, config),
        "hybrid": lambda _: _hybrid(x, weight, bias, residual, low, out, stride, silu),
        "vendor": lambda _: _vendor(x, weight, bias, residual, low, out, stride, silu),
    }
    key = shape_key(x, n, k, stride)
    run_triton("conv2d", x, *key, implementation, default_config(c, n, k, key[2]), runners)


LIBRARY.define(
    "conv2d(Tensor x, Tensor weight, Tensor? bias, Tensor? residual, Tensor? low, Tensor(a!) out, int stride,"
    " bool silu, str implementation) -> ()",
    tags=(torch.Tag.needs_fixed_stride_order, torch.Tag.pt2_compliant_tag),
)
LIBRARY.impl("conv2d", _conv2d, "CompositeExplicitAutograd")
torch.library.register_fake("accel_kernels::conv2d", lambda *_: None, lib=LIBRARY)


def launch(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    low: Tensor | None,
    out: Tensor,
    stride: int,
    silu: bool,
    config: Config,
) -> Tensor:
    """Run the kernel with the tile sizes in `config`."""
    b, h, w, c = x.shape
    n, k = weight.shape[:2]
    ho, wo = out.shape[1:3]
    bn0, bn1 = (config["BN0"], config["BN1"]) if "BN0" in config else split_columns(n, 128)
    grid = (tiles(b, ho, wo, config["BM"], config["TW"]) * triton.cdiv(n, bn0 + bn1),)
    conv2d_kernel[grid](
        x, weight, bias, residual, low, out, b, h, w, c, n, pixel_stride(x),
        0 if residual is None else pixel_stride(residual), 0 if low is None else pixel_stride(low), pixel_stride(out),
        KS=k, STRIDE=stride, SILU=silu, EVEN_C=c % config["BK"] == 0, EVEN_N=n % (bn0 + bn1) == 0, BN0=bn0, BN1=bn1,
        PRECISION=precision(x.dtype, False), **tile_options(config)
    )  # fmt: skip
    return out


def _convolve(x: Tensor, weight: Tensor, stride: int) -> Tensor:
    """cuDNN's, MIOpen's or the CPU's convolution, without bias: (B, HO, WO, N)."""
    y = F.conv2d(x.permute(0, 3, 1, 2), weight.permute(0, 3, 1, 2), None, stride, weight.shape[1] // 2)
    return y.permute(0, 2, 3, 1)


def _hybrid(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    low: Tensor | None,
    out: Tensor,
    stride: int,
    silu: bool,
) -> Tensor:
    z = _convolve(x, weight, stride).contiguous()
    b, h, w, n = z.shape
    bn = 64 if n >= 64 else max(16, triton.next_power_of_2(n))
    grid = (triton.cdiv(b * h * w, 32) * triton.cdiv(n, bn),)
    epilogue_kernel[grid](
        z, bias, residual, low, out, b, h, w, n, 0 if residual is None else pixel_stride(residual),
        0 if low is None else pixel_stride(low), pixel_stride(out), SILU=silu, BM=32, BN=bn, num_warps=4
    )  # fmt: skip
    return out


def _vendor(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    low: Tensor | None,
    out: Tensor,
    stride: int,
    silu: bool,
) -> Tensor:
    z = _convolve(x, weight, stride)
    if bias is not None:
        z = z + bias.to(z.dtype)
    if low is not None:
        z = z + low.repeat_interleave(2, 1).repeat_interleave(2, 2)
    if silu:
        z = F.silu(z)
    if residual is not None:
        z = z + residual
    return out.copy_(z)
