"""Dilated "same" convolution of NHWC activations as an implicit GEMM.

y[b, h, w, n] = act( bias[n] + sum over i, j, c of x[b, h + (i - k//2) d, w + (j - k//2) d, c] weight[n, c, i, j] )
                + residual[b, h, w, n]

Implementations: "triton" (the kernel below), "vendor" (cuDNN, MIOpen or the CPU's, on a channels_last view, with the
epilogue in separate kernels), "phase" (the d*d strided phases of x as a batch of undilated vendor convolutions, for
libraries whose dilated path is slow). "auto" takes what was measured fastest for the shape; see shape_cache.
"""

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from ._tile import accumulate, silu, tile_pixels
from .ops import register, run_triton, split_columns
from .packing import pack_conv
from .shape_cache import Config

DEFAULT: Config = {"BM": 64, "BK": 32, "TW": 0, "num_warps": 4, "num_stages": 2}
IMPLEMENTATIONS = ("triton", "vendor", "phase")


@triton.jit(do_not_specialize=["B", "H", "W", "dilation"])
def dilated_conv2d_kernel(
    x,  # (B, H, W, C), pixels SX apart
    w,  # (N, KS, KS, C)
    bias,  # (N,) or None
    residual,  # (B, H, W, N) or None
    y,  # (B, H, W, N)
    B,
    H,
    W,
    dilation,
    C: tl.constexpr,
    N: tl.constexpr,
    SX: tl.constexpr,
    KS: tl.constexpr,
    SILU: tl.constexpr,
    BM: tl.constexpr,
    BN0: tl.constexpr,
    BN1: tl.constexpr,
    BK: tl.constexpr,
    TW: tl.constexpr,
    PRECISION: tl.constexpr,
):
    columns: tl.constexpr = (N + BN0 + BN1 - 1) // (BN0 + BN1)
    pid = tl.program_id(0)
    n0 = (pid % columns) * (BN0 + BN1)
    first, offset, row, col, ok = tile_pixels(pid // columns, B, H, W, BM, TW)
    acc0, acc1 = accumulate(
        x, w, first, offset, row, col, ok, n0, H, W, dilation, C, N, SX, KS, BM, BN0, BN1, BK, PRECISION
    )  # fmt: skip
    pixel = first + offset
    _finish(acc0, n0 + tl.arange(0, BN0), pixel, ok, bias, residual, y, N, SILU)
    if BN1 > 0:
        _finish(acc1, n0 + BN0 + tl.arange(0, BN1), pixel, ok, bias, residual, y, N, SILU)


@triton.jit
def _finish(acc, rn, pixel, ok, bias, residual, y, N: tl.constexpr, SILU: tl.constexpr):
    """Bias, activation, residual and store of columns rn."""
    if bias is not None:
        acc += tl.load(bias + rn, mask=rn < N, other=0.0).to(tl.float32)[None, :]
    if SILU:
        acc = silu(acc, False)
    at = pixel[:, None] * N + rn[None, :]
    mask = ok[:, None] & (rn < N)[None, :]
    if residual is not None:
        acc += tl.load(residual + at, mask=mask, other=0.0).to(tl.float32)
    tl.store(y + at, acc.to(y.dtype.element_ty), mask=mask)


def dilated_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    dilation: int = 1,
    activation: str | None = None,
    residual: Tensor | None = None,
    implementation: str = "auto",
    allow_tf32: bool = False,
) -> Tensor:
    """activation(conv(x, weight) + bias) + residual, stride 1, "same" zero padding.

    x: (B, H, W, C) float16, bfloat16 or float32; contiguous is fastest, pixels at any constant distance are read in
    place, anything else is copied. A channels_last (B, C, H, W) tensor permuted to (B, H, W, C) is contiguous.
    weight: (N, C, k, k), k odd, x's dtype; packed once and cached unless it is in channels_last memory already.
    bias: (N,). residual: (B, H, W, N), x's dtype. activation: None or "silu". dilation >= 1.
    implementation: "auto", "triton", "vendor" or "phase"; an explicit one is used or raises.
    allow_tf32: float32 products on tensor cores with 10-bit mantissas; the vendor's kernels follow
    torch.backends.cudnn.allow_tf32 instead.
    Result: (B, H, W, N), contiguous, x's dtype.

    Raises ValueError naming the offending shape, dtype or option. Differentiation is not supported.
    """
    if x.ndim != 4:
        raise ValueError(f"x must be (B, H, W, C), got shape {tuple(x.shape)}")
    if weight.ndim != 4 or weight.shape[1] != x.shape[3]:
        raise ValueError(f"weight must be (N, {x.shape[3]}, k, k) for x {tuple(x.shape)}, got {tuple(weight.shape)}")
    if weight.shape[2] != weight.shape[3] or weight.shape[2] % 2 == 0:
        raise ValueError(f"weight must have an odd square kernel, got {tuple(weight.shape)}")
    if x.dtype not in (torch.float16, torch.bfloat16, torch.float32):
        raise ValueError(f"x must be float16, bfloat16 or float32, got {x.dtype}")
    if weight.dtype != x.dtype:
        raise ValueError(f"weight must have x's dtype {x.dtype}, got {weight.dtype}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias must be ({weight.shape[0]},), got {tuple(bias.shape)}")
    shape = (*x.shape[:3], weight.shape[0])
    if residual is not None and (residual.shape != shape or residual.dtype != x.dtype):
        raise ValueError(f"residual must be {shape} {x.dtype}, got {tuple(residual.shape)} {residual.dtype}")
    if activation not in (None, "silu"):
        raise ValueError(f"activation must be None or 'silu', got {activation!r}")
    if dilation < 1:
        raise ValueError(f"dilation must be at least 1, got {dilation}")
    return torch.ops.accel_kernels.dilated_conv2d(
        x, weight, bias, residual, dilation, activation == "silu", implementation, allow_tf32
    )


