"""DocLayout-YOLO as a trainable module, without its package.

Module and parameter names are doclayout_yolo's, so a ``state_dict()`` of this is what ``mineru_accel.layout`` loads.
The grouped 1x1 convolutions of the dilated block are written as products and sums: cuDNN is slow at them.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

YAML: dict[str, Any] = {
    "nc": 10,
    "scale": "n",
    "scales": {"n": [0.33, 0.25, 1024], "s": [0.33, 0.5, 1024]},
    "backbone": [
        [-1, 1, "Conv", [64, 3, 2]], [-1, 1, "Conv", [128, 3, 2]], [-1, 3, "C2f", [128, True]],
        [-1, 1, "Conv", [256, 3, 2]],
        [-1, 6, "G2L_CRM", [256, True, True, [1, 2, 3], 5, "glu"]], [-1, 1, "SCDown", [512, 3, 2]],
        [-1, 6, "G2L_CRM", [512, True, True, [1, 3, 5], 3, "glu"]], [-1, 1, "SCDown", [1024, 3, 2]],
        [-1, 6, "G2L_CRM", [1024, True, False]], [-1, 1, "SPPF", [1024, 5]], [-1, 1, "PSA", [1024]],
    ],
    "head": [
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]], [[-1, 6], 1, "Concat", [1]], [-1, 3, "C2f", [512]],
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]], [[-1, 4], 1, "Concat", [1]], [-1, 3, "C2f", [256]],
        [-1, 1, "Conv", [256, 3, 2]], [[-1, 13], 1, "Concat", [1]], [-1, 3, "C2fCIB", [512, True]],
        [-1, 1, "SCDown", [512, 3, 2]], [[-1, 10], 1, "Concat", [1]], [-1, 3, "C2fCIB", [1024, True]],
        [[16, 19, 22], 1, "v10Detect", ["nc"]],
    ],
}  # fmt: skip


class Conv(nn.Module):
    """Convolution, BatchNorm, SiLU."""

    def __init__(self, c1: int, c2: int, k: int = 1, s: int = 1, g: int = 1, act: bool = True) -> None:
        super().__init__()
        self.conv = nn.Conv2d(c1, c2, k, s, k // 2, groups=g, bias=False)
        self.bn = nn.BatchNorm2d(c2, eps=1e-3, momentum=0.03)
        self.act = nn.SiLU(inplace=True) if act else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))


class Bottleneck(nn.Module):
    def __init__(self, c: int, shortcut: bool) -> None:
        super().__init__()
        self.cv1, self.cv2, self.add = Conv(c, c, 3), Conv(c, c, 3), shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.cv2(self.cv1(x))
        return x + y if self.add else y


class CIB(nn.Module):
    def __init__(self, c: int, shortcut: bool) -> None:
        super().__init__()
        self.cv1 = nn.Sequential(
            Conv(c, c, 3, g=c), Conv(c, 2 * c), Conv(2 * c, 2 * c, 3, g=2 * c), Conv(2 * c, c), Conv(c, c, 3, g=c)
        )
        self.add = shortcut

    def forward(self, x: Tensor) -> Tensor:
        return x + self.cv1(x) if self.add else self.cv1(x)


class DilatedBlock(nn.Module):
    def __init__(self, c: int, dilations: list[int], k: int) -> None:
        super().__init__()
        self.dilations, n = dilations, len(dilations)
        self.cv2 = Conv(c, c)
        self.conv_gating = Conv(c * n, c * n, g=c * n)
        self.conv1x1 = Conv(c * n, c, g=c)
        self.dcv = Conv(c, c, k)
        self.k = k

    def forward(self, x: Tensor) -> Tensor:
        d = self.dcv
        ys = [d.act(d.bn(F.conv2d(x, d.conv.weight, padding=r * (self.k // 2), dilation=r))) for r in self.dilations]
        y = torch.cat([self.cv2(y) for y in ys], 1)
        g = self.conv_gating
        y = y * torch.sigmoid(g.act(g.bn(y * g.conv.weight.view(1, -1, 1, 1).to(y.dtype))))
        m, n = self.conv1x1, len(self.dilations)
        weight = m.conv.weight.view(1, -1, 1, 1).to(y.dtype)
        y = (y * weight).unflatten(1, (-1, n)).sum(2)
        return x + m.act(m.bn(y))


class DilatedBottleneck(nn.Module):
    def __init__(self, c: int, shortcut: bool, dilations: list[int], k: int) -> None:
        super().__init__()
        self.cv1, self.cv2 = Conv(c, c, 3), Conv(c, c, 3)
        self.dilated_block = DilatedBlock(c, dilations, k)
        self.add = shortcut

    def forward(self, x: Tensor) -> Tensor:
        y = self.cv2(self.dilated_block(self.cv1(x)))
        return x + y if self.add else y


class CSP(nn.Module):
    """C2f, C2fCIB and G2L_CRM, by the blocks in it."""

    def __init__(self, c1: int, c2: int, blocks: list[nn.Module]) -> None:
        super().__init__()
        self.c = c2 // 2
        self.cv1 = Conv(c1, 2 * self.c)
        self.cv2 = Conv((2 + len(blocks)) * self.c, c2)
        self.m = nn.ModuleList(blocks)

    def forward(self, x: Tensor) -> Tensor:
        y = list(self.cv1(x).chunk(2, 1))
        for m in self.m:
            y.append(m(y[-1]))
        return self.cv2(torch.cat(y, 1))


class SCDown(nn.Module):
    def __init__(self, c1: int, c2: int, k: int, s: int) -> None:
        super().__init__()
        self.cv1, self.cv2 = Conv(c1, c2), Conv(c2, c2, k, s, g=c2, act=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.cv2(self.cv1(x))


class SPPF(nn.Module):
    def __init__(self, c1: int, c2: int, k: int) -> None:
        super().__init__()
        self.cv1, self.cv2 = Conv(c1, c1 // 2), Conv(c1 * 2, c2)
        self.m = nn.MaxPool2d(k, 1, k // 2)

    def forward(self, x: Tensor) -> Tensor:
        y = [self.cv1(x)]
        for _ in range(3):
            y.append(self.m(y[-1]))
        return self.cv2(torch.cat(y, 1))


class Attention(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.heads = c // 64
        self.head_dim = c // self.heads
        self.key_dim = self.head_dim // 2
        self.qkv = Conv(c, c + 2 * self.key_dim * self.heads, act=False)
        self.proj = Conv(c, c, act=False)
        self.pe = Conv(c, c, 3, g=c, act=False)

    def forward(self, x: Tensor) -> Tensor:
        b, c, h, w = x.shape
        qkv = self.qkv(x).reshape(b, self.heads, -1, h * w)
        q, k, v = qkv.split([self.key_dim, self.key_dim, self.head_dim], 2)
        y = F.scaled_dot_product_attention(q.transpose(2, 3), k.transpose(2, 3), v.transpose(2, 3))
        y = y.transpose(2, 3).reshape(b, c, h, w)
        return self.proj(y + self.pe(v.reshape(b, c, h, w)))


class PSA(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.c = c // 2
        self.cv1, self.cv2 = Conv(c, c), Conv(c, c)
        self.attn = Attention(self.c)
        self.ffn = nn.Sequential(Conv(self.c, 2 * self.c), Conv(2 * self.c, self.c, act=False))

    def forward(self, x: Tensor) -> Tensor:
        a, b = self.cv1(x).split(self.c, 1)
        b = b + self.attn(b)
        b = b + self.ffn(b)
        return self.cv2(torch.cat((a, b), 1))


class Detect(nn.Module):
    """v10Detect with reg_max 1: one-to-many (training only) and one-to-one heads."""

    def __init__(self, nc: int, ch: list[int], strides: list[int]) -> None:
        super().__init__()
        c2, c3 = max(16, ch[0] // 4, 4), max(ch[0], min(nc, 100))

        def box() -> nn.ModuleList:
            return nn.ModuleList(nn.Sequential(Conv(x, c2, 3), Conv(c2, c2, 3), nn.Conv2d(c2, 4, 1)) for x in ch)

        def cls() -> nn.ModuleList:
            return nn.ModuleList(
                nn.Sequential(
                    nn.Sequential(Conv(x, x, 3, g=x), Conv(x, c3)),
                    nn.Sequential(Conv(c3, c3, 3, g=c3), Conv(c3, c3)),
                    nn.Conv2d(c3, nc, 1),
                )
                for x in ch
            )

        self.cv2, self.cv3, self.one2one_cv2, self.one2one_cv3 = box(), cls(), box(), cls()
        self.one2one_cv2.load_state_dict(self.cv2.state_dict())
        self.one2one_cv3.load_state_dict(self.cv3.state_dict())
        for boxes, classes in ((self.cv2, self.cv3), (self.one2one_cv2, self.one2one_cv3)):
            for a, b, s in zip(boxes, classes, strides, strict=True):
                nn.init.constant_(a[-1].bias, 1.0)
                nn.init.constant_(b[-1].bias, math.log(5 / nc / (1024 / s) ** 2))

    def forward(self, xs: list[Tensor]) -> list[tuple[Tensor, Tensor]]:
        """One-to-many, then one-to-one: distances ``(B, A, 4)`` in strides and logits ``(B, A, nc)``."""
        out = []
        for detach, boxes, classes in ((False, self.cv2, self.cv3), (True, self.one2one_cv2, self.one2one_cv3)):
            inputs = [x.detach() for x in xs] if detach else xs
            out.append(tuple(
                torch.cat([head(x).flatten(2) for head, x in zip(heads, inputs, strict=True)], 2)
                .transpose(1, 2)
                .float()
                for heads in (boxes, classes)
            ))  # fmt: skip
        return out


class Network(nn.Module):
    """The whole model of a scale."""

    def __init__(self, scale: str = "n") -> None:
        super().__init__()
        self.yaml = dict(YAML, scale=scale)
        depth, width, most = self.yaml["scales"][scale]
        channels: list[int] = []
        layers: list[nn.Module] = []
        self.sources: list[Any] = []
        for source, repeats, kind, args in [*YAML["backbone"], *YAML["head"]]:
            c1 = channels[source] if isinstance(source, int) and channels else 3
            n = max(round(repeats * depth), 1) if repeats > 1 else repeats
            c2 = math.ceil(min(args[0], most) * width / 8) * 8 if isinstance(args[0], int) and kind != "Concat" else c1
            half = c2 // 2
            rest = args[1:]
            layer: nn.Module
            match kind:
                case "Conv":
                    layer = Conv(c1, c2, *rest)
                case "SCDown":
                    layer = SCDown(c1, c2, *rest)
                case "C2f":
                    layer = CSP(c1, c2, [Bottleneck(half, bool(rest and rest[0])) for _ in range(n)])
                case "C2fCIB":
                    layer = CSP(c1, c2, [CIB(half, bool(rest and rest[0])) for _ in range(n)])
                case "G2L_CRM" if rest[1]:
                    layer = CSP(c1, c2, [DilatedBottleneck(half, rest[0], rest[2], rest[3]) for _ in range(n)])
                case "G2L_CRM":
                    layer = CSP(c1, c2, [CIB(half, rest[0]) for _ in range(n)])
                case "SPPF":
                    layer = SPPF(c1, c2, rest[0])
                case "PSA":
                    layer = PSA(c2)
                case "nn.Upsample":
                    layer = nn.Upsample(scale_factor=2.0, mode="nearest")
                case "Concat":
                    layer, c2 = nn.Identity(), sum(channels[i] for i in source)
                case _:
                    layer, c2 = Detect(YAML["nc"], [channels[i] for i in source], [8, 16, 32]), 0
            layers.append(layer)
            channels.append(c2)
            self.sources.append((kind, source))
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> list[tuple[Tensor, Tensor]]:
        """RGB ``(B, 3, H, W)`` in 0..1."""
        ys: list[Tensor] = []
        for (kind, source), layer in zip(self.sources, self.model, strict=True):
            if kind == "Concat":
                x = torch.cat([ys[-1] if i == -1 else ys[i] for i in source], 1)
            elif isinstance(source, list):
                return layer([ys[i] for i in source])
            else:
                x = layer(x)
            ys.append(x)
        raise AssertionError("no head")
