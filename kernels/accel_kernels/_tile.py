"""The part the convolution kernels share: one tile of an NHWC "same" convolution as an implicit GEMM.

A program owns BM pixels and BN0 + BN1 output channels. Two accumulators instead of one, because a Triton tile is a
power of two wide and the layout model's channels are not: 96 = 64 + 32 and 192 = 128 + 64 waste nothing, where one tile
of 128 or 256 would spend a quarter of the matrix units on zeros.

GEMM view: rows m are pixels of (B, H, W), columns n output channels, K runs over (tap, input channel). The weight is
packed (N, k*k, C), so that a column's K is contiguous. Nothing is materialised: for each tap the rows of x are the same
rows shifted by a scalar, and a mask (or the tensor memory accelerator's bounds) supplies the zero padding.
"""

import triton
import triton.language as tl


@triton.jit
def sigmoid(z, TANH: tl.constexpr):
    """1 / (1 + exp(-z)) in float32.

    TANH: as 0.5 + 0.5 tanh(z / 2) with NVIDIA's tanh.approx (one special-function operation instead of two, absolute
    error 2.5e-4 / 2), for float16 and bfloat16 results only.
    """
    if TANH:
        t = tl.inline_asm_elementwise(
            "tanh.approx.f32 $0, $1;", "=f,f", [z * 0.5], dtype=tl.float32, is_pure=True, pack=1
        )
        return t * 0.5 + 0.5
    else:
        return 1.0 / (1.0 + tl.exp2(z * -1.4426950408889634))


@triton.jit
def silu(z, TANH: tl.constexpr):
    """z * sigmoid(z) in float32."""
    if TANH:
        return z * sigmoid(z, True)
    else:
        return z / (1.0 + tl.exp2(z * -1.4426950408889634))


