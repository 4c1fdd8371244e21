"""The operations between the matrix products of a vision transformer's block, all of them bound by memory traffic.

`add_layer_norm`:  s = x + d,  y = (s - mean(s)) / sqrt(var(s) + eps) * weight + bias   (rows; statistics in float32)
`rotary_qk_`:      per head of q and k, with a = first half, b = second half:  a' = a cos - b sin,  b' = b cos + a sin
`quick_gelu_`:     y = x / (1 + exp(-1.702 x))

Each reads and writes every number once; the last two work in place. For Qwen2-VL's tower, eager PyTorch moves 75 KB a
patch and layer here, these move 45.
"""

import logging

import torch
import torch.nn.functional as F
import triton
import triton.language as tl
from torch import Tensor

from .ops import is_triton_error

log = logging.getLogger("accel_kernels")
IMPLEMENTATIONS = ("triton", "vendor")


@triton.jit
def add_layer_norm_kernel(
    x,  # (L, C)
    delta,  # (L, C) or None
    weight,  # (C,)
    bias,  # (C,)
    total,  # (L, C): x + delta, unused without delta
    y,  # (L, C)
    eps,
    C: tl.constexpr,
    BLOCK: tl.constexpr,
):
    at = tl.program_id(0).to(tl.int64) * C
    column = tl.arange(0, BLOCK)
    inside = column < C
    s = tl.load(x + at + column, mask=inside, other=0.0).to(tl.float32)
    if delta is not None:
        s += tl.load(delta + at + column, mask=inside, other=0.0).to(tl.float32)
        s = s.to(y.dtype.element_ty)  # the norm sees what the residual stream holds
        tl.store(total + at + column, s, mask=inside)
        s = s.to(tl.float32)
    mean = tl.sum(s, 0) / C
    centred = tl.where(inside, s - mean, 0.0)
    scale = 1 / tl.sqrt(tl.sum(centred * centred, 0) / C + eps)
    w = tl.load(weight + column, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(bias + column, mask=inside, other=0.0).to(tl.float32)
    tl.store(y + at + column, (centred * scale * w + b).to(y.dtype.element_ty), mask=inside)


@triton.jit
def rotary_kernel(
    qkv,  # (L, 3 H D), q and k are changed
    position,  # (L, 2) int32
    cos,  # (P, D / 4)
    sin,
    H: tl.constexpr,
    D: tl.constexpr,
    HEADS: tl.constexpr,  # power of two >= 2 H
    HALF: tl.constexpr,  # power of two >= D / 2
):
    row = tl.program_id(0).to(tl.int64)
    half: tl.constexpr = D // 2
    quarter: tl.constexpr = D // 4
    j = tl.arange(0, HALF)
    p = tl.load(position + 2 * row + (j >= quarter).to(tl.int64), mask=j < half, other=0)
    at = p * quarter + j % quarter
    c = tl.load(cos + at, mask=j < half, other=0.0).to(tl.float32)[None, :]
    s = tl.load(sin + at, mask=j < half, other=0.0).to(tl.float32)[None, :]
    head = tl.arange(0, HEADS)
    first = qkv + row * (3 * H * D) + head[:, None] * D + j[None, :]
    inside = (head < 2 * H)[:, None] & (j < half)[None, :]
    a = tl.load(first, mask=inside, other=0.0).to(tl.float32)
    b = tl.load(first + half, mask=inside, other=0.0).to(tl.float32)
    tl.store(first, (a * c - b * s).to(qkv.dtype.element_ty), mask=inside)
    tl.store(first + half, (b * c + a * s).to(qkv.dtype.element_ty), mask=inside)


@triton.jit
def quick_gelu_kernel(x, n, BLOCK: tl.constexpr):
    at = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    v = tl.load(x + at, mask=at < n, other=0.0).to(tl.float32)
    tl.store(x + at, (v / (1 + tl.exp(-1.702 * v))).to(x.dtype.element_ty), mask=at < n)


def add_layer_norm(
    x: Tensor, delta: Tensor | None, weight: Tensor, bias: Tensor, eps: float = 1e-6, *, implementation: str = "auto"
) -> tuple[Tensor, Tensor]:
    """(x + delta, layer norm of it), both (L, C) in x's dtype; without delta the first is x itself.

    x, delta: (L, C), contiguous; weight, bias: (C,). implementation: "auto", "triton" or "vendor".
    Raises ValueError naming what doesn't fit.
    """
    rows, c = _matrix(x, "x")
    if (delta is not None and delta.shape != x.shape) or weight.shape != (c,) or bias.shape != (c,):
        raise ValueError(f"delta must be {tuple(x.shape)}, weight and bias ({c},)")

    def kernel() -> tuple[Tensor, Tensor]:
        y = torch.empty_like(x)
        total = x if delta is None else torch.empty_like(x)
        block = triton.next_power_of_2(c)
        add_layer_norm_kernel[(rows,)](
            x, delta if delta is None else delta.contiguous(), weight, bias, total, y, eps, C=c, BLOCK=block,
            num_warps=4 if block <= 4096 else 8,
        )  # fmt: skip
        return total, y

    def vendor() -> tuple[Tensor, Tensor]:
        total = x if delta is None else x + delta
        return total, F.layer_norm(total, (c,), weight, bias, eps)

    return _run(implementation, x, kernel, vendor) if rows else (x, x.clone())


def rotary_qk_(
    qkv: Tensor, position: Tensor, cos: Tensor, sin: Tensor, heads: int, *, implementation: str = "auto"
) -> Tensor:
    """Turn q and k by their patches' rows and columns, in place; returns qkv.

    qkv: (L, 3 H D), contiguous, q before k before v. position: (L, 2) int32, row and column of each patch.
    cos, sin: (P, D / 4), contiguous: the angles of position p; the row turns the first quarter of a head's numbers
    (and the third), the column the rest. implementation: "auto", "triton" or "vendor".
    Raises ValueError naming what doesn't fit.
    """
    rows, width = _matrix(qkv, "qkv")
    d = width // (3 * heads)
    if width != 3 * heads * d or d % 4:
        raise ValueError(f"qkv's rows of {width} are not 3 x {heads} heads of a multiple of 4")
    if position.shape != (rows, 2) or cos.shape != sin.shape or cos.ndim != 2 or cos.shape[1] != d // 4:
        raise ValueError(f"position must be ({rows}, 2), cos and sin (P, {d // 4})")

    def kernel() -> Tensor:
        rotary_kernel[(rows,)](
            qkv, position, cos, sin, H=heads, D=d, HEADS=triton.next_power_of_2(2 * heads),
            HALF=triton.next_power_of_2(d // 2), num_warps=4,
        )  # fmt: skip
        return qkv

    def vendor() -> Tensor:
        c, s = (table[position.long()].flatten(1).unsqueeze(1).to(qkv.dtype) for table in (cos, sin))
        qk = qkv.view(rows, 3 * heads, d)[:, : 2 * heads]
        a, b = qk.chunk(2, dim=-1)
        qk.copy_(torch.cat((a * c - b * s, b * c + a * s), -1))
        return qkv

    return _run(implementation, qkv, kernel, vendor) if rows else qkv


def quick_gelu_(x: Tensor, *, implementation: str = "auto") -> Tensor:
    """QuickGELU in place; returns x, which must be contiguous (ValueError otherwise)."""
    if not x.is_contiguous():
        raise ValueError("x must be contiguous")

    def kernel() -> Tensor:
        quick_gelu_kernel[(triton.cdiv(x.numel(), 8192),)](x, x.numel(), BLOCK=8192, num_warps=8)
        return x

    def vendor() -> Tensor:
        return x.mul_(torch.sigmoid(1.702 * x))

    return _run(implementation, x, kernel, vendor) if x.numel() else x


def _matrix(x: Tensor, name: str) -> tuple[int, int]:
    if x.ndim != 2 or not x.is_contiguous():
        raise ValueError(f"{name} must be a contiguous matrix, got {tuple(x.shape)} with strides {x.stride()}")
    return x.shape[0], x.shape[1]


def _run(implementation, x, kernel, vendor):  # type: ignore[no-untyped-def]
    if implementation not in ("auto", *IMPLEMENTATIONS):
        raise ValueError(f"implementation must be 'auto' or one of {IMPLEMENTATIONS}, got {implementation!r}")
    if implementation == "vendor" or (implementation == "auto" and not x.is_cuda):
        return vendor()
    try:
        return kernel()
    except Exception as error:
        if implementation == "triton" or not is_triton_error(error):
            raise
        log.warning("%s, using the vendor's kernels", error)
        return vendor()
