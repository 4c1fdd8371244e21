"""The layout network as a list of fused kernels over one block of memory: how a GPU runs it.

A :class:`~mineru_accel.layout.network.graph.Graph` is lowered once: additions become the epilogue of a convolution;
concatenations become memory that their parts are written into directly; ``conv1x1(concat(upsample(a), b))`` becomes
``Wb b + upsample(Wa a)``; slices are views. For each input shape a :class:`Program` then lays all feature maps out in
one workspace, shared by all shapes: maps that are never alive together overlap.

Feature maps are ``(B, H, W, C)``. On a CPU the same steps run PyTorch's kernels (for tests; nobody would choose it).
"""

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

Launch = Callable[[Sequence[Tensor], Tensor], object]
"""Reads its inputs' maps, writes the output's."""

_ALIGNMENT = 256


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """One launch: which values it reads, which it writes."""

    name: str
    inputs: tuple[int, ...]
    output: int
    launch: Launch
    flops_per_pixel: float = 0.0
    """Of the output."""
    kind: str = ""
    """For reports and tuning: ``3x3 s1 96->96``."""
    conv: tuple[int, int, int, int] | None = None
    """A dense convolution's channels in and out, kernel size and stride."""


@dataclass(frozen=True, slots=True)
class _Value:
    channels: int
    scale: int
    """The image's height over the map's."""
    dtype: torch.dtype


@dataclass(slots=True)
class _Lowered:
    """What :class:`_Lowering` makes: steps, and where each value lives (another value's channels from an offset on)."""

    steps: list[Step] = field(default_factory=list)
    values: dict[int, _Value] = field(default_factory=dict)
    home: dict[int, tuple[int, int]] = field(default_factory=dict)

    def root(self, value: int) -> tuple[int, int]:
        """The value whose memory holds ``value``, and the channel it starts at."""
        offset = 0
        while value in self.home:
            value, shift = self.home[value]
            offset += shift
        return value, offset


