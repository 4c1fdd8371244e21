"""Drop-in modules for doclayout_yolo's DilatedBlock and DilatedBottleneck, built from trained ones.

They take and give (B, C, H, W) tensors in channels_last memory (anything else is copied), in inference only. Source
modules are recognised by their attributes, so that this package needs no doclayout_yolo.

    DilatedBottleneck: y = x + cv2(block(cv1(x))), both 3x3 convolutions with batch norm and SiLU folded into one kernel
"""

import torch
from torch import Tensor, nn

from .dilated_block import DilatedBlockWeights, dilated_block, fold
from .dilated_conv2d import dilated_conv2d


class FusedDilatedBlock(nn.Module):
    """`dilated_block` as a module; `weights` move with `.to()`, products' weights follow the module's dtype."""

    def __init__(self, weights: DilatedBlockWeights, implementation: str = "auto") -> None:
        super().__init__()
        self.implementation = implementation
        self._weights = weights

    @classmethod
    def from_module(cls, block: nn.Module, implementation: str = "auto") -> "FusedDilatedBlock":
        """From a trained DilatedBlock (attributes dilation, fuse, add, dcv, cv2, conv1x1, conv_gating).

        Raises ValueError if an activation isn't SiLU or the shapes aren't a DilatedBlock's.
        """
        tensors: list[Tensor] = []
        for name in ("dcv", "cv2", "conv1x1", *(["conv_gating"] if block.fuse == "glu" else [])):
            weight, bias = fold_conv(getattr(block, name))
            tensors += [
                weight if name == "dcv" else weight.flatten() if name == "conv_gating" else weight.flatten(1),
                bias,
            ]
        dilations = tuple(int(d) for d in block.dilation)  # type: ignore[union-attr, arg-type]
        dtype: torch.dtype = block.dcv.conv.weight.dtype  # type: ignore[union-attr, assignment]
        return cls(fold(*tensors, dilations=dilations, shortcut=bool(block.add), dtype=dtype), implementation)

    def _apply(self, fn, recurse: bool = True):  # type: ignore[no-untyped-def]
        super()._apply(fn, recurse)
        moved = fn(self._weights.conv_weight)
        self._weights = self._weights.to(moved.device, moved.dtype)
        return self

    def forward(self, x: Tensor) -> Tensor:
        y = dilated_block(x.permute(0, 2, 3, 1), self._weights, implementation=self.implementation)
        return y.permute(0, 3, 1, 2)


class FusedConv(nn.Module):
    """Convolution (stride 1, "same", odd kernel) with folded batch norm, optional SiLU and residual, in one kernel."""

    weight: Tensor
    bias: Tensor

    def __init__(self, weight: Tensor, bias: Tensor, dilation: int = 1, silu: bool = True) -> None:
        super().__init__()
        self.register_buffer("weight", weight.contiguous(memory_format=torch.channels_last))
        self.register_buffer("bias", bias)
        self.dilation, self.activation = dilation, "silu" if silu else None

    @classmethod
    def from_module(cls, module: nn.Module) -> "FusedConv":
        """From a trained Conv (attributes conv, bn, act). Raises ValueError if it has strides, groups, another act."""
        conv = module.conv
        assert isinstance(conv, nn.Conv2d)
        if (
            conv.stride != (1, 1)
            or conv.groups != 1
            or conv.padding != (conv.dilation[0] * (conv.kernel_size[0] // 2),) * 2
        ):
            raise ValueError(f"not a dense stride-1 'same' convolution: {conv}")
        weight, bias = fold_conv(module)
        return cls(weight.to(conv.weight.dtype), bias.to(conv.weight.dtype), int(conv.dilation[0]))

    def forward(self, x: Tensor, residual: Tensor | None = None) -> Tensor:
        y = dilated_conv2d(
            x.permute(0, 2, 3, 1),
            self.weight,
            self.bias,
            dilation=self.dilation,
            activation=self.activation,
            residual=None if residual is None else residual.permute(0, 2, 3, 1),
        )
        return y.permute(0, 3, 1, 2)


class FusedDilatedBottleneck(nn.Module):
    """A DilatedBottleneck in three kernels."""

    def __init__(self, cv1: FusedConv, block: FusedDilatedBlock, cv2: FusedConv, add: bool) -> None:
        super().__init__()
        self.cv1, self.block, self.cv2, self.add = cv1, block, cv2, add

    @classmethod
    def from_module(cls, module: nn.Module) -> "FusedDilatedBottleneck":
        """From a trained DilatedBottleneck (attributes cv1, dilated_block, cv2, add). Raises as its parts do."""
        parts = [module.cv1, module.dilated_block, module.cv2]
        assert all(isinstance(p, nn.Module) for p in parts)
        block = FusedDilatedBlock.from_module(parts[1])  # type: ignore[arg-type]
        return cls(FusedConv.from_module(parts[0]), block, FusedConv.from_module(parts[2]), bool(module.add))  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        return self.cv2(self.block(self.cv1(x)), residual=x if self.add else None)


def fold_conv(module: nn.Module) -> tuple[Tensor, Tensor]:
    """(weight, bias), float64, of a convolution with its batch norm folded in; `module` has conv, act and maybe bn.

    Raises ValueError if act isn't SiLU.
    """
    conv, act = module.conv, module.act
    assert isinstance(conv, nn.Conv2d)
    if not isinstance(act, nn.SiLU):
        raise ValueError(f"activation must be SiLU, got {act}")
    weight = conv.weight.detach().double()
    bias = torch.zeros(weight.shape[0], dtype=torch.float64, device=weight.device)
    if conv.bias is not None:
        bias = conv.bias.detach().double()
    bn = getattr(module, "bn", None)
    if isinstance(bn, nn.BatchNorm2d) and bn.running_mean is not None and bn.running_var is not None:
        scale = bn.weight.detach().double() / (bn.running_var.double() + bn.eps).sqrt()
        weight = weight * scale.view(-1, 1, 1, 1)
        bias = bn.bias.detach().double() + (bias - bn.running_mean.double()) * scale
    return weight, bias


def fuse_dilated(model: nn.Module) -> int:
    """Replace every DilatedBottleneck in `model` (found by class name) by its fused twin; returns how many."""
    count = 0
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if type(child).__name__ == "DilatedBottleneck":
                setattr(parent, name, FusedDilatedBottleneck.from_module(child))
                count += 1
    return count
