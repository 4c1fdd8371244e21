"""The layout network as a list of fused kernels over one block of memory: how a GPU runs it.

A :class:`~mineru_accel.layout.network.graph.Graph` is lowered once (:mod:`.lowering`): additions become the epilogue of
a convolution; concatenations become memory that their parts are written into directly; slices are views; and
``conv1x1(concat(upsample(a), b))`` becomes ``Wb b + upsample(Wa a)``, where ``Wa a`` has a quarter of the pixels. For
each input shape a :class:`Program` then lays all feature maps out in one workspace, shared by all shapes: maps that are
never needed at the same time overlap.

Feature maps are ``(B, H, W, C)``. On a CPU the same steps run PyTorch's kernels (for tests).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..network import graph as g
from .lowering import Step, lower

_ALIGNMENT = 256
"""Bytes; every map begins at a multiple of it."""


class FusedNetwork:
    """A graph's fused steps on one device, and their workspace.

    Args:
        graph: from :func:`~mineru_accel.layout.network.architecture.build_graph`.
        device: runs the network.
        dtype: of the feature maps and the products' weights; biases are float32.
        block_bytes: maximum bytes of pages that a dilated block runs on at a time (0: no maximum), so that the map that
            all its branches read stays in the L2 cache; by default a third of that cache.
        convolution: ``implementation`` of :func:`~accel_kernels.conv2d.conv2d`. ``auto`` is fastest for shapes that
            come again and again; ``own`` is a few percent slower, but a new shape costs nothing, and all sums run in
            the same order however many pages are in the batch.

    Raises:
        NotImplementedError: if the graph has an op that the kernels don't cover.
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
        self.lowered = lower(graph, device, dtype, block_bytes=block_bytes, convolution=convolution)
        self.workspace = torch.empty(0, dtype=torch.uint8, device=device)

    @property
    def steps(self) -> list[Step]:
        """All launches, in order."""
        return self.lowered.steps

    def workspace_bytes(self, batch: int, height: int, width: int) -> int:
        """Bytes that all feature maps of such a batch take together."""
        return self.layout(batch, height, width)[1]

    @property
    def reserved_bytes(self) -> int:
        """Bytes of the workspace."""
        return self.workspace.numel()

    def reserve(self, batch: int, height: int, width: int) -> bool:
        """Make the workspace large enough for such a batch.

        Returns:
            Whether it is another one now, so that programs made before must not run any more.
        """
        size = self.workspace_bytes(batch, height, width)
        if size <= self.workspace.numel():
            return False
        self.workspace = torch.empty(0, dtype=torch.uint8, device=self.device)  # frees the old one first
        self.workspace = torch.empty(size, dtype=torch.uint8, device=self.device)
        return True

    def release(self) -> None:
        """Free the workspace; programs made before must not run any more."""
        self.workspace = torch.empty(0, dtype=torch.uint8, device=self.device)

    def program(self, images: Tensor) -> Program:
        """The steps bound to memory.

        Args:
            images: the input of every run, ``(B, H, W, 3) uint8``, contiguous; H and W multiples of the graph's
                ``max_stride``.

        Raises:
            torch.OutOfMemoryError: if the workspace can't grow enough.
        """
        batch, height, width, _ = images.shape
        self.reserve(batch, height, width)
        offsets, _ = self.layout(batch, height, width)
        low = self.lowered
        views: dict[int, Tensor] = {0: images}
        used = {v for step in low.steps for v in (step.output, *step.inputs)} - {0}
        for value in used:
            spec = low.values[value]
            root, start = low.root(value)
            whole = low.values[root]
            shape = (batch, height // whole.scale, width // whole.scale, whole.channels)
            size = shape[0] * shape[1] * shape[2] * shape[3] * whole.dtype.itemsize
            memory = self.workspace[offsets[root] : offsets[root] + size].view(whole.dtype).view(shape)
            views[value] = memory[..., start : start + spec.channels]
        launches = [Launch(step, [views[v] for v in step.inputs], views[step.output]) for step in low.steps]
        levels = [(views[level.box], views[level.cls]) for level in self.graph.levels]
        return Program(launches, levels)

    def layout(self, batch: int, height: int, width: int) -> tuple[dict[int, int], int]:
        """Byte offset of each map with memory of its own, and the workspace's size in bytes.

        First fit, large maps first; a map may overlap others that are never needed at the same time.
        """
        low = self.lowered
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
class Launch:
    """A step bound to the maps that it reads and writes."""

    step: Step
    inputs: list[Tensor]
    output: Tensor

    def __call__(self) -> None:
        self.step.launch(self.inputs, self.output)


@dataclass(frozen=True, slots=True, eq=False)
class Program:
    """The network for one input; may be captured as a CUDA graph."""

    launches: list[Launch]
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
