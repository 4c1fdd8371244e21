"""Every op in plain PyTorch: the ground truth that the kernels are tested against.

Nothing here is fast. Call it with float64 tensors where rounding matters. Layouts are those of the fast versions:
activations (B, H, W, C), weights as PyTorch's (N, C, k, k).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def dilated_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    dilation: int = 1,
    activation: str | None = None,
    residual: Tensor | None = None,
) -> Tensor:
    """activation(conv(x, weight) + bias) + residual; x (B, H, W, C), weight (N, C, k, k), result (B, H, W, N)."""
    padding = dilation * (weight.shape[-1] // 2)
    y = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=padding, dilation=dilation).permute(0, 2, 3, 1)
    if activation == "silu":
        y = F.silu(y)
    elif activation is not None:
        raise ValueError(f"activation must be None or 'silu', got {activation!r}")
    return y if residual is None else y + residual


def dilated_block(
    x: Tensor,
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
) -> Tensor:
    """DocLayout-YOLO's DilatedBlock with folded batch norms; "glu" fusion if gate_weight is given, else "sum".

    x (B, H, W, C); conv_weight (C, C, k, k), shared by the D dilations; mix_weight (C, C), the shared 1x1;
    gate_weight, gate_bias (D*C,), depthwise over the branch-major concatenation; out_weight (C, D) for "glu", where
    output n reads channels D*n .. D*n + D - 1 of that concatenation, (C, 1) for "sum"; biases (C,).
    """
    branches = []
    for d in dilations:
        u = dilated_conv2d(x, conv_weight, conv_bias, dilation=d, activation="silu")
        branches.append(F.silu(u @ mix_weight.T + mix_bias))
    if gate_weight is not None and gate_bias is not None:
        v = torch.cat(branches, -1)
        p = v * torch.sigmoid(F.silu(v * gate_weight + gate_bias))
        s = (p.unflatten(-1, out_weight.shape) * out_weight).sum(-1)
    else:
        s = torch.stack(branches).sum(0) * out_weight[:, 0]
    y = F.silu(s + out_bias)
    return x + y if shortcut else y


def patch_embed(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """Conv3d with kernel == stride; x (L, C, T, P, P) or (L, C*T*P*P), weight (N, C, T, P, P), result (L, N)."""
    return F.linear(x.flatten(1), weight.flatten(1), bias)


def patch_embed_uint8(
    pixels: Tensor, weight: Tensor, mean: Sequence[float], std: Sequence[float], bias: Tensor | None = None
) -> Tensor:
    """The float path of a still image: rescale, normalize, repeat the frame in time, Conv3d; in weight's dtype.

    pixels (L, C*P*P) uint8, weight (N, C, T, P, P), result (L, N).
    """
    _, c, t, p, _ = weight.shape
    mean_, std_ = (torch.tensor(list(v), dtype=torch.float64, device=pixels.device).view(1, c, 1) for v in (mean, std))
    x = (pixels.view(-1, c, p * p).double() / 255 - mean_) / std_
    x = x[:, :, None].expand(-1, c, t, p * p).reshape(-1, c * t * p * p).to(weight.dtype)
    return F.linear(x, weight.flatten(1), bias)
