"""Lowers a layout network's graph to fused steps: which kernels run, and which values share memory."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial

import torch
import torch.nn.functional as F
from accel_kernels.conv2d import ConvWeights, conv2d
from accel_kernels.depthwise_conv2d import depthwise_conv2d, pack_taps
from accel_kernels.dilated_block import dilated_block_into, fold
from accel_kernels.image_conv2d import image_conv2d, pack_image_weight
from accel_kernels.max_pool2d import max_pool2d
from torch import Tensor

from ..network import graph as g

Kernel = Callable[[Sequence[Tensor], Tensor], object]
"""Called with the maps of a step's inputs and the map to write."""


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One launch: the values that it reads, and the one that it writes."""

    name: str
    inputs: tuple[int, ...]
    output: int
    launch: Kernel
    flops_per_pixel: float = 0.0
    """Operations for each pixel of the output."""
    kind: str = ""
    """For reports and tuning: ``3x3 s1 96->96``."""
    conv: tuple[int, int, int, int] | None = None
    """A dense convolution's channels in and out, kernel size and stride."""


@dataclass(frozen=True, slots=True)
class Value:
    """A feature map's form."""

    channels: int
    scale: int
    """Height of the image over that of the map."""
    dtype: torch.dtype


@dataclass(slots=True)
class LoweredNetwork:
    """A network as steps over values.

    Numbers of values are the graph's, from 0 on (0: the image). Values that lowering adds have negative numbers, which
    can't be the graph's.
    """

    steps: list[Step] = field(default_factory=list)
    values: dict[int, Value] = field(default_factory=dict)
    home: dict[int, tuple[int, int]] = field(default_factory=dict)
    """A value without memory of its own -> the value that holds it, and its first channel there."""

    def root(self, value: int) -> tuple[int, int]:
        """The value with memory of its own that holds ``value``, and its first channel there."""
        offset = 0
        while value in self.home:
            value, shift = self.home[value]
            offset += shift
        return value, offset


def lower(
    graph: g.Graph, device: torch.device, dtype: torch.dtype, *, block_bytes: int, convolution: str
) -> LoweredNetwork:
    """Turn a graph into fused steps; see :class:`~.fused_network.FusedNetwork` for the arguments.

    Raises:
        NotImplementedError: if the graph has an op that the kernels don't cover.
    """
    return _Lowering(graph, device, dtype, block_bytes, convolution).lower()