@triton.jit
def tile_pixels(pid, B, H, W, BM: tl.constexpr, TW: tl.constexpr):
    """Tile `pid`: (its first pixel's index, then [BM] each: the pixel's offset to that, row, column, in bounds).

    TW = 0: BM consecutive pixels of the flattened (B, H, W). TW > 0: a BM/TW x TW rectangle of one image.
    """
    rm = tl.arange(0, BM)
    if TW == 0:
        first = pid.to(tl.int64) * BM
        m = pid * BM + rm
        return first, rm, (m // W) % H, m % W, m < B * H * W
    else:
        TH: tl.constexpr = BM // TW
        nw = tl.cdiv(W, TW)
        nh = tl.cdiv(H, TH)
        w0 = (pid % nw) * TW
        h0 = ((pid // nw) % nh) * TH
        first = ((pid // (nw * nh)).to(tl.int64) * H + h0) * W + w0
        row = h0 + rm // TW
        col = w0 + rm % TW
        return first, (rm // TW) * W + rm % TW, row, col, (row < H) & (col < W)


@triton.jit
def taps_inside(row, col, ok, H, W, dilation, KS: tl.constexpr):
    """[BM] int32: bit i: the i-th row of taps around (row, col) is inside the image; bit 16 + j: the j-th column is.

    Two instructions a step where comparing coordinates takes ten, and the steps of a product are bound by instructions.
    """
    tl.static_assert(KS < 16)
    bits = tl.zeros_like(row)
    for i in tl.static_range(KS):
        y = row + (i - KS // 2) * dilation
        x = col + (i - KS // 2) * dilation
        bits |= tl.where((y >= 0) & (y < H), 1 << i, 0) | tl.where((x >= 0) & (x < W), 65536 << i, 0)
    return tl.where(ok, bits, 0)


@triton.jit
def is_inside(taps, i, j):
    """[BM] bool: tap (i, j) is inside the image."""
    wanted = (1 << i) | (65536 << j)
    return (taps & wanted) == wanted


@triton.jit
def accumulate(
    x,  # (B, H, W, C), pixels SX elements apart
    w,  # (N, KS*KS, C)
    first,  # tile_pixels
    offset,
    row,
    col,
    ok,
    n0,
    H,
    W,
    dilation,
    C: tl.constexpr,
    N: tl.constexpr,
    SX: tl.constexpr,
    KS: tl.constexpr,
    BM: tl.constexpr,
    BN0: tl.constexpr,
    BN1: tl.constexpr,
    BK: tl.constexpr,
    PRECISION: tl.constexpr,
):
    """float32 sums ([BM, BN0], [BM, BN1]) of one tile of the convolution; the second is [BM, 16] zeros if BN1 is 0."""
    K: tl.constexpr = KS * KS * C
    CHUNKS: tl.constexpr = (C + BK - 1) // BK
    BN1P: tl.constexpr = BN1 if BN1 > 0 else 16
    EVEN: tl.constexpr = N % (BN0 + BN1) == 0
    acc0 = tl.zeros((BM, BN0), tl.float32)
    acc1 = tl.zeros((BM, BN1P), tl.float32)
    rk = tl.arange(0, BK)
    rn0 = n0 + tl.arange(0, BN0)
    rn1 = n0 + BN0 + tl.arange(0, BN1P)
    px = x + first * SX + (offset[:, None] * SX + rk[None, :])  # [BM, BK]
    pw0 = w + (rn0[None, :] * K + rk[:, None])  # [BK, BN0]
    pw1 = w + (rn1[None, :] * K + rk[:, None])
    taps = taps_inside(row, col, ok, H, W, dilation, KS)
    for step in range(0, KS * KS * CHUNKS):
        tap = step // CHUNKS
        c0 = (step % CHUNKS) * BK
        a = _pixels(px, taps, tap // KS, tap % KS, dilation, c0, rk, W, C, SX, KS, BK)
        acc0 = tl.dot(a, _weights(pw0, rn0, rk, tap, c0, C, N, BK, EVEN), acc0, input_precision=PRECISION)
        if BN1 > 0:
            acc1 = tl.dot(a, _weights(pw1, rn1, rk, tap, c0, C, N, BK, EVEN), acc1, input_precision=PRECISION)
    return acc0, acc1


@triton.jit
def accumulate3(
    x, w, first, offset, row, col, ok, H, W, da, db, dc, C: tl.constexpr, SX: tl.constexpr, KS: tl.constexpr,
    BM: tl.constexpr, BN0: tl.constexpr, BN1: tl.constexpr, BK: tl.constexpr, PRECISION: tl.constexpr
):  # fmt: skip
    """The tile's sums for three dilations of one weight at once: each weight tile is fetched once instead of thrice."""
    K: tl.constexpr = KS * KS * C
    CHUNKS: tl.constexpr = (C + BK - 1) // BK
    BN1P: tl.constexpr = BN1 if BN1 > 0 else 16
    EVEN: tl.constexpr = C == BN0 + BN1
    a0 = tl.zeros((BM, BN0), tl.float32)
    b0 = tl.zeros((BM, BN0), tl.float32)
    c0 = tl.zeros((BM, BN0), tl.float32)
    a1 = tl.zeros((BM, BN1P), tl.float32)
    b1 = tl.zeros((BM, BN1P), tl.float32)
    c1 = tl.zeros((BM, BN1P), tl.float32)
    rk = tl.arange(0, BK)
    rn0 = tl.arange(0, BN0)
    rn1 = BN0 + tl.arange(0, BN1P)
    px = x + first * SX + (offset[:, None] * SX + rk[None, :])  # [BM, BK]
    pw0 = w + (rn0[None, :] * K + rk[:, None])  # [BK, BN0]
    pw1 = w + (rn1[None, :] * K + rk[:, None])
    taps_a = taps_inside(row, col, ok, H, W, da, KS)
    taps_b = taps_inside(row, col, ok, H, W, db, KS)
    taps_c = taps_inside(row, col, ok, H, W, dc, KS)
    for step in range(0, KS * KS * CHUNKS):
        tap = step // CHUNKS
        k0 = (step % CHUNKS) * BK
        i = tap // KS
        j = tap % KS
        w0 = _weights(pw0, rn0, rk, tap, k0, C, C, BK, EVEN)
        xa = _pixels(px, taps_a, i, j, da, k0, rk, W, C, SX, KS, BK)
        xb = _pixels(px, taps_b, i, j, db, k0, rk, W, C, SX, KS, BK)
        xc = _pixels(px, taps_c, i, j, dc, k0, rk, W, C, SX, KS, BK)
        a0 = tl.dot(xa, w0, a0, input_precision=PRECISION)
        b0 = tl.dot(xb, w0, b0, input_precision=PRECISION)
        c0 = tl.dot(xc, w0, c0, input_precision=PRECISION)
        if BN1 > 0:
            w1 = _weights(pw1, rn1, rk, tap, k0, C, C, BK, EVEN)
            a1 = tl.dot(xa, w1, a1, input_precision=PRECISION)
            b1 = tl.dot(xb, w1, b1, input_precision=PRECISION)
            c1 = tl.dot(xc, w1, c1, input_precision=PRECISION)
    return a0, a1, b0, b1, c0, c1


@triton.jit
def _pixels(
    px, taps, i, j, dilation, c0, rk, W, C: tl.constexpr, SX: tl.constexpr, KS: tl.constexpr, BK: tl.constexpr
):  # fmt: skip
    """[BM, BK]: channels c0 .. c0 + BK - 1 of the tile's pixels at tap (i, j), zeros outside the image."""
    inside = is_inside(taps, i, j)[:, None]
    if C % BK != 0:
        inside = inside & (rk < C - c0)[None, :]
    shift = ((i - KS // 2) * W + (j - KS // 2)) * dilation
    return tl.load(px + (shift * SX + c0), mask=inside, other=0.0)


@triton.jit
def _weights(pw, rn, rk, tap, c0, C: tl.constexpr, N: tl.constexpr, BK: tl.constexpr, EVEN: tl.constexpr):
    """[BK, BN]: the tap's weights of input channels c0 .. c0 + BK - 1 for output channels rn."""
    if EVEN and (C % BK == 0):
        return tl.load(pw + (tap * C + c0))
    else:
        return tl.load(pw + (tap * C + c0), mask=(rn < N)[None, :] & (rk < C - c0)[:, None], other=0.0)
