"""The whole DilatedBlock of DocLayout-YOLO in one kernel.

For D dilations d of one k x k weight, batch norms folded, s(z) = z sigmoid(z):

u_d = s( conv(x, conv_weight, dilation d) + conv_bias )            C channels, the same weight for each d
v_d = s( u_d @ mix_weight^T + mix_bias )                            C channels, the same weight for each d
"glu": V = [v_0, v_1, ...] (branch-major, D C channels);  P = V * sigmoid( s( V * gate_weight + gate_bias ) )
       y[n] = x[n] + s( sum over i < D of out_weight[n, i] P[D n + i] + out_bias[n] )
"sum": y[n] = x[n] + s( out_weight[n, 0] sum over d of v_d[n] + out_bias[n] )

Channels D n .. D n + D - 1 of V lie in one branch (n's, D n // C) unless they straddle two, so each branch makes its
own C/D outputs and the concatenation never exists. Triples of neighbouring channels don't fit power-of-two tiles; the
rows of mix_weight are therefore packed by i = channel mod D, and D small products give D tiles that add up to a
branch's output.

Implementations: "triton" (one kernel), "hybrid" (D vendor convolutions, then one kernel for all the rest), "vendor"
(PyTorch). "auto" takes what was measured fastest for the shape; see shape_cache.
"""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
import triton
import triton.language as tl
from torch import Tensor

from . import reference
from ._tile import accumulate, accumulate3, sigmoid, silu, tile_pixels
from .dilated_conv2d import _vendor, pixel_strided, precision, tile_options, tiles
from .ops import choose, register, run_triton, split_columns
from .shape_cache import Config

LOOP, SPLIT, JOINT = 0, 1, 2  # a configuration's MODE
DEFAULT: Config = {
    "BM": 64, "BK": 32, "TW": 0, "TANH": 0, "MODE": SPLIT, "num_warps": 4, "num_stages": 2
}  # fmt: skip
TAIL: Config = {
    "BM": 64,
    "BK": 32,
    "TW": 0,
    "TMA": 0,
    "L1": 0,
    "TANH": 0,
    "MODE": SPLIT,
    "num_warps": 4,
    "num_stages": 1,
}
IMPLEMENTATIONS = ("triton", "hybrid", "vendor")


