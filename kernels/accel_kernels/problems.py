"""The shapes of real models as measurable problems: inputs, ground truth, operations and bytes, and baselines.

Used by tuning and by `mineru-accel bench kernels`. Inputs are random and fresh for a seed.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from . import reference
from .conv2d import IMPLEMENTATIONS as FUSED_CONV_IMPLEMENTATIONS
from .conv2d import ConvWeights, conv2d
from .conv2d import shape_key as fused_conv_key
from .dilated_block import IMPLEMENTATIONS as BLOCK_IMPLEMENTATIONS
from .dilated_block import dilated_block, fold
from .dilated_block import shape_key as block_key
from .dilated_conv2d import IMPLEMENTATIONS as CONV_IMPLEMENTATIONS
from .dilated_conv2d import dilated_conv2d
from .dilated_conv2d import shape_key as conv_key
from .patch_embed import IMPLEMENTATIONS as PATCH_IMPLEMENTATIONS
from .patch_embed import fold_patch_weight, patch_embed, patch_embed_uint8
from .patch_embed import shape_key as patch_key

# DocLayout-YOLO, G2L_CRM stages: scale -> (channels at P3, channels at P4); k = 5 at P3, 3 at P4
SCALES = {"n": (32, 64), "s": (64, 128), "m": (96, 192)}
DILATIONS = {5: (1, 2, 3), 3: (1, 3, 5)}
# the image processor of Qwen2-VL
CLIP_MEAN = (0.48145466, 0.4578275, 0.40821073)
CLIP_STD = (0.26862954, 0.26130258, 0.27577711)


def page_at_p3(imgsz: int) -> tuple[int, int]:
    """(rows, columns) at stride 8 of an A4 page whose longer side is `imgsz`, padded to multiples of 32 pixels."""
    return imgsz // 8, -(-round(imgsz / 2**0.5) // 32) * 32 // 8


@dataclass
class Problem:
    """One op at one shape. `run(implementation)` gives its output, `truth()` the float64 reference's."""

    op: str
    title: str
    key: tuple[str, str, int]  # shape_cache's family, exact, size
    x: Tensor  # the activations: device and dtype for shape_cache
    implementations: tuple[str, ...]
    run: Callable[[str], Tensor]
    truth: Callable[[], Tensor]
    flops: float
    bytes: float  # each input read once, each output written once
    depth: int  # longest reduction, for the error bound
    baselines: dict[str, Callable[[], Tensor]] = field(default_factory=dict)


