"""From a checkpoint's yaml and weights to the inference graph.

Follows doclayout_yolo's ``parse_model`` for the modules of DocLayout-YOLO. The one-to-many head is left out: it is for
training only. BatchNorm is folded into convolutions, and RepVGGDW's 3x3 into its 7x7, in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from ..checkpoint import Checkpoint, CheckpointError
from .graph import Add, Attention, Concat, Conv, DilatedBlock, Graph, Level, MaxPool, Node, Op, Slice, Upsample, Weights


def build_graph(ckpt: Checkpoint) -> Graph:
    """Build the inference graph of a checkpoint, any scale.

    Raises:
        CheckpointError: if the architecture is not DocLayout-YOLO's, or the weights don't fit it.
    """
    try:
        return _Builder(ckpt).build()
    except CheckpointError as exc:
        raise CheckpointError(f"{ckpt.source or 'checkpoint'}: {exc}") from None
    except (KeyError, IndexError, TypeError, ValueError) as exc:
        raise CheckpointError(f"{ckpt.source or 'checkpoint'}: its yaml can't be read ({exc!r})") from exc


class _Builder:
    """Builds a graph block by block. A *value* (a feature map) is an index into ``channels`` and ``strides``."""

    def __init__(self, ckpt: Checkpoint) -> None:
        self.state: Mapping[str, np.ndarray] = ckpt.state
        self.yaml = ckpt.yaml
        self.classes = ckpt.classes
        self.eps = ckpt.bn_eps
        self.graph = Graph()
        self.channels = [int(ckpt.yaml.get("ch", 3))]
        self.strides = [1]

    def build(self) -> Graph:
        """Add every layer of backbone and head."""
        if self.yaml.get("activation"):
            raise CheckpointError(f"activation {self.yaml['activation']} is not supported (only SiLU)")
        scales = self.yaml.get("scales")
        depth = float(self.yaml.get("depth_multiple", 1.0))
        if scales:
            depth = float(scales[self.yaml.get("scale") or next(iter(scales))][0])
        outputs: list[int] = []  # value of each layer
        for i, (source, repeats, module, args) in enumerate([*self.yaml["backbone"], *self.yaml["head"]]):
            previous = outputs[-1] if outputs else 0
            inputs = [previous if j == -1 else outputs[j] for j in (source if isinstance(source, list) else [source])]
            n = max(round(repeats * depth), 1) if repeats > 1 else repeats
            if module == "v10Detect":
                self._detect(f"model.{i}", inputs)
                return self.graph
            if module not in _BLOCKS:
                raise CheckpointError(f"module {module} is not one of DocLayout-YOLO's")
            if n != 1 and module not in _REPEATING:
                raise CheckpointError(f"{n} x {module} is not supported")
            outputs.append(_BLOCKS[module](self, f"model.{i}", inputs, n, list(args)))
        raise CheckpointError("no v10Detect head")

    # Primitives -----------------------------------------------------------------------------------------------

    def add(self, name: str, op: Op, inputs: Sequence[int], channels: int, scale: float = 1) -> int:
        """Append a node; ``scale``: its stride as a multiple of its first input's."""
        value = len(self.channels)
        self.graph.nodes.append(Node(name, op, tuple(inputs), value))
        self.channels.append(channels)
        self.strides.append(int(self.strides[inputs[0]] * scale))
        return value

    def weights(self, prefix: str, conv: str = "conv") -> Weights:
        """Convolution weights with the BatchNorm behind it folded in (float64, then rounded to float32).

        A checkpoint fused by doclayout_yolo has a bias instead of the BatchNorm.
        """
        weight = self.tensor(f"{prefix}.{conv}.weight" if conv else f"{prefix}.weight").astype(np.float64)
        bias_name = f"{prefix}.{conv}.bias" if conv else f"{prefix}.bias"
        bias = self.state[bias_name].astype(np.float64) if bias_name in self.state else np.zeros(len(weight))
        if conv and f"{prefix}.bn.weight" in self.state:
            gamma, beta, mean, var = (
                self.tensor(f"{prefix}.bn.{k}").astype(np.float64)
                for k in ("weight", "bias", "running_mean", "running_var")
            )
            gain = gamma / np.sqrt(var + self.eps)
            weight, bias = weight * gain[:, None, None, None], beta + (bias - mean) * gain
        elif bias_name not in self.state:
            raise CheckpointError(f"weights don't fit the architecture: {prefix} has neither BatchNorm nor bias")
        return Weights(weight.astype(np.float32), bias.astype(np.float32))

    def tensor(self, name: str) -> np.ndarray:
        """One tensor of the checkpoint."""
        if name not in self.state:
            raise CheckpointError(f"weights don't fit the architecture: no {name}")
        return self.state[name]

    def check(self, prefix: str, weights: Weights, c1: int, groups: int) -> None:
        """Refuse weights for another number of input channels."""
        taken = weights.weight.shape[1] * groups
        if taken != c1:
            raise CheckpointError(f"weights don't fit the architecture: {prefix} takes {taken} channels, not {c1}")

    def conv(self, prefix: str, x: int, *, stride: int = 1, depthwise: bool = False, act: bool = True) -> int:
        """A Conv module: convolution, BatchNorm, SiLU."""
        groups = self.channels[x] if depthwise else 1
        return self.conv_op(prefix, x, Conv(self.weights(prefix), stride, groups, act))

    def conv_op(self, prefix: str, x: int, op: Conv) -> int:
        self.check(prefix, op.weights, self.channels[x], op.groups)
        return self.add(prefix, op, [x], len(op.weights.bias), op.stride)

    def slice(self, name: str, x: int, start: int, stop: int) -> int:
        return self.add(name, Slice(start, stop), [x], stop - start)

    def concat(self, name: str, xs: Sequence[int]) -> int:
        if len({self.strides[x] for x in xs}) != 1:
            raise CheckpointError(f"{name} joins maps of different sizes")
        return self.add(name, Concat(), xs, sum(self.channels[x] for x in xs))

    def shortcut(self, name: str, x: int, y: int, wanted: bool) -> int:
        """``x + y`` where that is wanted and possible, else ``y``."""
        if not wanted or self.channels[x] != self.channels[y]:
            return y
        return self.add(f"{name}.add", Add(), [x, y], self.channels[y])

    # Blocks ---------------------------------------------------------------------------------------------------

    def csp(self, prefix: str, x: int, n: int, block: Callable[[str, int], int]) -> int:
        """C2f and similar modules: half the channels go through n blocks; all intermediate results are joined."""
        x = self.conv(f"{prefix}.cv1", x)
        half = self.channels[x] // 2
        parts = [x, self.slice(f"{prefix}.split", x, half, 2 * half)]
        for j in range(n):
            parts.append(block(f"{prefix}.m.{j}", parts[-1]))
        del parts[1]  # the second half is in x already
        return self.conv(f"{prefix}.cv2", self.concat(f"{prefix}.cat", parts))

    def bottleneck(self, prefix: str, x: int, shortcut: bool) -> int:
        return self.shortcut(prefix, x, self.conv(f"{prefix}.cv2", self.conv(f"{prefix}.cv1", x)), shortcut)

    def cib(self, prefix: str, x: int, shortcut: bool, large_kernel: bool) -> int:
        """Depthwise and pointwise convolutions in turn; the middle one 7x7 if ``large_kernel``."""
        y = self.conv(f"{prefix}.cv1.0", x, depthwise=True)
        y = self.conv(f"{prefix}.cv1.1", y)
        middle = f"{prefix}.cv1.2"
        y = self.rep_vgg_dw(middle, y) if large_kernel else self.conv(middle, y, depthwise=True)
        y = self.conv(f"{prefix}.cv1.3", y)
        y = self.conv(f"{prefix}.cv1.4", y, depthwise=True)
        return self.shortcut(prefix, x, y, shortcut)

    def rep_vgg_dw(self, prefix: str, x: int) -> int:
        """Depthwise 7x7 plus depthwise 3x3, one kernel at inference."""
        if f"{prefix}.conv.weight" in self.state:  # fused by doclayout_yolo
            weights = self.weights(prefix)
        else:
            large, small = self.weights(f"{prefix}.conv"), self.weights(f"{prefix}.conv1")
            pad = (large.weight.shape[-1] - small.weight.shape[-1]) // 2
            padded = np.pad(small.weight, ((0, 0), (0, 0), (pad, pad), (pad, pad)))
            weights = Weights(large.weight + padded, large.bias + small.bias)
        return self.conv_op(prefix, x, Conv(weights, groups=self.channels[x]))

    def dilated_bottleneck(self, prefix: str, x: int, shortcut: bool, dilations: Sequence[int], fuse: str) -> int:
        """3x3, dilated block, 3x3."""
        y = self.conv(f"{prefix}.cv1", x)
        block = f"{prefix}.dilated_block"
        c, n = self.channels[y], len(dilations)
        op = DilatedBlock(
            dcv=self.weights(f"{block}.dcv"),
            cv2=self.weights(f"{block}.cv2"),
            merge=self.weights(f"{block}.conv1x1"),
            gate=self.weights(f"{block}.conv_gating") if fuse == "glu" else None,
            dilations=tuple(int(d) for d in dilations),
            shortcut=True,
        )
        self.check(f"{block}.dcv", op.dcv, c, 1)
        self.check(f"{block}.cv2", op.cv2, c, 1)
        self.check(f"{block}.conv1x1", op.merge, c * n if fuse == "glu" else c, c)
        y = self.add(block, op, [y], c)
        return self.shortcut(prefix, x, self.conv(f"{prefix}.cv2", y), shortcut)

    def psa(self, prefix: str, x: int) -> int:
        """Half the channels through self-attention and a small feed-forward network."""
        x = self.conv(f"{prefix}.cv1", x)
        c = self.channels[x] // 2
        heads = c // 64
        head_dim = c // heads
        key_dim = head_dim // 2
        a, b = self.slice(f"{prefix}.a", x, 0, c), self.slice(f"{prefix}.b", x, c, 2 * c)
        # The checkpoint keeps q, k, v of one head together; with all q, all k, all v, the values are one slice.
        qkv = self.weights(f"{prefix}.attn.qkv")
        parts = (key_dim, key_dim, head_dim)
        offsets = np.arange(heads * sum(parts)).reshape(heads, -1)
        order = np.concatenate([p.ravel() for p in np.split(offsets, np.cumsum(parts)[:-1], axis=1)])
        y = self.conv_op(f"{prefix}.attn.qkv", b, Conv(Weights(qkv.weight[order], qkv.bias[order]), act=False))
        v = self.slice(f"{prefix}.attn.v", y, 2 * heads * key_dim, self.channels[y])
        y = self.add(f"{prefix}.attn", Attention(heads, key_dim, head_dim), [y], c)
        y = self.add(f"{prefix}.attn.sum", Add(), [y, self.conv(f"{prefix}.attn.pe", v, depthwise=True, act=False)], c)
        b = self.add(f"{prefix}.b1", Add(), [b, self.conv(f"{prefix}.attn.proj", y, act=False)], c)
        y = self.conv(f"{prefix}.ffn.1", self.conv(f"{prefix}.ffn.0", b), act=False)
        b = self.add(f"{prefix}.b2", Add(), [b, y], c)
        return self.conv(f"{prefix}.cv2", self.concat(f"{prefix}.cat", [a, b]))

    def sppf(self, prefix: str, x: int, kernel: int) -> int:
        """Maxima over growing windows, joined."""
        parts = [self.conv(f"{prefix}.cv1", x)]
        for j in range(3):
            parts.append(self.add(f"{prefix}.m.{j}", MaxPool(kernel), [parts[-1]], self.channels[parts[-1]]))
        return self.conv(f"{prefix}.cv2", self.concat(f"{prefix}.cat", parts))

    def _detect(self, prefix: str, inputs: Sequence[int]) -> None:
        """The one-to-one head: boxes and classes for each of the three resolutions."""
        for i, x in enumerate(inputs):
            y = self.conv(f"{prefix}.one2one_cv2.{i}.0", x)
            box = self._plain_conv(f"{prefix}.one2one_cv2.{i}.2", self.conv(f"{prefix}.one2one_cv2.{i}.1", y))
            y = x
            for j in (0, 1):
                y = self.conv(f"{prefix}.one2one_cv3.{i}.{j}.0", y, depthwise=True)
                y = self.conv(f"{prefix}.one2one_cv3.{i}.{j}.1", y)
            cls = self._plain_conv(f"{prefix}.one2one_cv3.{i}.2", y)
            self.graph.levels.append(Level(box, cls, self.strides[x]))
        self.graph.reg_max = self.channels[box] // 4
        self.graph.nc = self.channels[cls]
        if self.graph.nc != int(self.yaml["nc"]):
            raise CheckpointError(f"the head has {self.graph.nc} classes, the yaml {self.yaml['nc']}")
        if self.graph.nc != len(self.classes):
            raise CheckpointError(f"the head has {self.graph.nc} classes, {len(self.classes)} have names")

    def _plain_conv(self, prefix: str, x: int) -> int:
        return self.conv_op(prefix, x, Conv(self.weights(prefix, conv=""), act=False))


