"""The patch embedding of Qwen2-VL's vision tower: a Conv3d whose kernel equals its stride, which is a matrix product.

`patch_embed`'s own GEMM ("triton") is for AMD GPUs. On NVIDIA it reaches 0.75 to 0.8 of cuBLAS's rate, so that the
shipped configurations choose "vendor", a plain `F.linear`. `patch_embed_uint8` is for both: it is more than a product.

`patch_embed`:        y[l, n] = sum over k of x[l, k] weight[n, k] + bias[n],  k = (channel, frame, row, column)

`patch_embed_uint8`:  the same from pixels u (uint8, one frame): rescale, normalize, repeat the frame, product, bias.
For a still image both frames are equal, so over k = (channel c, row, column)
    y[l, n] = sum over k of W'[n, k] (u[l, k] - z) + b'[n],
    W'[n, k] = sum over frames t of weight[n, c, t, i, j] / (255 std_c)
    b'[n]    = bias[n] + sum over k of W'[n, k] (z - 255 mean_c),   z = round(255 mean of mean_c).
Half the products, an eighth of the bytes. u - z is a whole number of at most 255, exact in float16, and W' is kept in
float16 with one power-of-two scale per row, so that the result is nearer to the exact one than the bfloat16 float path.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from .dilated_conv2d import precision
from .ops import register, run_triton, tma_descriptors
from .packing import PACKED
from .shape_cache import Config

DEFAULT: Config = {"BM": 64, "BN": 64, "BK": 32, "GROUP": 8, "TMA": 0, "num_warps": 4, "num_stages": 2}
IMPLEMENTATIONS = ("triton", "vendor")


@triton.jit(do_not_specialize=["M"])
def patch_gemm_kernel(
    x,  # (M, K) rows SX apart; uint8 if UINT8
    w,  # (N, K) rows SW apart
    bias,  # (N,) or None
    scale,  # (N,) float32 or None
    y,  # (M, N)
    xd,  # tensor descriptors with blocks (BM, BK), (BN, BK); None without TMA
    wd,
    M,
    N: tl.constexpr,
    K: tl.constexpr,
    KX: tl.constexpr,  # columns of x that may be read; those beyond K are multiplied by zeros of w
    SX: tl.constexpr,
    SW: tl.constexpr,
    UINT8: tl.constexpr,
    ZERO: tl.constexpr,
    BM: tl.constexpr,
    BN: tl.constexpr,
    BK: tl.constexpr,
    GROUP: tl.constexpr,
    TMA: tl.constexpr,
    PRECISION: tl.constexpr,
):
    pid = tl.program_id(0)
    nm = tl.cdiv(M, BM)
    nn: tl.constexpr = (N + BN - 1) // BN
    first = (pid // (GROUP * nn)) * GROUP
    rows = tl.minimum(nm - first, GROUP)
    m0 = (first + (pid % (GROUP * nn)) % rows) * BM
    n0 = ((pid % (GROUP * nn)) // rows) * BN
    rm = m0 + tl.arange(0, BM)
    rn = n0 + tl.arange(0, BN)
    rk = tl.arange(0, BK)
    px = x + rm.to(tl.int64)[:, None] * SX + rk[None, :]
    pw = w + rn[None, :] * SW + rk[:, None]
    acc = tl.zeros((BM, BN), tl.float32)
    for k in range(0, K, BK):
        if TMA:
            a = xd.load([m0, k])
            b = wd.load([n0, k]).T
        else:
            a = tl.load(px + k, mask=(rm < M)[:, None] & (rk < KX - k)[None, :], other=0)
            if UINT8 and (SW % BK == 0):
                b = tl.load(pw + k, mask=(rn < N)[None, :], other=0.0)
            else:
                b = tl.load(pw + k, mask=(rn < N)[None, :] & (rk < K - k)[:, None], other=0.0)
        if UINT8:
            # 0x6400 | u is float16's 1024 + u; subtracting is exact, and cheaper than converting integers
            a = (a.to(tl.int16) | 0x6400).to(tl.float16, bitcast=True) - (1024.0 + ZERO)
        acc = tl.dot(a, b, acc, input_precision=PRECISION)
    if scale is not None:
        acc *= tl.load(scale + rn, mask=rn < N, other=0.0)[None, :]
    if bias is not None:
        acc += tl.load(bias + rn, mask=rn < N, other=0.0).to(tl.float32)[None, :]
    at = rm.to(tl.int64)[:, None] * N + rn[None, :]
    tl.store(y + at, acc.to(y.dtype.element_ty), mask=(rm < M)[:, None] & (rn < N)[None, :])


@dataclass(frozen=True)
class FoldedPatchWeight:
    """W' and b' of `patch_embed_uint8`, made by `fold_patch_weight` once per model."""

    weight: Tensor  # (N, KP) float16: W' / scale, columns zero-padded from K = C*P*P to a multiple of 64
    scale: Tensor  # (N,) float32, powers of two
    bias: Tensor  # (N,) float32: b'
    zero: int
    k: int

    def to(self, device: torch.device | str) -> "FoldedPatchWeight":
        """The same weights on another device."""
        return FoldedPatchWeight(self.weight.to(device), self.scale.to(device), self.bias.to(device), self.zero, self.k)


def fold_patch_weight(
    weight: Tensor, mean: Sequence[float], std: Sequence[float], bias: Tensor | None = None
) -> FoldedPatchWeight:
    """Fold rescaling (1/255), normalization and the repeated frame into a Conv3d weight (N, C, T, P, P).

    mean, std: one number per channel, as the image processor's. Raises ValueError if they don't fit the weight.
    """
    if weight.ndim != 5 or len(mean) != weight.shape[1] or len(std) != weight.shape[1]:
        raise ValueError(f"weight {tuple(weight.shape)} must be (N, {len(mean)}, T, P, P), std has {len(std)} channels")
    c = weight.shape[1]
    mean_, std_ = (
        torch.tensor(list(v), dtype=torch.float64, device=weight.device).view(1, c, 1, 1) for v in (mean, std)
    )
    exact = weight.detach().double().sum(2) / (255 * std_)  # (N, C, P, P)
    zero = round(255 * sum(mean) / c)
    offset = (exact * (zero - 255 * mean_)).flatten(1).sum(1)
    if bias is not None:
        offset += bias.detach().double()
    flat = exact.flatten(1)
    k = flat.shape[1]
    largest = flat.abs().amax(1).clamp_min(1e-30)
    scale = torch.exp2(torch.floor(torch.log2(largest)))  # rows end up in [-2, 2]
    padded = F.pad(flat / scale[:, None], (0, -k % 64))
    return FoldedPatchWeight(padded.to(torch.float16), scale.float(), offset.float(), zero, k)


def patch_embed(x: Tensor, weight: Tensor, bias: Tensor | None = None, *, implementation: str = "auto") -> Tensor:
    """Conv3d with kernel == stride as a matrix product.

    x: (L, K) or (L, C, T, P, P), float16, bfloat16 or float32. weight: (N, K) or (N, C, T, P, P), x's dtype; a view
    where contiguous, packed once and cached where not. bias: (N,).
    implementation: "auto", "triton" (for AMD, see above) or "vendor" (F.linear).
    Result: (L, N) in x's dtype. Raises ValueError naming the offending shape or dtype; no differentiation.
    """
    if x.ndim not in (2, 5) or weight.ndim not in (2, 5):
        raise ValueError(f"x and weight must have 2 or 5 dimensions, got {tuple(x.shape)}, {tuple(weight.shape)}")
    x = x.flatten(1)
    if weight.shape[1:].numel() != x.shape[1]:
        raise ValueError(f"weight {tuple(weight.shape)} doesn't fit patches of {x.shape[1]} numbers")
    if x.dtype not in (torch.float16, torch.bfloat16, torch.float32) or weight.dtype != x.dtype:
        raise ValueError(f"x and weight must share float16, bfloat16 or float32, got {x.dtype}, {weight.dtype}")
    if bias is not None and bias.shape != weight.shape[:1]:
        raise ValueError(f"bias must be ({weight.shape[0]},), got {tuple(bias.shape)}")
    return torch.ops.accel_kernels.patch_embed(x, weight, bias, implementation)


def patch_embed_uint8(
    pixels: Tensor, folded: FoldedPatchWeight, *, dtype: torch.dtype = torch.bfloat16, implementation: str = "auto"
) -> Tensor:
    """The patch embedding of a still image from its pixels: rescale, normalize, product and bias in one pass.

    pixels: (L, K) uint8, K = C*P*P in (channel, row, column) order, rows at any constant distance (a multiple of 16
    bytes is fastest: K = 588 in rows of 592). folded: from `fold_patch_weight`. Result: (L, N) in `dtype`.
    implementation: "auto", "triton" or "vendor" (cast, then F.linear). Raises ValueError naming what doesn't fit.
    """
    if pixels.dtype != torch.uint8 or pixels.ndim != 2 or pixels.shape[1] != folded.k:
        raise ValueError(f"pixels must be (L, {folded.k}) uint8, got {tuple(pixels.shape)} {pixels.dtype}")
    if dtype not in (torch.float16, torch.bfloat16, torch.float32):
        raise ValueError(f"dtype must be float16, bfloat16 or float32, got {dtype}")
    return torch.ops.accel_kernels.patch_embed_uint8(
        pixels, folded.weight, folded.scale, folded.bias, folded.zero, dtype, implementation
    )


def shape_key(m: int, n: int, k: int) -> tuple[str, str, int]:
    """(family, exact, size) of shape_cache."""
    return f"N{n}-K{k}", str(m), m


def _patch_embed(x: Tensor, weight: Tensor, bias: Tensor | None, implementation: str) -> Tensor:
    flat = (
        weight.flatten(1) if weight.is_contiguous() else PACKED.get("rows", weight, lambda w: w.flatten(1).contiguous())
    )
    runners = {
        "triton": lambda c: launch(x, flat, bias, None, 0, x.dtype, c),
        "vendor": lambda _: F.linear(x, flat, bias),
    }
    if x.shape[0] == 0:
        return x.new_empty(0, flat.shape[0])
    return run_triton("patch_embed", x, *shape_key(x.shape[0], *flat.shape), implementation, DEFAULT, runners)


def _patch_embed_uint8(
    pixels: Tensor, weight: Tensor, scale: Tensor, bias: Tensor, zero: int, dtype: torch.dtype, implementation: str
) -> Tensor:
    k = pixels.shape[1]

    def vendor(_: Config) -> Tensor:
        if pixels.is_cuda:
            x = pixels.to(torch.float16) - zero  # whole numbers: exact
            y = F.linear(x, (weight[:, :k] * scale[:, None]).to(x.dtype)).float() + bias
        else:
            y = F.linear(pixels.float() - zero, weight[:, :k].float() * scale[:, None], bias)
        return y.to(dtype)

    runners = {"triton": lambda c: launch(pixels, weight, bias, scale, zero, dtype, c), "vendor": vendor}
    if pixels.shape[0] == 0:
        return pixels.new_empty(0, weight.shape[0], dtype=dtype)
    key = shape_key(pixels.shape[0], weight.shape[0], k)
    return run_triton("patch_embed_uint8", pixels, *key, implementation, DEFAULT, runners)


register(
    "patch_embed(Tensor x, Tensor weight, Tensor? bias, str implementation) -> Tensor",
    _patch_embed,
    lambda x, weight, bias, implementation: x.new_empty(x.shape[0], weight.shape[0]),
)
register(
    "patch_embed_uint8(Tensor pixels, Tensor weight, Tensor scale, Tensor bias, int zero, ScalarType dtype,"
    " str implementation) -> Tensor",
    _patch_embed_uint8,
    lambda pixels, weight, scale, bias, zero, dtype, implementation: pixels.new_empty(
        pixels.shape[0], weight.shape[0], dtype=dtype
    ),
)


def launch(
    x: Tensor, weight: Tensor, bias: Tensor | None, scale: Tensor | None, zero: int, dtype: torch.dtype, config: Config
) -> Tensor:
    """Run the kernel with the tile sizes in `config`; weight's columns beyond x's are zeros."""
    x = x if x.stride(1) == 1 else x.contiguous()
    (m, k), n = x.shape, weight.shape[0]
    y = torch.empty(m, n, dtype=dtype, device=x.device)
    bm, bn, bk = config["BM"], config["BN"], config["BK"]
    # not for uint8: triton 3.6 reads w's tiles before they arrive when x is converted in registers
    descriptor = tma_descriptors(x.device) if config.get("TMA") and scale is None else None
    for tensor in (x, weight):
        if tensor.stride(0) * tensor.element_size() % 16 or tensor.data_ptr() % 16:
            descriptor = None
    xd = wd = None
    if descriptor is not None:
        xd = descriptor(x, [m, k], [x.stride(0), 1], [bm, bk])
        wd = descriptor(weight, list(weight.shape), [weight.stride(0), 1], [bn, bk])
    readable, stored = k, x.untyped_storage().nbytes() - x.storage_offset()
    if scale is not None and x.stride(0) % 16 == 0 and stored >= m * x.stride(0):
        readable = min(x.stride(0), -(-k // 16) * 16)  # whole 16-byte vectors, within rows that are all there
    grid = (triton.cdiv(m, bm) * triton.cdiv(n, bn),)
    patch_gemm_kernel[grid](
        x, weight, bias, scale, y, xd, wd, m, N=n, K=k, KX=readable, SX=x.stride(0), SW=weight.stride(0),
        UINT8=scale is not None,
        ZERO=zero, BM=bm, BN=bn, BK=bk, GROUP=config["GROUP"], TMA=descriptor is not None,
        PRECISION=precision(weight.dtype, False), num_warps=config["num_warps"], num_stages=config["num_stages"]
    )  # fmt: skip
    return y
