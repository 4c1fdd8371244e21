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


def add_layer_norm(x: Tensor, delta: Tensor | None, weight: Tensor, bias: Tensor, eps: float) -> tuple[Tensor, Tensor]:
    """(x + delta, its layer norm over the last dimension)."""
    s = x if delta is None else x + delta
    mean, var = s.mean(-1, keepdim=True), s.var(-1, keepdim=True, correction=0)
    return s, (s - mean) / (var + eps).sqrt() * weight + bias


def rotary_qk(qkv: Tensor, position: Tensor, cos: Tensor, sin: Tensor, heads: int) -> Tensor:
    """Qwen2-VL's two-dimensional rotary embedding of q and k; shapes as in vision_block.rotary_qk_."""
    length, d = qkv.shape[0], qkv.shape[1] // (3 * heads)
    q, k, v = qkv.view(length, 3, heads, d).unbind(1)
    c, s = (torch.cat([t[position[:, 0].long()], t[position[:, 1].long()]], -1)[:, None] for t in (cos, sin))
    turned = [torch.cat([u[..., : d // 2] * c - u[..., d // 2 :] * s, u[..., d // 2 :] * c + u[..., : d // 2] * s], -1)
              for u in (q, k)]  # fmt: skip
    return torch.stack([*turned, v], 1).reshape(length, -1)


def quick_gelu(x: Tensor) -> Tensor:
    """x sigmoid(1.702 x)."""
    return x * torch.sigmoid(1.702 * x)
