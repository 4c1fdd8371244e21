"""The layout network as a plain torch module, built from a :class:`~mineru_accel.layout.network.graph.Graph`.

Inference only. Memory format and dtype follow the module: ``network.to("cuda", torch.half,
memory_format=torch.channels_last)`` is how the GPU runs it. Each op is a submodule under ``network.ops``, named by its
place in the checkpoint with dots as underscores; :meth:`LayoutNetwork.replace` swaps the ops of one class for others
of the same inputs and output (a fused Triton kernel for :class:`DilatedBlock`, say).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import graph as g


def _parameter(weights: g.Weights) -> tuple[nn.Parameter, nn.Parameter]:
    return (
        nn.Parameter(torch.from_numpy(weights.weight.copy()), requires_grad=False),
        nn.Parameter(torch.from_numpy(weights.bias.copy()), requires_grad=False),
    )


class Conv(nn.Module):
    """Convolution with folded BatchNorm, then SiLU if ``act``."""

    def __init__(self, op: g.Conv) -> None:
        super().__init__()
        self.weight, self.bias = _parameter(op.weights)
        self.stride, self.groups, self.act = op.stride, op.groups, op.act
        self.padding = op.kernel // 2

    def forward(self, x: Tensor) -> Tensor:
        """``(B, I, H, W)`` -> ``(B, O, H / stride, W / stride)``."""
        y = F.conv2d(x, self.weight, self.bias, self.stride, self.padding, 1, self.groups)
        return F.silu(y, inplace=True) if self.act else y


class DilatedBlock(nn.Module):
    """See :class:`mineru_accel.layout.network.graph.DilatedBlock`: the reference, in plain torch."""

    def __init__(self, op: g.DilatedBlock) -> None:
        super().__init__()
        self.dcv_weight, self.dcv_bias = _parameter(op.dcv)
        self.cv2_weight, self.cv2_bias = _parameter(op.cv2)
        self.merge_weight, self.merge_bias = _parameter(op.merge)
        self.gated = op.gate is not None
        if op.gate is not None:
            self.gate_scale, self.gate_bias = _parameter(op.gate)  # (C * n, 1, 1, 1), (C * n,)
        self.kernel, self.dilations, self.shortcut = op.kernel, op.dilations, op.shortcut

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> the same shape."""
        branches = []
        for d in self.dilations:
            y = F.conv2d(x, self.dcv_weight, self.dcv_bias, padding=d * (self.kernel // 2), dilation=d)
            y = F.conv2d(F.silu(y, inplace=True), self.cv2_weight, self.cv2_bias)
            branches.append(F.silu(y, inplace=True))
        if self.gated:
            y = torch.cat(branches, 1)  # (B, C * n, H, W)
            gate = torch.addcmul(self.gate_bias[:, None, None], y, self.gate_scale[:, 0])
            y = y * F.silu(gate, inplace=True).sigmoid_()
        else:
            y = torch.stack(branches).sum(0)
        y = F.conv2d(y, self.merge_weight, self.merge_bias, groups=len(self.merge_bias))
        y = F.silu(y, inplace=True)
        return x + y if self.shortcut else y


class Attention(nn.Module):
    """See :class:`mineru_accel.layout.network.graph.Attention`."""

    def __init__(self, op: g.Attention) -> None:
        super().__init__()
        self.heads, self.key_dim, self.head_dim = op.heads, op.key_dim, op.head_dim

    def forward(self, qkv: Tensor) -> Tensor:
        """``(B, heads * (2 * key_dim + head_dim), H, W)`` -> ``(B, heads * head_dim, H, W)``."""
        batch, _, height, width = qkv.shape
        keys = self.heads * self.key_dim
        q, k, v = (
            part.flatten(2).unflatten(1, (self.heads, -1)).transpose(2, 3)  # (B, heads, H * W, dim)
            for part in qkv.split([keys, keys, self.heads * self.head_dim], 1)
        )
        y = F.scaled_dot_product_attention(q, k, v)  # scaled by key_dim ** -0.5
        return y.transpose(2, 3).reshape(batch, -1, height, width)


class Slice(nn.Module):
    """Channels ``start:stop``, a view."""

    def __init__(self, op: g.Slice) -> None:
        super().__init__()
        self.start, self.length = op.start, op.stop - op.start

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> ``(B, stop - start, H, W)``."""
        return x.narrow(1, self.start, self.length)


class Concat(nn.Module):
    """Concatenation of channels."""

    def forward(self, *xs: Tensor) -> Tensor:
        """``(B, C_i, H, W)`` each -> ``(B, sum C_i, H, W)``."""
        return torch.cat(xs, 1)


class Add(nn.Module):
    """Sum of two maps."""

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Two of ``(B, C, H, W)`` -> the same shape."""
        return x + y


class MaxPool(nn.Module):
    """Sliding maximum, stride 1."""

    def __init__(self, op: g.MaxPool) -> None:
        super().__init__()
        self.kernel = op.kernel

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> the same shape."""
        return F.max_pool2d(x, self.kernel, 1, self.kernel // 2)


class Upsample(nn.Module):
    """Nearest neighbour, twice the size."""

    def forward(self, x: Tensor) -> Tensor:
        """``(B, C, H, W)`` -> ``(B, C, 2H, 2W)``."""
        return F.interpolate(x, scale_factor=2.0, mode="nearest")


def _module(op: g.Op) -> nn.Module:
    match op:
        case g.Conv():
            return Conv(op)
        case g.DilatedBlock():
            return DilatedBlock(op)
        case g.Attention():
            return Attention(op)
        case g.Slice():
            return Slice(op)
        case g.Concat():
            return Concat()
        case g.Add():
            return Add()
        case g.MaxPool():
            return MaxPool(op)
        case g.Upsample():
            return Upsample()


class LayoutNetwork(nn.Module):
    """Runs a graph's nodes in order; each feature map is freed after its last use."""

    def __init__(self, graph: g.Graph) -> None:
        super().__init__()
        self.ops = nn.ModuleDict({node.name.replace(".", "_"): _module(node.op) for node in graph.nodes})
        freed = graph.last_uses()
        self.plan = [
            (node.name.replace(".", "_"), node.inputs, node.output, tuple(freed.get(i, ())))
            for i, node in enumerate(graph.nodes)
        ]
        self.levels = tuple(graph.levels)
        self.eval()

    def replace(self, kind: type[nn.Module], make: Callable[[nn.Module], nn.Module]) -> int:
        """Replace every op of class ``kind`` by ``make(op)``; returns their number."""
        names = [name for name, op in self.ops.items() if type(op) is kind]
        for name in names:
            self.ops[name] = make(self.ops[name])
        return len(names)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Raw predictions for letterboxed pages.

        Args:
            images: RGB, ``(B, H, W, 3) uint8``; H and W multiples of the graph's ``max_stride``.

        Returns:
            Boxes ``(B, 4 * reg_max, A)`` and class logits ``(B, nc, A)``, float32; A runs over the levels, each row by
            row. :func:`mineru_accel.layout.postprocess.decode` makes boxes of them.
        """
        dtype = next(self.parameters()).dtype
        values: dict[int, Tensor] = {0: images.permute(0, 3, 1, 2).to(dtype) / 255}
        for name, inputs, output, freed in self.plan:
            values[output] = self.ops[name](*[values[i] for i in inputs])
            for value in freed:
                del values[value]
        boxes = torch.cat([values[level.box].flatten(2) for level in self.levels], 2)
        logits = torch.cat([values[level.cls].flatten(2) for level in self.levels], 2)
        return boxes.float(), logits.float()