class _Lowering:
    """Lowers one graph."""

    def __init__(
        self, graph: g.Graph, device: torch.device, dtype: torch.dtype, block_bytes: int, convolution: str
    ) -> None:
        self.graph, self.device, self.dtype = graph, device, dtype
        self.block_bytes = block_bytes
        self.conv2d = partial(conv2d, implementation=convolution)
        self.out = LoweredNetwork()
        self.added = 0
        """Values that the graph doesn't have."""
        self.producer = {node.output: i for i, node in enumerate(graph.nodes)}
        self.readers: dict[int, list[int]] = {}
        for i, node in enumerate(graph.nodes):
            for value in node.inputs:
                self.readers.setdefault(value, []).append(i)
        self.results = {v for level in graph.levels for v in (level.box, level.cls)}
        self.done: set[int] = set()
        """Nodes that are part of another node's step."""
        self.residuals: dict[int, tuple[int, int]] = {}
        """Index of a convolution's node -> the value to add to it, and the value of the sum."""
        self.split: dict[int, tuple[int, int, bool]] = {}
        """Index of a 1x1 convolution's node -> map to be upsampled, other map, whether the former comes first."""
        self.padded: dict[int, g.Attention] = {}
        """Values whose queries and keys are padded to multiples of eight -> the attention that reads them."""

    def lower(self) -> LoweredNetwork:
        """All steps, in the graph's order."""
        self.out.values[0] = Value(3, 1, torch.uint8)
        self._find_sums()
        self._find_upsampled()
        self._measure()
        concats = []
        for i, node in enumerate(self.graph.nodes):
            if i in self.done:
                continue
            match node.op:
                case g.Conv():
                    self._conv(i, node, node.op)
                case g.DilatedBlock():
                    self._dilated_block(node, node.op)
                case g.Attention():
                    self._attention(node, node.op)
                case g.Slice():
                    self._slice(node, node.op)
                case g.Concat():
                    concats.append(node)
                    self._concat(node)
                case g.Add():
                    self._step(node.name, node.inputs, node.output, lambda x, out: torch.add(x[0], x[1], out=out))
                case g.MaxPool():
                    self._step(node.name, node.inputs, node.output, partial(_max_pool, node.op.kernel))
                case g.Upsample():
                    self._step(node.name, node.inputs, node.output, _upsample)
        return self.out

    def _only_reader(self, value: int) -> int | None:
        """The node that reads a value, if it is the only one and the value is no result."""
        readers = self.readers.get(value, [])
        return readers[0] if len(readers) == 1 and value not in self.results else None

    def _find_sums(self) -> None:
        """Sums become part of the convolution that makes their later addend, if nothing else reads that."""
        for i, node in enumerate(self.graph.nodes):
            if not isinstance(node.op, g.Add) or node.inputs[0] == node.inputs[1]:
                continue
            x, y = sorted(node.inputs, key=lambda v: self.producer.get(v, -1))
            j = self.producer.get(y, -1)
            if j < 0 or not isinstance(self.graph.nodes[j].op, g.Conv) or self._only_reader(y) != i:
                continue
            self.residuals[j] = (x, node.output)
            self.done.add(i)

    def _find_upsampled(self) -> None:
        """A 1x1 convolution over an upsampled map and another becomes two; see :mod:`.fused_network`."""
        for i, node in enumerate(self.graph.nodes):
            op = node.op
            if not (isinstance(op, g.Conv) and op.kernel == 1 and op.stride == 1 and op.groups == 1):
                continue
            j = self.producer.get(node.inputs[0], -1)
            if j < 0 or not isinstance(self.graph.nodes[j].op, g.Concat) or self._only_reader(node.inputs[0]) != i:
                continue
            parts = self.graph.nodes[j].inputs
            ups = [k for k, v in enumerate(parts) if self._is_upsampled(v, j)]
            if len(parts) != 2 or len(ups) != 1:
                continue
            up = self.producer[parts[ups[0]]]
            self.split[i] = (self.graph.nodes[up].inputs[0], parts[1 - ups[0]], ups[0] == 0)
            self.done |= {up, j}

    def _is_upsampled(self, value: int, reader: int) -> bool:
        j = self.producer.get(value, -1)
        return j >= 0 and isinstance(self.graph.nodes[j].op, g.Upsample) and self._only_reader(value) == reader

    def _measure(self) -> None:
        """Channels and scale of every value."""
        values = self.out.values
        for node in self.graph.nodes:
            first = values[node.inputs[0]]
            channels, scale = first.channels, first.scale
            match node.op:
                case g.Conv():
                    channels, scale = len(node.op.weights.bias), scale * node.op.stride
                case g.Attention():
                    channels = node.op.heads * node.op.head_dim
                case g.Slice():
                    channels = node.op.stop - node.op.start
                case g.Concat():
                    channels = sum(values[v].channels for v in node.inputs)
                case g.Upsample():
                    scale //= 2
            dtype = torch.float32 if node.output in self.results else self.dtype
            values[node.output] = Value(channels, scale, dtype)

    def _add_value(self, value: Value) -> int:
        """Add a value that the graph doesn't have; its number."""
        self.added += 1
        self.out.values[-self.added] = value
        return -self.added

    def _step(
        self,
        name: str,
        inputs: Sequence[int],
        output: int,
        launch: Kernel,
        flops: float = 0.0,
        kind: str = "",
        conv: tuple[int, int, int, int] | None = None,
    ) -> None:
        if conv is not None:
            kind = f"{conv[2]}x{conv[2]} s{conv[3]} {conv[0]}->{conv[1]}"
        self.out.steps.append(Step(name, tuple(inputs), output, launch, flops, kind or name.rpartition(".")[2], conv))

    def _tensors(self, weights: g.Weights) -> tuple[Tensor, Tensor]:
        return torch.from_numpy(weights.weight), torch.from_numpy(weights.bias)

    def _conv(self, i: int, node: g.Node, op: g.Conv) -> None:
        residual, output = self.residuals.get(i, (None, node.output))
        if op.groups > 1:
            self._depthwise(node, op, output, residual)
        elif node.inputs[0] == 0:
            self._image(node, op, output, residual)
        else:
            self._dense(i, node, op, output, residual)

    def _depthwise(self, node: g.Node, op: g.Conv, output: int, residual: int | None) -> None:
        weight, bias = self._tensors(op.weights)
        if op.groups != weight.shape[0] or weight.shape[1] != 1:
            raise NotImplementedError(f"{node.name}: {op.groups} groups")
        taps, bias = pack_taps(weight, self.device), bias.to(self.device)
        activation = "silu" if op.act else None

        def depthwise(x: Sequence[Tensor], out: Tensor) -> object:
            added = None if residual is None else x[1]
            return depthwise_conv2d(x[0], taps, bias, out, stride=op.stride, activation=activation, residual=added)

        inputs = [node.inputs[0], *([] if residual is None else [residual])]
        kind = f"depthwise {op.kernel}x{op.kernel} s{op.stride} {op.groups}"
        self._step(node.name, inputs, output, depthwise, 2 * weight.numel(), kind)

    def _dense(self, i: int, node: g.Node, op: g.Conv, output: int, residual: int | None) -> None:
        weight, bias = self._tensors(op.weights)
        source, low_value = node.inputs[0], None
        flops = 2 * weight.numel()
        reader = self._attention_of(node.output)
        if reader is not None:
            weight, bias = self._pad_queries(node.output, weight, bias, reader)
        if i in self.split:
            source, weight, low_value = self._half_size_product(i, node, weight)
            flops = 2 * weight.numel()
        packed = ConvWeights.pack(weight, bias, self.dtype, self.device)
        convolve, activation = self.conv2d, "silu" if op.act else None

        def dense(x: Sequence[Tensor], out: Tensor) -> object:
            rest = list(x[1:])
            low = None if low_value is None else rest.pop(0)
            added = None if residual is None else rest.pop(0)
            return convolve(x[0], packed, out, stride=op.stride, activation=activation, residual=added, low=low)

        inputs = [source, *(value for value in (low_value, residual) if value is not None)]
        conv = (weight.shape[1], len(weight), op.kernel, op.stride)
        self._step(node.name, inputs, output, dense, flops, conv=conv)

    def _half_size_product(self, i: int, node: g.Node, weight: Tensor) -> tuple[int, Tensor, int]:
        """Add the step ``Wa a`` of a 1x1 convolution over ``concat(upsample(a), b)``.

        Returns:
            Value of b, weight Wb, value of the product.
        """
        small, other, small_is_first = self.split[i]
        width = self.out.values[small].channels
        sizes = [width, weight.shape[1] - width]
        parts = weight.split(sizes if small_is_first else sizes[::-1], 1)
        small_weight, other_weight = parts if small_is_first else parts[::-1]
        spec = self.out.values[node.output]
        product = self._add_value(replace(spec, scale=spec.scale * 2))
        packed = ConvWeights.pack(small_weight, None, self.dtype, self.device)
        convolve = self.conv2d
        self._step(f"{node.name}.low", [small], product, lambda x, out: convolve(x[0], packed, out),
                   2 * small_weight.numel(), conv=(width, len(small_weight), 1, 1))  # fmt: skip
        return other, other_weight, product

    def _image(self, node: g.Node, op: g.Conv, output: int, residual: int | None) -> None:
        weight, bias = self._tensors(op.weights)
        if residual is not None or op.kernel != 3 or op.stride != 2 or not op.act or weight.shape[1] != 3:
            raise NotImplementedError(f"{node.name}: a first convolution other than 3x3, stride 2, SiLU")
        packed, bias = pack_image_weight(weight, self.dtype, self.device), bias.to(self.device)
        self._step(node.name, [0], output, lambda x, out: image_conv2d(x[0], packed, bias, out), 2 * weight.numel(),
                   "image")  # fmt: skip

    def _dilated_block(self, node: g.Node, op: g.DilatedBlock) -> None:
        (conv, conv_bias), (mix, mix_bias), (merge, merge_bias) = map(self._tensors, (op.dcv, op.cv2, op.merge))
        gate = [None, None] if op.gate is None else list(self._tensors(op.gate))
        if gate[0] is not None:
            gate[0] = gate[0].flatten()
        weights = fold(
            conv, conv_bias, mix.flatten(1), mix_bias, merge.flatten(1), merge_bias, *gate, dilations=op.dilations,
            shortcut=op.shortcut, dtype=self.dtype
        ).to(self.device)  # fmt: skip
        flops = 2 * len(op.dilations) * (conv.numel() + mix.numel())
        limit = self.block_bytes

        def block(x: Sequence[Tensor], out: Tensor) -> None:
            parts = -(-out.numel() * out.element_size() // limit) if limit else 1
            images = -(-len(out) // parts)
            for part, result in zip(x[0].split(images), out.split(images), strict=True):
                dilated_block_into(part, weights, result)

        self._step(node.name, node.inputs, node.output, block, flops,
                   f"dilated block {op.kernel}x{op.kernel} {conv.shape[0]}")  # fmt: skip

    def _attention_of(self, value: int) -> g.Attention | None:
        """The attention that reads ``value``, if its other readers are slices of the attention's values alone."""
        ops = [self.graph.nodes[j].op for j in self.readers.get(value, [])]
        attention = [op for op in ops if isinstance(op, g.Attention)]
        if len(attention) != 1:
            return None
        start = 2 * attention[0].heads * attention[0].key_dim
        return attention[0] if all(isinstance(o, g.Attention) or (isinstance(o, g.Slice) and o.start >= start)
                                   for o in ops) else None  # fmt: skip

    def _pad_queries(self, value: int, weight: Tensor, bias: Tensor, op: g.Attention) -> tuple[Tensor, Tensor]:
        """Put zeros after each head's queries and keys: fast attention kernels need multiples of eight."""
        width = -(-op.key_dim // 8) * 8
        if width == op.key_dim:
            return weight, bias
        keys = 2 * op.heads * op.key_dim

        def pad(t: Tensor) -> Tensor:
            head = t[:keys].reshape(2 * op.heads, op.key_dim, -1)
            head = F.pad(head, (0, 0, 0, width - op.key_dim)).reshape(2 * op.heads * width, *t.shape[1:])
            return torch.cat([head, t[keys:]])

        self.padded[value] = op
        spec = self.out.values[value]
        self.out.values[value] = replace(spec, channels=spec.channels + 2 * op.heads * (width - op.key_dim))
        return pad(weight), pad(bias)

    def _attention(self, node: g.Node, op: g.Attention) -> None:
        width = -(-op.key_dim // 8) * 8 if node.inputs[0] in self.padded else op.key_dim
        heads, scale = op.heads, op.key_dim**-0.5

        def attend(x: Sequence[Tensor], out: Tensor) -> object:
            batch, height, length, channels = x[0].shape
            qkv = x[0].reshape(batch, height * length, channels)
            q, k, v = (
                part.unflatten(2, (heads, -1)).transpose(1, 2)  # (B, heads, H * W, dim)
                for part in qkv.split([heads * width, heads * width, channels - 2 * heads * width], 2)
            )
            y = _attend(q, k, v, scale)
            return out.copy_(y.transpose(1, 2).reshape(out.shape))

        self._step(node.name, node.inputs, node.output, attend)

    def _slice(self, node: g.Node, op: g.Slice) -> None:
        start = op.start
        if (attention := self.padded.get(node.inputs[0])) is not None:
            start += 2 * attention.heads * (-(-attention.key_dim // 8) * 8 - attention.key_dim)
        self.out.home[node.output] = (node.inputs[0], start)

    def _concat(self, node: g.Node) -> None:
        """Parts are written into the concatenation's memory by their own steps, or copied where that can't be."""
        offset = 0
        copies = []
        written = {step.output for step in self.out.steps}
        for value in node.inputs:
            spec = self.out.values[value]
            if (
                value in written
                and value not in self.out.home
                and self._writes_views(value)
                and spec.dtype == self.dtype
            ):
                self.out.home[value] = (node.output, offset)
            else:
                copies.append((value, offset, spec.channels))
            offset += spec.channels
        for value, start, channels in copies:
            part = self._add_value(replace(self.out.values[node.output], channels=channels))
            self.out.home[part] = (node.output, start)
            self._step(f"{node.name}.copy", [value], part, lambda x, out: out.copy_(x[0]))

    def _writes_views(self, value: int) -> bool:
        """Whether the step that makes a value can write it into channels of a wider map."""
        node = self.graph.nodes[self.producer[value]]
        return isinstance(node.op, (g.Conv, g.MaxPool, g.Add, g.Upsample))


def _attend(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """``softmax(scale q k^T) v``, ``(B, heads, tokens, dim)`` each.

    Left to itself PyTorch takes cuDNN's kernel where there is one, which is planned anew for each size of page (42 ms
    on an H200). Its switches against that are the whole process's, so the memory-efficient kernel is called by name.
    """
    if q.is_cuda and torch.backends.cuda.can_use_efficient_attention(
        torch.backends.cuda.SDPAParams(q, k, v, None, 0.0, False, False)
    ):
        return torch.ops.aten._scaled_dot_product_efficient_attention(q, k, v, None, False, scale=scale)[0]  # type: ignore[no-any-return]
    return F.scaled_dot_product_attention(q, k, v, scale=scale)


def _max_pool(kernel: int, x: Sequence[Tensor], out: Tensor) -> object:
    return max_pool2d(x[0], out, kernel)


def _upsample(x: Sequence[Tensor], out: Tensor) -> object:
    return out.copy_(x[0].repeat_interleave(2, 1).repeat_interleave(2, 2))