def shape_key(x: Tensor, n: int, k: int, dilation: int, epilogue: bool) -> tuple[str, str, int]:
    """(family, exact, size) of shape_cache; the vendor needs extra kernels for an epilogue, so that it counts."""
    b, h, w, c = x.shape
    return f"C{c}-N{n}-k{k}" + ("-epilogue" if epilogue else ""), f"{b}x{h}x{w}-d{dilation}", b * h * w


def _dilated_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    dilation: int,
    silu: bool,
    implementation: str,
    allow_tf32: bool,
) -> Tensor:
    if x.numel() == 0:
        return x.new_empty(*x.shape[:3], weight.shape[0])
    runners = {
        "triton": lambda c: launch(x, weight, bias, residual, dilation, silu, allow_tf32, c),
        "vendor": lambda _: _epilogue(_vendor(x, weight, dilation), bias, residual, silu),
        "phase": lambda _: _epilogue(_phase(x, weight, dilation), bias, residual, silu),
    }
    epilogue = silu or bias is not None or residual is not None
    key = shape_key(x, weight.shape[0], weight.shape[2], dilation, epilogue)
    return run_triton("dilated_conv2d", x, *key, implementation, DEFAULT, runners)


def _fake(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    dilation: int,
    silu: bool,
    implementation: str,
    allow_tf32: bool,
) -> Tensor:
    return x.new_empty(*x.shape[:3], weight.shape[0])


register(
    "dilated_conv2d(Tensor x, Tensor weight, Tensor? bias, Tensor? residual, int dilation, bool silu,"
    " str implementation, bool allow_tf32) -> Tensor",
    _dilated_conv2d,
    _fake,
)


def launch(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    residual: Tensor | None,
    dilation: int,
    silu: bool,
    allow_tf32: bool,
    config: Config,
) -> Tensor:
    """Run the kernel with the tile sizes in `config`."""
    x = pixel_strided(x)
    b, h, w, c = x.shape
    n, k = weight.shape[0], weight.shape[2]
    y = torch.empty(b, h, w, n, dtype=x.dtype, device=x.device)
    residual = None if residual is None else residual.contiguous()
    packed = pack_conv(weight)
    bn0, bn1 = (config["BN0"], config["BN1"]) if "BN0" in config else split_columns(n, 128)
    grid = (tiles(b, h, w, config["BM"], config["TW"]) * triton.cdiv(n, bn0 + bn1),)
    dilated_conv2d_kernel[grid](
        x, packed, bias, residual, y, b, h, w, dilation, C=c, N=n, SX=x.stride(2), KS=k, SILU=silu, BN0=bn0, BN1=bn1,
        PRECISION=precision(x.dtype, allow_tf32), **tile_options(config)
    )  # fmt: skip
    return y


def tiles(b: int, h: int, w: int, bm: int, tw: int) -> int:
    """How many tiles of bm pixels cover (b, h, w): flat runs if tw is 0, else bm/tw x tw rectangles."""
    return triton.cdiv(b * h * w, bm) if tw == 0 else b * triton.cdiv(h, bm // tw) * triton.cdiv(w, tw)


def pixel_strided(x: Tensor) -> Tensor:
    """x itself if it is (B, H, W, C) with unit channel stride and evenly spaced pixels, else a contiguous copy."""
    _, h, w, _ = x.shape
    s = x.stride(2)
    return x if x.stride() == (h * w * s, w * s, s, 1) and s >= x.shape[3] else x.contiguous()


def precision(dtype: torch.dtype, allow_tf32: bool) -> str:
    """tl.dot's input_precision."""
    return "tf32" if allow_tf32 and dtype == torch.float32 else "ieee"


def tile_options(config: Config) -> dict[str, int]:
    """The tile sizes and launch options that every kernel here takes from its configuration."""
    options = {key: config[key] for key in ("BM", "BK", "TW", "num_warps", "num_stages")}
    if "maxnreg" in config and not torch.version.hip:
        options["maxnreg"] = config["maxnreg"]
    return options


def _vendor(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """cuDNN's or MIOpen's convolution; x (B, H, W, C) is a channels_last view to them."""
    weight = pack_conv(weight).permute(0, 3, 1, 2)
    padding = dilation * (weight.shape[2] // 2)
    return F.conv2d(x.permute(0, 3, 1, 2), weight, padding=padding, dilation=dilation).permute(0, 2, 3, 1)


def _phase(x: Tensor, weight: Tensor, dilation: int) -> Tensor:
    """A dilation-d convolution is an undilated one on each of the d*d strided phases of x."""
    b, h, w, c = x.shape
    d = dilation
    hp, wp = -(-h // d), -(-w // d)
    x = F.pad(x, (0, 0, 0, wp * d - w, 0, hp * d - h))
    x = x.view(b, hp, d, wp, d, c).permute(0, 2, 4, 1, 3, 5).reshape(b * d * d, hp, wp, c)
    y = _vendor(x, weight, 1).reshape(b, d, d, hp, wp, -1).permute(0, 3, 1, 4, 2, 5)
    return y.reshape(b, hp * d, wp * d, -1)[:, :h, :w]


def _epilogue(y: Tensor, bias: Tensor | None, residual: Tensor | None, silu: bool) -> Tensor:
    if bias is not None:
        y = y + bias.to(y.dtype)
    if silu:
        y = F.silu(y)
    if residual is not None:
        y = y + residual
    return y.contiguous()