def _arg(args: Sequence[Any], i: int, default: Any) -> Any:
    return args[i] if len(args) > i else default


def _conv(b: _Builder, p: str, xs: list[int], n: int, args: list[Any]) -> int:
    return b.conv(p, xs[0], stride=int(_arg(args, 2, 1)))


def _scdown(b: _Builder, p: str, xs: list[int], n: int, args: list[Any]) -> int:
    return b.conv_op(f"{p}.cv2", y := b.conv(f"{p}.cv1", xs[0]),
                     Conv(b.weights(f"{p}.cv2"), int(args[2]), b.channels[y], act=False))  # fmt: skip


def _c2f(b: _Builder, p: str, xs: list[int], n: int, args: list[Any]) -> int:
    return b.csp(p, xs[0], n, lambda q, x: b.bottleneck(q, x, bool(_arg(args, 1, False))))


def _c2fcib(b: _Builder, p: str, xs: list[int], n: int, args: list[Any]) -> int:
    return b.csp(p, xs[0], n, lambda q, x: b.cib(q, x, bool(_arg(args, 1, False)), bool(_arg(args, 2, False))))


def _g2l_crm(b: _Builder, p: str, xs: list[int], n: int, args: list[Any]) -> int:
    """Args: channels, shortcut, use_dilated, dilations, kernel, fuse."""
    shortcut = bool(_arg(args, 1, False))
    if not _arg(args, 2, False):
        return b.csp(p, xs[0], n, lambda q, x: b.cib(q, x, shortcut, False))
    dilations, fuse = _arg(args, 3, [1, 2, 3]), _arg(args, 5, "sum")
    return b.csp(p, xs[0], n, lambda q, x: b.dilated_bottleneck(q, x, shortcut, dilations, fuse))


def _sppf(b: _Builder, p: str, xs: list[int], n: int, args: list[Any]) -> int:
    return b.sppf(p, xs[0], int(_arg(args, 1, 5)))


def _psa(b: _Builder, p: str, xs: list[int], n: int, args: list[Any]) -> int:
    return b.psa(p, xs[0])


def _upsample(b: _Builder, p: str, xs: list[int], n: int, args: list[Any]) -> int:
    if args[1:] != [2, "nearest"]:
        raise CheckpointError(f"upsampling {args} is not supported")
    return b.add(p, Upsample(), xs, b.channels[xs[0]], 0.5)


def _concat(b: _Builder, p: str, xs: list[int], n: int, args: list[Any]) -> int:
    return b.concat(p, xs)


_BLOCKS: dict[str, Callable[[_Builder, str, list[int], int, list[Any]], int]] = {
    "Conv": _conv, "SCDown": _scdown, "C2f": _c2f, "C2fCIB": _c2fcib, "G2L_CRM": _g2l_crm, "SPPF": _sppf,
    "PSA": _psa, "nn.Upsample": _upsample, "Concat": _concat,
}  # fmt: skip
_REPEATING = {"C2f", "C2fCIB", "G2L_CRM"}