def conv_problem(
    b: int,
    h: int,
    w: int,
    c: int,
    k: int,
    dilation: int,
    dtype: torch.dtype,
    device: torch.device,
    epilogue: bool = False,
    seed: int = 0,
) -> Problem:
    """A convolution, bare or with bias, SiLU and residual, against cuDNN's or MIOpen's in NHWC."""
    rand = _generator(device, seed)
    x, weight = rand(b, h, w, c).to(dtype), (rand(c, c, k, k) / (c * k * k) ** 0.5).to(dtype)
    weight = weight.contiguous(memory_format=torch.channels_last)
    bias, residual = (rand(c).to(dtype), rand(b, h, w, c).to(dtype)) if epilogue else (None, None)
    activation = "silu" if epilogue else None

    def run(implementation: str) -> Tensor:
        return dilated_conv2d(
            x,
            weight,
            bias,
            dilation=dilation,
            activation=activation,
            residual=residual,
            implementation=implementation,
        )

    def truth() -> Tensor:
        more = [None if t is None else t.double() for t in (bias, residual)]
        return reference.dilated_conv2d(
            x.double(), weight.double(), more[0], dilation=dilation, activation=activation, residual=more[1]
        )

    def eager() -> Tensor:
        y = F.conv2d(x.permute(0, 3, 1, 2), weight, bias, padding=dilation * (k // 2), dilation=dilation)
        return y.permute(0, 2, 3, 1) if residual is None else F.silu(y).permute(0, 2, 3, 1) + residual

    return Problem(
        op="dilated_conv2d",
        title=f"dilated_conv2d{' bias silu residual' if epilogue else ''} C={c} k={k} d={dilation} {b}x{h}x{w}",
        key=conv_key(x, c, k, dilation, epilogue),
        x=x,
        implementations=CONV_IMPLEMENTATIONS,
        run=run,
        truth=truth,
        flops=2.0 * b * h * w * c * c * k * k,
        bytes=x.element_size() * ((3 if epilogue else 2) * x.numel() + weight.numel()),
        depth=c * k * k,
        baselines={"eager NHWC": eager},
    )


def fused_conv_problem(
    b: int,
    h: int,
    w: int,
    c: int,
    n: int,
    k: int,
    stride: int,
    dtype: torch.dtype,
    device: torch.device,
    residual: bool = False,
    low: bool = False,
    seed: int = 0,
) -> Problem:
    """A convolution with bias, SiLU and the additions of a layer of the layout model, against eager NHWC."""
    rand = _generator(device, seed)
    x, weight, bias = rand(b, h, w, c).to(dtype), (rand(n, c, k, k) / (c * k * k) ** 0.5).to(dtype), rand(n)
    weights = ConvWeights.pack(weight, bias, dtype, device)
    ho, wo = -(-h // stride), -(-w // stride)
    r = rand(b, ho, wo, n).to(dtype) if residual else None
    below = rand(b, ho // 2, wo // 2, n).to(dtype) if low else None
    out = torch.empty(b, ho, wo, n, dtype=dtype, device=device)
    nchw, nhwc_weight = x.permute(0, 3, 1, 2), weight.contiguous(memory_format=torch.channels_last)

    def run(implementation: str) -> Tensor:
        return conv2d(
            x, weights, out, stride=stride,
            activation="silu", residual=r, low=below, implementation=implementation
        )  # fmt: skip

    def truth() -> Tensor:
        z = F.conv2d(nchw.double(), weight.double(), bias.double(), stride, k // 2).permute(0, 2, 3, 1)
        if below is not None:
            z = z + below.double().repeat_interleave(2, 1).repeat_interleave(2, 2)
        return F.silu(z) + (0 if r is None else r.double())

    def eager() -> Tensor:
        y = F.silu(F.conv2d(nchw, nhwc_weight, bias.to(dtype), stride, k // 2)).permute(0, 2, 3, 1)
        return y if r is None else y + r

    reads = x.numel() + weight.numel() + sum(t.numel() for t in (r, below) if t is not None)
    return Problem(
        op="conv2d",
        title=f"conv2d {k}x{k} s{stride} {c}->{n} {b}x{h}x{w}",
        key=fused_conv_key(x, n, k, stride),
        x=x,
        implementations=FUSED_CONV_IMPLEMENTATIONS,
        run=run,
        truth=truth,
        flops=2.0 * b * ho * wo * c * n * k * k,
        bytes=x.element_size() * (reads + out.numel()),
        depth=c * k * k,
        baselines={"eager NHWC": eager},
    )


def block_problem(
    b: int, h: int, w: int, c: int, k: int, dtype: torch.dtype, device: torch.device, fuse: str = "glu", seed: int = 0
) -> Problem:
    """DocLayout-YOLO's DilatedBlock, against the unfused module in eager PyTorch, channels_last."""
    rand = _generator(device, seed)
    dilations = DILATIONS.get(k, (1, 2, 3))
    module = EagerDilatedBlock(c, dilations, k, fuse).to(device, dtype).eval()
    module.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    module.randomize(rand)
    folded = module.folded()
    weights = fold(*folded, dilations=dilations, dtype=dtype)
    x = rand(b, h, w, c).to(dtype)
    nchw = x.permute(0, 3, 1, 2)

    def eager() -> Tensor:
        with torch.no_grad():
            return module(nchw).permute(0, 2, 3, 1)

    return Problem(
        op="dilated_block",
        title=f"dilated_block {fuse} C={c} k={k} {b}x{h}x{w}",
        key=block_key(x, k, dilations, fuse),
        x=x,
        implementations=BLOCK_IMPLEMENTATIONS,
        run=lambda implementation: dilated_block(x, weights, implementation=implementation),
        truth=lambda: reference.dilated_block(x.double(), *folded, dilations=dilations),
        flops=2.0 * len(dilations) * b * h * w * c * c * (k * k + 1),
        bytes=x.element_size() * (2 * x.numel() + c * c * (k * k + 1)),
        depth=c * k * k,
        baselines={"eager": eager},
    )


def patch_problem(m: int, n: int, dtype: torch.dtype, device: torch.device, seed: int = 0) -> Problem:
    """Qwen2-VL's patch embedding as a product, against F.linear."""
    rand = _generator(device, seed)
    x, weight = rand(m, 3, 2, 14, 14).to(dtype), (rand(n, 3, 2, 14, 14) * 0.02).to(dtype)
    flat, rows = x.flatten(1), weight.flatten(1)
    return Problem(
        op="patch_embed",
        title=f"patch_embed L={m} N={n}",
        key=patch_key(m, n, flat.shape[1]),
        x=flat,
        implementations=PATCH_IMPLEMENTATIONS,
        run=lambda implementation: patch_embed(x, weight, implementation=implementation),
        truth=lambda: reference.patch_embed(x.double(), weight.double()),
        flops=2.0 * m * n * flat.shape[1],
        bytes=x.element_size() * (x.numel() + weight.numel() + m * n),
        depth=flat.shape[1],
        baselines={"F.linear": lambda: F.linear(flat, rows)},
    )


def uint8_problem(m: int, n: int, device: torch.device, row: int = 592, seed: int = 0) -> Problem:
    """The fused uint8 patch embedding (rows of `row` bytes), against normalize + cast + F.linear on the device."""
    rand = _generator(device, seed)
    weight = (rand(n, 3, 2, 14, 14) * 0.02).to(torch.bfloat16)
    pixels = torch.randint(0, 256, (m, row), dtype=torch.uint8, device=device)[:, :588]
    double = pixels.view(m, 3, 1, 196).expand(m, 3, 2, 196).reshape(m, 1176)  # what the float path is sent
    folded = fold_patch_weight(weight, CLIP_MEAN, CLIP_STD)
    rows = weight.flatten(1)
    mean, std = (torch.tensor(v, device=device).mul(255).repeat_interleave(392) for v in (CLIP_MEAN, CLIP_STD))

    def float_path() -> Tensor:
        return F.linear(((double.float() - mean) / std).to(torch.bfloat16), rows)

    return Problem(
        op="patch_embed_uint8",
        title=f"patch_embed_uint8 L={m} N={n}",
        key=patch_key(m, n, 588),
        x=pixels,
        implementations=PATCH_IMPLEMENTATIONS,
        run=lambda implementation: patch_embed_uint8(pixels, folded, implementation=implementation),
        truth=lambda: reference.patch_embed_uint8(pixels.contiguous(), weight.double(), CLIP_MEAN, CLIP_STD),
        flops=2.0 * m * n * 588,
        bytes=m * 588 + 2 * n * 588 + 2 * m * n,
        depth=588,
        baselines={"normalize+cast+F.linear": float_path},
    )


def _generator(device: torch.device, seed: int) -> Callable[..., Tensor]:
    generator = torch.Generator(device).manual_seed(seed)
    return lambda *shape: torch.randn(*shape, generator=generator, device=device)


class _Conv(nn.Module):
    """Convolution, batch norm, SiLU: the "Conv" of the YOLO family."""

    def __init__(self, inputs: int, outputs: int, k: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, k, padding=k // 2, groups=groups, bias=False)
        self.bn = nn.BatchNorm2d(outputs, eps=1e-3)
        self.act = nn.SiLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.act(self.bn(self.conv(x)))

    def folded(self) -> tuple[Tensor, Tensor]:
        """(weight, bias) with the batch norm in them, float64."""
        bn = self.bn
        assert bn.running_mean is not None and bn.running_var is not None
        scale = bn.weight.double() / (bn.running_var.double() + bn.eps).sqrt()
        return self.conv.weight.double() * scale.view(-1, 1, 1, 1), bn.bias.double() - bn.running_mean.double() * scale


class EagerDilatedBlock(nn.Module):
    """doclayout_yolo's DilatedBlock, operation by operation; x (B, C, H, W)."""

    def __init__(self, c: int, dilations: tuple[int, ...], k: int, fuse: str = "glu") -> None:
        super().__init__()
        d = len(dilations)
        self.dilations, self.k, self.fuse = dilations, k, fuse
        self.dcv, self.cv2 = _Conv(c, c, k), _Conv(c, c)
        if fuse == "glu":
            self.conv_gating, self.conv1x1 = _Conv(c * d, c * d, groups=c * d), _Conv(c * d, c, groups=c)
        else:
            self.conv1x1 = _Conv(c, c, groups=c)

    def forward(self, x: Tensor) -> Tensor:
        branches = []
        for d in self.dilations:
            u = F.conv2d(x, self.dcv.conv.weight, padding=d * (self.k // 2), dilation=d)
            branches.append(self.cv2(self.dcv.act(self.dcv.bn(u))))
        if self.fuse == "glu":
            v = torch.cat(branches, dim=1)
            return x + self.conv1x1(v * torch.sigmoid(self.conv_gating(v)))
        return x + self.conv1x1(torch.sum(torch.cat([b.unsqueeze(0) for b in branches], dim=0), dim=0))

    @torch.no_grad()
    def randomize(self, rand: Callable[..., Tensor]) -> None:
        """Weights and batch norms of a trained network's magnitude."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                weight = module.weight
                weight.copy_(rand(*weight.shape) / weight[0].numel() ** 0.5)
            elif isinstance(module, nn.BatchNorm2d):
                assert module.running_mean is not None and module.running_var is not None
                module.weight.copy_(1 + 0.2 * rand(module.num_features))
                module.bias.copy_(0.2 * rand(module.num_features))
                module.running_mean.copy_(0.2 * rand(module.num_features))
                module.running_var.copy_(0.5 + rand(module.num_features).abs())

    @torch.no_grad()
    def folded(self) -> list[Tensor]:
        """The arguments of `fold` and `reference.dilated_block`, float64."""
        conv, mix, out = self.dcv.folded(), self.cv2.folded(), self.conv1x1.folded()
        tensors = [conv[0], conv[1], mix[0].flatten(1), mix[1], out[0].flatten(1), out[1]]
        if self.fuse == "glu":
            gate = self.conv_gating.folded()
            tensors += [gate[0].flatten(), gate[1]]
        return tensors