class FusedNetwork:
    """A graph's fused steps on one device, and their workspace.

    Args:
        graph: from :func:`~mineru_accel.layout.network.architecture.build_graph`.
        device: where it runs.
        dtype: of the feature maps and the products' weights; biases are float32.
        block_bytes: dilated blocks run on so many bytes of pages at a time (0: on all), so that what their branches
            read over and over stays in the L2; by default a third of that.
        convolution: ``implementation`` of :func:`~accel_kernels.conv2d.conv2d`. ``auto`` is fastest for shapes that
            come again and again; ``own`` is a few percent slower, but a new shape costs nothing, and all sums run in
            the same order however many pages are in the batch.

    Raises:
        NotImplementedError: the graph has an op that these kernels don't cover.
    """

    def __init__(
        self,
        graph: g.Graph,
        device: torch.device,
        dtype: torch.dtype,
        *,
        block_bytes: int | None = None,
        convolution: str = "auto",
    ) -> None:
        self.graph = graph
        self.device = device
        self.dtype = dtype
        if block_bytes is None:
            cuda = device.type == "cuda"
            block_bytes = getattr(torch.cuda.get_device_properties(device), "L2_cache_size", 0) // 3 if cuda else 0
        self._lowered = _Lowering(graph, device, dtype, block_bytes, convolution).lower()
        self._workspace = torch.empty(0, dtype=torch.uint8, device=device)

    @property
    def steps(self) -> list[Step]:
        """What is started, in order."""
        return self._lowered.steps

    def workspace_bytes(self, batch: int, height: int, width: int) -> int:
        """Memory that all feature maps of such a batch take together."""
        return self._layout(batch, height, width)[1]

    @property
    def reserved_bytes(self) -> int:
        """The workspace's size."""
        return self._workspace.numel()

    def reserve(self, batch: int, height: int, width: int) -> bool:
        """Make the workspace large enough; True if it moved, and programs made before are void."""
        size = self.workspace_bytes(batch, height, width)
        if size <= self._workspace.numel():
            return False
        self._workspace = torch.empty(0, dtype=torch.uint8, device=self.device)  # let go of the old one first
        self._workspace = torch.empty(size, dtype=torch.uint8, device=self.device)
        return True

    def release(self) -> None:
        """Let go of the workspace; programs made before are void."""
        self._workspace = torch.empty(0, dtype=torch.uint8, device=self.device)

    def program(self, images: Tensor) -> Program:
        """The steps bound to memory.

        Args:
            images: the input of every run, ``(B, H, W, 3) uint8``, contiguous; H and W multiples of the graph's
                ``max_stride``.

        Raises:
            torch.OutOfMemoryError: the workspace can't grow enough.
        """
        batch, height, width, _ = images.shape
        self.reserve(batch, height, width)
        offsets, _ = self._layout(batch, height, width)
        low = self._lowered
        views: dict[int, Tensor] = {0: images}
        used = {v for step in low.steps for v in (step.output, *step.inputs)} - {0}
        for value in used:
            spec = low.values[value]
            root, start = low.root(value)
            whole = low.values[root]
            shape = (batch, height // whole.scale, width // whole.scale, whole.channels)
            size = shape[0] * shape[1] * shape[2] * shape[3] * whole.dtype.itemsize
            memory = self._workspace[offsets[root] : offsets[root] + size].view(whole.dtype).view(shape)
            views[value] = memory[..., start : start + spec.channels]
        launches = [_Bound(step, [views[v] for v in step.inputs], views[step.output]) for step in low.steps]
        levels = [(views[level.box], views[level.cls]) for level in self.graph.levels]
        return Program(launches, levels)

    def _layout(self, batch: int, height: int, width: int) -> tuple[dict[int, int], int]:
        """Byte offset of each root value's map, and the total: first fit, large maps first."""
        low = self._lowered
        births: dict[int, int] = {}
        deaths: dict[int, int] = {}
        for i, step in enumerate(low.steps):
            root = low.root(step.output)[0]
            births.setdefault(root, i)
            for value in (step.output, *step.inputs):
                deaths[low.root(value)[0]] = i
        for level in self.graph.levels:
            for value in (level.box, level.cls):
                deaths[low.root(value)[0]] = len(low.steps)
        sizes = {}
        for root in births:
            spec = low.values[root]
            size = batch * (height // spec.scale) * (width // spec.scale) * spec.channels * spec.dtype.itemsize
            sizes[root] = -(-size // _ALIGNMENT) * _ALIGNMENT
        placed: list[tuple[int, int, int, int]] = []  # offset, end, birth, death
        offsets: dict[int, int] = {}
        for root in sorted(births, key=lambda r: -sizes[r]):
            offset = 0
            for low_end, high_end, birth, death in sorted(placed):
                if birth <= deaths[root] and births[root] <= death and low_end < offset + sizes[root]:
                    offset = max(offset, high_end)
            offsets[root] = offset
            placed.append((offset, offset + sizes[root], births[root], deaths[root]))
        return offsets, max((end for _, end, _, _ in placed), default=0)


@dataclass(frozen=True, slots=True, eq=False)
class _Bound:
    step: Step
    inputs: list[Tensor]
    output: Tensor

    def __call__(self) -> None:
        self.step.launch(self.inputs, self.output)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The network for one input; may be captured as a graph."""

    launches: list[_Bound]
    levels: list[tuple[Tensor, Tensor]]
    """For each resolution, raw boxes ``(B, h, w, 4 * reg_max)`` and logits ``(B, h, w, nc)``, float32."""

    def run(self) -> None:
        """Launch everything; the results are in ``levels``."""
        for launch in self.launches:
            launch()

    def maps(self) -> tuple[Tensor, Tensor]:
        """Copies of the results: boxes ``(B, A, 4 * reg_max)`` and logits ``(B, A, nc)``."""
        boxes, logits = zip(*self.levels, strict=True)
        return (
            torch.cat([t.flatten(1, 2) for t in boxes], 1),
            torch.cat([t.flatten(1, 2) for t in logits], 1),
        )


class _Lowering:
    """From a graph to steps."""

    def __init__(
        self, graph: g.Graph, device: torch.device, dtype: torch.dtype, block_bytes: int, convolution: str
    ) -> None:
        self.graph, self.device, self.dtype = graph, device, dtype
        self.block_bytes = block_bytes
        self.conv2d = partial(conv2d, implementation=convolution)
        self.out = _Lowered()
        self.producer = {node.output: i for i, node in enumerate(graph.nodes)}
        self.readers: dict[int, list[int]] = {}
        for i, node in enumerate(graph.nodes):
            for value in node.inputs:
                self.readers.setdefault(value, []).append(i)
        self.results = {v for level in graph.levels for v in (level.box, level.cls)}
        self.done: set[int] = set()
        """Nodes that another node's step does too."""
        self.residuals: dict[int, tuple[int, int]] = {}
        """For a convolution's node: the value to add, and the sum's value."""
        self.split: dict[int, tuple[int, int, bool]] = {}
        """For a 1x1 convolution's node: the half-size map, the other map, whether the first comes first."""
        self.padded: dict[int, g.Attention] = {}
        """Values whose queries and keys were padded to multiples of eight."""

    def lower(self) -> _Lowered:
        """Do it."""
        self.out.values[0] = _Value(3, 1, torch.uint8)
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

    # What can be fused

    def _only_reader(self, value: int) -> int | None:
        readers = self.readers.get(value, [])
        return readers[0] if len(readers) == 1 and value not in self.results else None

    def _find_sums(self) -> None:
        """Sums whose later part is a convolution that nobody else reads."""
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
        """1x1 convolutions over the concatenation of an upsampled map and another."""
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
            values[node.output] = _Value(channels, scale, dtype)

    # Ops

    def _step(
        self,
        name: str,
        inputs: Sequence[int],
        output: int,
        launch: Launch,
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
        weight, bias = self._tensors(op.weights)
        residual, output = self.residuals.get(i, (None, node.output))
        extra = [] if residual is None else [residual]
        activation = "silu" if op.act else None
        stride = op.stride
        inputs = [node.inputs[0], *extra]
        if op.groups > 1:
            if op.groups != weight.shape[0] or weight.shape[1] != 1:
                raise NotImplementedError(f"{node.name}: {op.groups} groups")
            taps, bias = pack_taps(weight, self.device), bias.to(self.device)

            def depthwise(x: Sequence[Tensor], out: Tensor) -> object:
                return depthwise_conv2d(
                    x[0], taps, bias, out, stride=stride, activation=activation, residual=x[1] if extra else None
                )

            kind = f"depthwise {op.kernel}x{op.kernel} s{stride} {op.groups}"
            self._step(node.name, inputs, output, depthwise, 2 * weight.numel(), kind)
            return
        if node.inputs[0] == 0:
            self._image(node, op, output, residual)
            return
        convolve = self.conv2d
        flops = 2 * weight.numel()
        reader = self._attention_of(node.output)
        if reader is not None:
            weight, bias = self._pad_queries(node.output, weight, bias, reader)
        if i in self.split:
            below, beside, below_first = self.split[i]
            width = self.out.values[below].channels
            parts = weight.split(
                [width, weight.shape[1] - width] if below_first else [weight.shape[1] - width, width], 1
            )
            low_weight, weight = (parts[0], parts[1]) if below_first else (parts[1], parts[0])
            low_value = -1 - i  # a value of ours: the half-size product
            spec = self.out.values[node.output]
            self.out.values[low_value] = replace(spec, scale=spec.scale * 2)
            low_packed = ConvWeights.pack(low_weight, None, self.dtype, self.device)
            self._step(f"{node.name}.low", [below], low_value, lambda x, out: convolve(x[0], low_packed, out),
                       2 * low_weight.numel(), conv=(width, len(low_weight), 1, 1))  # fmt: skip
            inputs = [beside, low_value, *extra]
            flops = 2 * weight.numel()
        packed = ConvWeights.pack(weight, bias, self.dtype, self.device)
        has_low = i in self.split

        def dense(x: Sequence[Tensor], out: Tensor) -> object:
            rest = list(x[1:])
            low = rest.pop(0) if has_low else None
            return convolve(
                x[0], packed, out, stride=stride, activation=activation, residual=rest[0] if rest else None, low=low
            )

        self._step(node.name, inputs, output, dense, flops, conv=(weight.shape[1], len(weight), op.kernel, stride))

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
        """The attention that reads ``value``, if all its readers are that and slices of its values alone."""
        ops = [self.graph.nodes[j].op for j in self.readers.get(value, [])]
        attention = [op for op in ops if isinstance(op, g.Attention)]
        if len(attention) != 1:
            return None
        start = 2 * attention[0].heads * attention[0].key_dim
        return attention[0] if all(isinstance(o, g.Attention) or (isinstance(o, g.Slice) and o.start >= start)
                                   for o in ops) else None  # fmt: skip

    def _pad_queries(self, value: int, weight: Tensor, bias: Tensor, op: g.Attention) -> tuple[Tensor, Tensor]:
        """Zeros after each head's queries and keys: the fast attention kernels want multiples of eight."""
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
        """Its parts are written into its memory, where they can be; the others are copied."""
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
            part = -1_000_000 - len(self.out.values)
            self.out.values[part] = replace(self.out.values[node.output], channels=channels)
            self.out.home[part] = (node.output, start)
            self._step(f"{node.name}.copy", [value], part, lambda x, out: out.copy_(x[0]))

    def _writes_views(self, value: int) -> bool:
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
