"""The inference graph of a layout network, as data.

A :class:`Graph` is a list of nodes in execution order over numbered values (feature maps, ``(B, C, H, W)``; value 0
is the image, scaled to 0..1). BatchNorm is already folded, and only the one-to-one head is there. :mod:`torch_model`
and :mod:`onnx_model` each turn it into something that runs; neither knows how a C2f is built.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np


@dataclass(frozen=True, slots=True, eq=False)
class Weights:
    """A convolution's folded weights: ``weight (O, I / groups, k, k)`` and ``bias (O,)``, float32."""

    weight: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Conv:
    """Convolution, "same" padding, then SiLU if ``act``."""

    weights: Weights
    stride: int = 1
    groups: int = 1
    act: bool = True

    @property
    def kernel(self) -> int:
        """Side of the (square) kernel."""
        return self.weights.weight.shape[-1]


@dataclass(frozen=True, slots=True, eq=False)
class DilatedBlock:
    """G2L_CRM's block: one convolution at several dilations, gated and merged.

    ``d_i = silu(cv2 * silu(dcv *_i x))`` for each dilation i, ``y = concat(d)`` (branch-major, C * n channels);
    gated (``glu``): ``y = y * sigmoid(silu(gate_scale * y + gate_bias))``, then ``silu(merge * y)`` with C groups of
    n channels; otherwise (``sum``): ``silu(merge * sum(d))``, depthwise. ``x`` is added if ``shortcut``.
    """

    dcv: Weights  # (C, C, k, k)
    cv2: Weights  # (C, C, 1, 1)
    merge: Weights  # (C, n, 1, 1) gated, else (C, 1, 1, 1)
    gate: Weights | None  # (C * n, 1, 1, 1)
    dilations: tuple[int, ...]
    shortcut: bool

    @property
    def kernel(self) -> int:
        """Side of the dilated (square) kernel."""
        return self.dcv.weight.shape[-1]


@dataclass(frozen=True, slots=True, eq=False)
class Attention:
    """Self-attention over all positions.

    Input ``(B, heads * (2 * key_dim + head_dim), H, W)``: all heads' queries, then all keys, then all values.
    Output ``(B, heads * head_dim, H, W)``.
    """

    heads: int
    key_dim: int
    head_dim: int


@dataclass(frozen=True, slots=True)
class Slice:
    """Channels ``start:stop``."""

    start: int
    stop: int


@dataclass(frozen=True, slots=True)
class Concat:
    """Concatenation of channels."""


@dataclass(frozen=True, slots=True)
class Add:
    """Sum of two values."""


@dataclass(frozen=True, slots=True)
class MaxPool:
    """Maximum over a ``kernel`` x ``kernel`` window, stride 1, "same" padding."""

    kernel: int


@dataclass(frozen=True, slots=True)
class Upsample:
    """Twice as high and wide, nearest neighbour."""


Op = Conv | DilatedBlock | Attention | Slice | Concat | Add | MaxPool | Upsample


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """``values[output] = op(*values[inputs])``."""

    name: str
    """Where its weights come from in the checkpoint, e.g. ``model.4.m.0.dilated_block``. Unique."""
    op: Op
    inputs: tuple[int, ...]
    output: int


@dataclass(frozen=True, slots=True)
class Level:
    """One resolution of the head: the values that hold its raw box and class maps."""

    box: int  # (B, 4 * reg_max, H / stride, W / stride)
    cls: int  # (B, nc, H / stride, W / stride), logits
    stride: int


@dataclass(slots=True)
class Graph:
    """A layout network."""

    nodes: list[Node] = field(default_factory=list)
    levels: list[Level] = field(default_factory=list)
    nc: int = 0
    reg_max: int = 1
    """Bins per box side; 1 means that the side is predicted directly."""

    @property
    def max_stride(self) -> int:
        """Input height and width must be multiples of this."""
        return max(level.stride for level in self.levels)

    def last_uses(self) -> dict[int, list[int]]:
        """For each node's position, the values that nothing reads after it (outputs excepted)."""
        keep = {v for level in self.levels for v in (level.box, level.cls)}
        last = {v: i for i, node in enumerate(self.nodes) for v in node.inputs if v not in keep}
        freed: dict[int, list[int]] = {}
        for value, i in last.items():
            freed.setdefault(i, []).append(value)
        return freed