@triton.jit(do_not_specialize=["B", "H", "W"])
def dilated_block_kernel(
    x,  # (B, H, W, C), pixels SX apart
    w,  # (C, KS, KS, C)
    bias,  # (C,) float32
    mix,  # GLU: (D, D, RP, C); else (C, C)
    tail,  # GLU: (D, 4 D + 1, RP) float32; else (3, C)
    dilations,  # (D,) int32
    y,  # (B, H, W, C)
    z0,  # (B, H, W, C), the branches' convolutions without bias, or None to compute them
    z1,
    z2,
    z3,
    B,
    H,
    W,
    C: tl.constexpr,
    SX: tl.constexpr,
    KS: tl.constexpr,
    D: tl.constexpr,
    RP: tl.constexpr,
    GLU: tl.constexpr,
    SHORTCUT: tl.constexpr,
    MODE: tl.constexpr,  # a program goes through all branches (0), makes one branch's outputs (1), or three at once (2)
    BM: tl.constexpr,
    BN0: tl.constexpr,
    BN1: tl.constexpr,
    BK: tl.constexpr,
    TW: tl.constexpr,
    TANH: tl.constexpr,
    ROLL: tl.constexpr,  # the D small products as a loop: fewer registers, less overlap
    PRECISION: tl.constexpr,
):
    BN1P: tl.constexpr = BN1 if BN1 > 0 else 16
    rn0 = tl.arange(0, BN0)
    rn1 = BN0 + tl.arange(0, BN1P)
    pid = tl.program_id(0)
    programs: tl.constexpr = D if MODE == 1 else 1
    first, offset, row, col, ok = tile_pixels(pid // programs, B, H, W, BM, TW)
    pixel = first + offset
    carry = tl.zeros((BM,), tl.float32)  # of the output that straddles the previous branch and this one
    if MODE == 2:
        a0, a1, b0, b1, c0, c1 = accumulate3(
            x, w, first, offset, row, col, ok, H, W, tl.load(dilations), tl.load(dilations + 1), tl.load(dilations + 2),
            C, SX, KS, BM, BN0, BN1, BK, PRECISION
        )  # fmt: skip
        carry = _glu(
            a0, a1, carry, 0, x, bias, mix, tail, y, pixel, ok, rn0, rn1, C, SX, D, RP, BM, BN1, SHORTCUT,
            TANH, ROLL, PRECISION
        )  # fmt: skip
        carry = _glu(
            b0, b1, carry, 1, x, bias, mix, tail, y, pixel, ok, rn0, rn1, C, SX, D, RP, BM, BN1, SHORTCUT,
            TANH, ROLL, PRECISION
        )  # fmt: skip
        _glu(
            c0, c1, carry, 2, x, bias, mix, tail, y, pixel, ok, rn0, rn1, C, SX, D, RP, BM, BN1, SHORTCUT,
            TANH, ROLL, PRECISION
        )  # fmt: skip
    elif MODE == 1:
        branch = pid % D
        acc0, acc1 = _branch(
            x, w, dilations, z0, z1, z2, z3, first, offset, row, col, ok, rn0, rn1, H, W, branch, C, SX, KS, BM, BN0,
            BN1, BK, PRECISION
        )  # fmt: skip
        _glu(
            acc0, acc1, carry, branch, x, bias, mix, tail, y, pixel, ok, rn0, rn1, C, SX, D, RP, BM, BN1, SHORTCUT,
            TANH, ROLL, PRECISION
        )  # fmt: skip
    else:
        s0 = tl.zeros((BM, BN0), tl.float32)
        s1 = tl.zeros((BM, BN1P), tl.float32)
        for branch in range(0, D):
            acc0, acc1 = _branch(
                x, w, dilations, z0, z1, z2, z3, first, offset, row, col, ok, rn0, rn1, H, W, branch, C, SX, KS, BM,
                BN0, BN1, BK, PRECISION
            )  # fmt: skip
            if GLU:
                carry = _glu(
                    acc0, acc1, carry, branch, x, bias, mix, tail, y, pixel, ok, rn0, rn1, C, SX, D, RP, BM, BN1,
                    SHORTCUT, TANH, ROLL, PRECISION
                )  # fmt: skip
            else:
                u0, u1 = _activate(acc0, acc1, x, bias, rn0, rn1, C, BN1, TANH)
                s0 += _mix(u0, u1, mix, tail, rn0, rn0, rn1, C, BN1, TANH, PRECISION)
                if BN1 > 0:
                    s1 += _mix(u0, u1, mix, tail, rn1, rn0, rn1, C, BN1, TANH, PRECISION)
        if not GLU:
            _scale_store(s0, rn0, tail, pixel, ok, x, y, C, SX, SHORTCUT, TANH)
            if BN1 > 0:
                _scale_store(s1, rn1, tail, pixel, ok, x, y, C, SX, SHORTCUT, TANH)


@triton.jit
def _branch(
    x, w, dilations, z0, z1, z2, z3, first, offset, row, col, ok, rn0, rn1, H, W, branch, C: tl.constexpr,
    SX: tl.constexpr, KS: tl.constexpr, BM: tl.constexpr, BN0: tl.constexpr, BN1: tl.constexpr, BK: tl.constexpr,
    PRECISION: tl.constexpr
):  # fmt: skip
    """One branch's convolution, all C channels, float32: ([BM, BN0], [BM, BN1]); computed, or read from z."""
    if z0 is None:
        acc0, acc1 = accumulate(
            x, w, first, offset, row, col, ok, 0, H, W, tl.load(dilations + branch), C, C, SX, KS, BM, BN0, BN1, BK,
            PRECISION
        )  # fmt: skip
    else:
        z = z0
        if z1 is not None:  # noqa: SIM102 (the outer condition is known when compiling, the inner one is not)
            if branch == 1:
                z = z1
        if z2 is not None:  # noqa: SIM102
            if branch == 2:
                z = z2
        if z3 is not None:  # noqa: SIM102
            if branch == 3:
                z = z3
        pz = z + (first + offset)[:, None] * C
        acc0 = tl.load(pz + rn0[None, :], mask=ok[:, None] & (rn0 < C)[None, :], other=0.0).to(tl.float32)
        acc1 = acc0
        if BN1 > 0:
            acc1 = tl.load(pz + rn1[None, :], mask=ok[:, None] & (rn1 < C)[None, :], other=0.0).to(tl.float32)
    return acc0, acc1


@triton.jit
def _activate(acc0, acc1, x, bias, rn0, rn1, C: tl.constexpr, BN1: tl.constexpr, TANH: tl.constexpr):
    """u = silu(acc + conv_bias) in x's dtype: ([BM, BN0], [BM, BN1])."""
    dtype = x.dtype.element_ty
    u0 = silu(acc0 + tl.load(bias + rn0, mask=rn0 < C, other=0.0)[None, :], TANH).to(dtype)
    u1 = u0
    if BN1 > 0:
        u1 = silu(acc1 + tl.load(bias + rn1, mask=rn1 < C, other=0.0)[None, :], TANH).to(dtype)
    return u0, u1


@triton.jit
def _glu(
    acc0, acc1, carry, branch, x, bias, mix, tail, y, pixel, ok, rn0, rn1, C: tl.constexpr, SX: tl.constexpr,
    D: tl.constexpr, RP: tl.constexpr, BM: tl.constexpr, BN1: tl.constexpr, SHORTCUT: tl.constexpr, TANH: tl.constexpr,
    ROLL: tl.constexpr, PRECISION: tl.constexpr
):  # fmt: skip
    """From a branch's convolution to its outputs n = (branch C) // D ..; returns the [BM] carry to the next branch."""
    u0, u1 = _activate(acc0, acc1, x, bias, rn0, rn1, C, BN1, TANH)
    r = tl.arange(0, RP)
    p = tail + branch * (4 * D + 1) * RP + r
    s = tl.zeros((BM, RP), tl.float32) + tl.load(p + 4 * D * RP)[None, :]
    if ROLL:
        for i in tl.range(0, D, num_stages=1):
            s += _gated(u0, u1, mix, p + 4 * i * RP, (branch * D + i) * RP + r, rn0, rn1, C, RP, BN1, TANH, PRECISION)
    else:
        for i in tl.static_range(D):
            s += _gated(u0, u1, mix, p + 4 * i * RP, (branch * D + i) * RP + r, rn0, rn1, C, RP, BN1, TANH, PRECISION)
    rn = (branch * C) // D + r
    end = (branch + 1) * C
    if C % D != 0:
        s += tl.where(r == 0, 1.0, 0.0)[None, :] * carry[:, None]
        carry = tl.sum(tl.where((rn * D < end) & (rn * D + D > end), 1.0, 0.0)[None, :] * s, axis=1)
    _store(s, rn, rn * D + D <= end, pixel, ok, x, y, C, SX, SHORTCUT, TANH)
    return carry


@triton.jit
def _gated(
    u0, u1, mix, q, rows, rn0, rn1, C: tl.constexpr, RP: tl.constexpr, BN1: tl.constexpr, TANH: tl.constexpr,
    PRECISION: tl.constexpr
):  # fmt: skip
    """[BM, RP]: out_weight[n, i] P[D n + i] for one i; `rows`: mix's; q: its bias, gate weight and bias, out weight."""
    columns = mix + rows[None, :] * C
    m0 = tl.load(columns + rn0[:, None], mask=(rn0 < C)[:, None], other=0.0)
    v = tl.dot(u0, m0, input_precision=PRECISION)
    if BN1 > 0:
        m1 = tl.load(columns + rn1[:, None], mask=(rn1 < C)[:, None], other=0.0)
        v = tl.dot(u1, m1, v, input_precision=PRECISION)
    v = silu(v + tl.load(q)[None, :], TANH)
    g = sigmoid(silu(v * tl.load(q + RP)[None, :] + tl.load(q + 2 * RP)[None, :], TANH), TANH)
    return tl.load(q + 3 * RP)[None, :] * v * g


@triton.jit
def _mix(
    u0, u1, mix, tail, rn, rn0, rn1, C: tl.constexpr, BN1: tl.constexpr, TANH: tl.constexpr, PRECISION: tl.constexpr
):  # fmt: skip
    """v's columns rn: silu(u @ mix^T + mix_bias)."""
    columns = mix + rn[None, :] * C
    b0 = tl.load(columns + rn0[:, None], mask=(rn0 < C)[:, None] & (rn < C)[None, :], other=0.0)
    v = tl.dot(u0, b0, input_precision=PRECISION)
    if BN1 > 0:
        b1 = tl.load(columns + rn1[:, None], mask=(rn1 < C)[:, None] & (rn < C)[None, :], other=0.0)
        v = tl.dot(u1, b1, v, input_precision=PRECISION)
    return silu(v + tl.load(tail + rn, mask=rn < C, other=0.0)[None, :], TANH)


@triton.jit
def _store(
    s, rn, done, pixel, ok, x, y, C: tl.constexpr, SX: tl.constexpr, SHORTCUT: tl.constexpr, TANH: tl.constexpr
):  # fmt: skip
    """y[rn] = (x[rn] +) silu(s) where `done`."""
    s = silu(s, TANH)
    mask = ok[:, None] & done[None, :]
    if SHORTCUT:
        s += tl.load(x + pixel[:, None] * SX + rn[None, :], mask=mask, other=0.0).to(tl.float32)
    tl.store(y + pixel[:, None] * C + rn[None, :], s.to(y.dtype.element_ty), mask=mask)


@triton.jit
def _scale_store(
    s, rn, tail, pixel, ok, x, y, C: tl.constexpr, SX: tl.constexpr, SHORTCUT: tl.constexpr, TANH: tl.constexpr
):  # fmt: skip
    """The end of "sum": s * out_weight + out_bias, then as _store."""
    scale = tl.load(tail + C + rn, mask=rn < C, other=0.0)
    offset = tl.load(tail + 2 * C + rn, mask=rn < C, other=0.0)
    _store(s * scale[None, :] + offset[None, :], rn, rn < C, pixel, ok, x, y, C, SX, SHORTCUT, TANH)


@dataclass(frozen=True)
class DilatedBlockWeights:
    """A DilatedBlock's folded weights, as the formula at the top names them, and the same packed for the kernel.

    Made by `fold`; `to` moves and casts them. Products' weights have the activations' dtype, the rest is float32.
    """

    dilations: tuple[int, ...]
    shortcut: bool
    conv_weight: Tensor  # (C, k, k, C): output channel, row, column, input channel
    conv_bias: Tensor  # (C,) float32
    mix_weight: Tensor  # (C, C)
    mix_bias: Tensor  # (C,) float32
    out_weight: Tensor  # (C, D) float32; (C, 1) for "sum"
    out_bias: Tensor  # (C,) float32
    gate_weight: Tensor | None  # (D*C,) float32; None for "sum"
    gate_bias: Tensor | None
    packed_mix: Tensor
    packed_params: Tensor
    packed_dilations: Tensor

    @property
    def fuse(self) -> str:
        """The fusion: "glu" or "sum"."""
        return "sum" if self.gate_weight is None else "glu"

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> "DilatedBlockWeights":
        """The same weights elsewhere; `dtype` is the activations' and applies to the products' weights."""
        cast = {"conv_weight", "mix_weight", "packed_mix"}
        tensors = {f.name: t for f in fields(self) if isinstance(t := getattr(self, f.name), Tensor)}
        moved: dict[str, Any] = {n: t.to(device, dtype if n in cast else None) for n, t in tensors.items()}
        return replace(self, **moved)


def fold(
    conv_weight: Tensor,
    conv_bias: Tensor,
    mix_weight: Tensor,
    mix_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    gate_weight: Tensor | None = None,
    gate_bias: Tensor | None = None,
    *,
    dilations: Sequence[int],
    shortcut: bool = True,
    dtype: torch.dtype | None = None,
) -> DilatedBlockWeights:
    """Pack a DilatedBlock's weights, batch norms already folded into them; shapes as `reference.dilated_block`.

    dtype: the activations', by default conv_weight's. Raises ValueError where shapes or fusion don't fit together.
    """
    c, d = conv_weight.shape[0], len(dilations)
    glu = gate_weight is not None and gate_bias is not None
    shapes = {
        "conv_weight": (conv_weight, (c, c, conv_weight.shape[-1], conv_weight.shape[-1])),
        "conv_bias": (conv_bias, (c,)),
        "mix_weight": (mix_weight, (c, c)),
        "mix_bias": (mix_bias, (c,)),
        "out_weight": (out_weight, (c, d if glu else 1)),
        "out_bias": (out_bias, (c,)),
    }
    if gate_weight is not None and gate_bias is not None:
        shapes |= {"gate_weight": (gate_weight, (d * c,)), "gate_bias": (gate_bias, (d * c,))}
    for name, (tensor, shape) in shapes.items():
        if tensor.shape != shape:
            raise ValueError(f"{name} must be {shape}, got {tuple(tensor.shape)}")
    if (gate_weight is None) != (gate_bias is None) or d == 0 or c < d or conv_weight.shape[-1] % 2 == 0:
        raise ValueError(f"no DilatedBlock has {c} channels, dilations {tuple(dilations)}, k {conv_weight.shape[-1]}")
    dtype = dtype or conv_weight.dtype
    device = conv_weight.device
    if gate_weight is not None and gate_bias is not None:
        packed_mix, tail = _pack_glu(mix_weight, mix_bias, out_weight, out_bias, gate_weight, gate_bias, d)
    else:
        packed_mix, tail = mix_weight.clone(), torch.stack([mix_bias, out_weight[:, 0], out_bias])

    def single(t: Tensor) -> Tensor:
        return t.detach().to(device, torch.float32).contiguous()

    return DilatedBlockWeights(
        dilations=tuple(dilations),
        shortcut=shortcut,
        conv_weight=conv_weight.detach().permute(0, 2, 3, 1).contiguous().to(dtype),
        conv_bias=single(conv_bias),
        mix_weight=mix_weight.detach().contiguous().to(dtype),
        mix_bias=single(mix_bias),
        out_weight=single(out_weight),
        out_bias=single(out_bias),
        gate_weight=None if gate_weight is None else single(gate_weight),
        gate_bias=None if gate_bias is None else single(gate_bias),
        packed_mix=packed_mix.detach().contiguous().to(device, dtype),
        packed_params=single(tail),
        packed_dilations=torch.tensor(list(dilations), dtype=torch.int32, device=device),
    )


def _pack_glu(
    mix_weight: Tensor,
    mix_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    gate_weight: Tensor,
    gate_bias: Tensor,
    d: int,
) -> tuple[Tensor, Tensor]:
    """(D, D, RP, C) rows of mix_weight and (D, 4 D + 1, RP) parameters: [branch, i, r] is channel D n + i of V where
    n = (branch C) // D + r, zeros where that channel is another branch's. out_bias goes to the branch that ends n."""
    c = mix_weight.shape[0]
    rp = branch_columns(c, d)
    mix = mix_weight.new_zeros(d, d, rp, c)
    tail = mix_weight.new_zeros(d, 4 * d + 1, rp)
    for branch in range(d):
        first, end = branch * c // d, (branch + 1) * c
        for n in range(first, -(-end // d)):
            r = n - first
            for i in range(d):
                j = d * n + i
                if branch * c <= j < end:
                    mix[branch, i, r] = mix_weight[j - branch * c]
                    tail[branch, 4 * i, r] = mix_bias[j - branch * c]
                    tail[branch, 4 * i + 1, r] = gate_weight[j]
                    tail[branch, 4 * i + 2, r] = gate_bias[j]
                    tail[branch, 4 * i + 3, r] = out_weight[n, i]
            if d * n + d <= end:
                tail[branch, 4 * d, r] = out_bias[n]
    return mix, tail


def branch_columns(c: int, d: int) -> int:
    """The power of two that holds the outputs a branch has a part in."""
    most = max(-(-(b + 1) * c // d) - b * c // d for b in range(d))
    return max(16, 1 << (most - 1).bit_length())


def dilated_block(x: Tensor, weights: DilatedBlockWeights, *, implementation: str = "auto") -> Tensor:
    """The DilatedBlock described at the top of this file.

    x: (B, H, W, C) float16, bfloat16 or float32, weights.conv_weight's dtype; as for dilated_conv2d, pixels may be any
    constant distance apart. implementation: "auto", "triton", "hybrid" or "vendor"; an explicit one is used or raises.
    Result: (B, H, W, C), contiguous. Raises ValueError naming the offending shape or dtype; no differentiation.
    """
    c = weights.conv_weight.shape[0]
    if x.ndim != 4 or x.shape[3] != c:
        raise ValueError(f"x must be (B, H, W, {c}), got shape {tuple(x.shape)}")
    if x.dtype != weights.conv_weight.dtype:
        raise ValueError(f"x must have the weights' dtype {weights.conv_weight.dtype}, got {x.dtype}")
    w = weights
    return torch.ops.accel_kernels.dilated_block(
        x, w.conv_weight, w.conv_bias, w.mix_weight, w.mix_bias, w.out_weight, w.out_bias, w.gate_weight, w.gate_bias,
        w.packed_mix, w.packed_params, w.packed_dilations, list(w.dilations), w.shortcut, implementation
    )  # fmt: skip


def dilated_block_into(x: Tensor, weights: DilatedBlockWeights, out: Tensor) -> Tensor:
    """`dilated_block`, but into `out`, (B, H, W, C) contiguous and apart from x; returns it. Not for torch.compile."""
    if out.shape != x.shape or out.dtype != x.dtype or not out.is_contiguous():
        raise ValueError(f"out must be {tuple(x.shape)} {x.dtype}, contiguous, got {tuple(out.shape)} {out.dtype}")
    w = weights
    key = shape_key(x, w.conv_weight.shape[1], w.dilations, w.fuse)
    choice = choose("dilated_block", x, *key)
    if choice.implementation != "triton":
        return out.copy_(dilated_block(x, w))
    packed = (w.conv_bias, w.packed_mix, w.packed_params, w.packed_dilations)
    config = choice.config or DEFAULT
    return launch(x, w.conv_weight, *packed, len(w.dilations), w.fuse == "glu", w.shortcut, config, [], out)


def shape_key(x: Tensor, k: int, dilations: Sequence[int], fuse: str) -> tuple[str, str, int]:
    """(family, exact, size) of shape_cache."""
    b, h, w, c = x.shape
    return f"C{c}-k{k}-{fuse}", f"{b}x{h}x{w}-d" + "".join(f"_{d}" for d in dilations), b * h * w


def _dilated_block(
    x: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    mix_weight: Tensor,
    mix_bias: Tensor,
    out_weight: Tensor,
    out_bias: Tensor,
    gate_weight: Tensor | None,
    gate_bias: Tensor | None,
    packed_mix: Tensor,
    packed_params: Tensor,
    packed_dilations: Tensor,
    dilations: list[int],
    shortcut: bool,
    implementation: str,
) -> Tensor:
    if x.numel() == 0:
        return torch.empty_like(x, memory_format=torch.contiguous_format)
    packed = (conv_bias, packed_mix, packed_params, packed_dilations)
    glu = gate_weight is not None

    def vendor(_: Config) -> Tensor:
        def cast(t: Tensor | None) -> Tensor | None:
            return None if t is None else t.to(x.dtype)

        biases = [cast(t) for t in (conv_bias, mix_bias, out_weight, out_bias, gate_weight, gate_bias)]
        return reference.dilated_block(
            x, conv_weight.permute(0, 3, 1, 2), biases[0], mix_weight, *biases[1:],  # type: ignore[arg-type, misc]
            dilations=dilations, shortcut=shortcut
        ).contiguous()  # fmt: skip

    def hybrid(config: Config) -> Tensor:
        if len(dilations) > 4:
            raise NotImplementedError(f"the hybrid takes at most 4 dilations, got {dilations}")
        z = [_vendor(x, conv_weight.permute(0, 3, 1, 2), d).contiguous() for d in dilations]
        return launch(x, conv_weight, *packed, len(dilations), glu, shortcut, config if "TAIL" in config else TAIL, z)

    runners = {
        "triton": lambda c: launch(x, conv_weight, *packed, len(dilations), glu, shortcut, c, []),
        "hybrid": hybrid,
        "vendor": vendor,
    }
    key = shape_key(x, conv_weight.shape[1], dilations, "glu" if glu else "sum")
    return run_triton("dilated_block", x, *key, implementation, DEFAULT, runners)


def _fake(x: Tensor, *_: Any) -> Tensor:
    return x.new_empty(x.shape)


register(
    "dilated_block(Tensor x, Tensor conv_weight, Tensor conv_bias, Tensor mix_weight, Tensor mix_bias,"
    " Tensor out_weight, Tensor out_bias, Tensor? gate_weight, Tensor? gate_bias, Tensor packed_mix,"
    " Tensor packed_params, Tensor packed_dilations, int[] dilations, bool shortcut, str implementation) -> Tensor",
    _dilated_block,
    _fake,
)


def launch(
    x: Tensor,
    conv_weight: Tensor,
    conv_bias: Tensor,
    packed_mix: Tensor,
    packed_params: Tensor,
    packed_dilations: Tensor,
    d: int,
    glu: bool,
    shortcut: bool,
    config: Config,
    z: list[Tensor],
    out: Tensor | None = None,
) -> Tensor:
    """Run the kernel with the tile sizes in `config`; with z, D times (B, H, W, C), it skips the convolutions."""
    x = pixel_strided(x)
    b, h, w, c = x.shape
    y = torch.empty(b, h, w, c, dtype=x.dtype, device=x.device) if out is None else out
    bn0, bn1 = split_columns(c)
    if c > bn0 + bn1:
        raise NotImplementedError(f"the block's kernel holds all channels of a pixel, at most 256; got {c}")
    if config.get("TANH") and (x.dtype == torch.float32 or torch.version.hip or not x.is_cuda):
        config = {**config, "TANH": 0}
    mode = block_mode(config, c, d, glu, bool(z))
    grid = (tiles(b, h, w, config["BM"], config["TW"]) * (d if mode == SPLIT else 1),)
    dilated_block_kernel[grid](
        x, conv_weight, conv_bias, packed_mix, packed_params, packed_dilations, y, *z, *[None] * (4 - len(z)), b, h, w,
        C=c, SX=x.stride(2), KS=conv_weight.shape[1], D=d, RP=branch_columns(c, d), GLU=glu, SHORTCUT=shortcut,
        MODE=mode, BN0=bn0, BN1=bn1, TANH=bool(config.get("TANH")), ROLL=bool(config.get("ROLL")),
        PRECISION=precision(x.dtype, False), **tile_options(config)
    )  # fmt: skip
    return y


def block_mode(config: Config, c: int, d: int, glu: bool, convolved: bool) -> int:
    """The configuration's MODE where the block allows it, else LOOP."""
    mode = config.get("MODE", SPLIT)
    if not glu or (mode == SPLIT and c % d) or (mode == JOINT and (d != 3 or convolved)):
        return LOOP
    return mode
