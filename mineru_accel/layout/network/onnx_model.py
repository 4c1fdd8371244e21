"""The layout network as an ONNX model, built from a :class:`~mineru_accel.layout.network.graph.Graph` without torch.

Same input and outputs as :meth:`mineru_accel.layout.network.torch_model.LayoutNetwork.forward`:
``images (B, H, W, 3) uint8`` -> ``boxes (B, 4 * reg_max, A)``, ``logits (B, nc, A)``, float32; B, H and W are free.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from . import graph as g

if TYPE_CHECKING:
    import onnx

OPSET = 17
IR_VERSION = 8


def build_onnx(graph: g.Graph) -> onnx.ModelProto:
    """The graph as an ONNX model, with its weights in float32."""
    return _Emitter(graph).model()


class _Emitter:
    def __init__(self, graph: g.Graph) -> None:
        from onnx import helper, numpy_helper

        self.graph = graph
        self.helper: Any = helper
        self.numpy_helper: Any = numpy_helper
        self.nodes: list[Any] = []
        self.initializers: dict[str, Any] = {}
        self.names: dict[int, str] = {}

    def model(self) -> Any:
        x = self.emit("Transpose", ["images"], "input.nchw", perm=[0, 3, 1, 2])
        x = self.emit("Cast", [x], "input.float", to=1)
        self.names[0] = self.emit("Div", [x, self.constant("input.255", np.float32(255))], "input")
        for node in self.graph.nodes:
            self.names[node.output] = self.node(node)
        flat = self.constant("flat", np.array([0, 0, -1], np.int64))
        for output, kind in (("boxes", "box"), ("logits", "cls")):
            parts = [
                self.emit("Reshape", [self.names[getattr(level, kind)], flat], f"{output}.{i}")
                for i, level in enumerate(self.graph.levels)
            ]
            self.nodes.append(self.helper.make_node("Concat", parts, [output], output, axis=2))
        h = self.helper
        proto = h.make_graph(
            self.nodes,
            "layout",
            [h.make_tensor_value_info("images", 2, ["B", "H", "W", 3])],
            [
                h.make_tensor_value_info("boxes", 1, ["B", 4 * self.graph.reg_max, "A"]),
                h.make_tensor_value_info("logits", 1, ["B", self.graph.nc, "A"]),
            ],
            list(self.initializers.values()),
        )
        return h.make_model(
            proto, producer_name="mineru-accel", ir_version=IR_VERSION, opset_imports=[h.make_opsetid("", OPSET)]
        )

    # Emitting -------------------------------------------------------------------------------------------------

    def emit(self, kind: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        """Append a node with one output, named as the node."""
        self.nodes.append(self.helper.make_node(kind, list(inputs), [name], name, **attributes))
        return name

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        """Add an initializer (once per name)."""
        if name not in self.initializers:
            self.initializers[name] = self.numpy_helper.from_array(
                np.ascontiguousarray(value).reshape(value.shape), name
            )
        return name

    def silu(self, x: str) -> str:
        return self.emit("Mul", [x, self.emit("Sigmoid", [x], f"{x}.sigmoid")], f"{x}.silu")

    def convolve(
        self,
        x: str,
        weights: g.Weights,
        name: str,
        *,
        key: str = "",
        stride: int = 1,
        dilation: int = 1,
        groups: int = 1,
    ) -> str:
        """A Conv node, "same" padding; ``key``: name of the weights where several nodes share them."""
        kernel = weights.weight.shape[-1]
        pad = dilation * (kernel // 2)
        key = key or name
        w = self.constant(f"{key}.weight", weights.weight)
        b = self.constant(f"{key}.bias", weights.bias)
        return self.emit(
            "Conv", [x, w, b], name, kernel_shape=[kernel] * 2, pads=[pad] * 4,
            strides=[stride] * 2, dilations=[dilation] * 2, group=groups,
        )  # fmt: skip

    def node(self, node: g.Node) -> str:
        """Emit one node of the graph; returns the name of its output."""
        xs = [self.names[i] for i in node.inputs]
        name = node.name
        match node.op:
            case g.Conv() as op:
                y = self.convolve(xs[0], op.weights, name, stride=op.stride, groups=op.groups)
                return self.silu(y) if op.act else y
            case g.DilatedBlock() as op:
                return self.dilated_block(op, xs[0], name)
            case g.Attention() as op:
                return self.attention(op, xs[0], name)
            case g.Slice() as op:
                return self.slice(xs[0], op.start, op.stop, name)
            case g.Concat():
                return self.emit("Concat", xs, name, axis=1)
            case g.Add():
                return self.emit("Add", xs, name)
            case g.MaxPool() as op:
                k = op.kernel
                return self.emit("MaxPool", xs, name, kernel_shape=[k, k], pads=[k // 2] * 4, strides=[1, 1])
            case g.Upsample():
                scales = self.constant("upsample.scales", np.array([1, 1, 2, 2], np.float32))
                return self.emit(
                    "Resize", [xs[0], "", scales], name, mode="nearest",
                    coordinate_transformation_mode="asymmetric", nearest_mode="floor",
                )  # fmt: skip

    def slice(self, x: str, start: int, stop: int, name: str) -> str:
        """Channels ``start:stop``."""
        bounds = [self.constant(f"int.{v}", np.array([v], np.int64)) for v in (start, stop, 1)]
        return self.emit("Slice", [x, *bounds], name)

    def dilated_block(self, op: g.DilatedBlock, x: str, name: str) -> str:
        branches = []
        for d in op.dilations:
            y = self.silu(self.convolve(x, op.dcv, f"{name}.dcv{d}", key=f"{name}.dcv", dilation=d))
            branches.append(self.silu(self.convolve(y, op.cv2, f"{name}.cv2_{d}", key=f"{name}.cv2")))
        if op.gate is not None:
            y = self.emit("Concat", branches, f"{name}.cat", axis=1)
            scale = self.constant(f"{name}.gate_scale", op.gate.weight.reshape(1, -1, 1, 1))
            bias = self.constant(f"{name}.gate_bias", op.gate.bias.reshape(1, -1, 1, 1))
            gate = self.emit("Add", [self.emit("Mul", [y, scale], f"{name}.gate_mul"), bias], f"{name}.gate")
            gate = self.emit("Sigmoid", [self.silu(gate)], f"{name}.gate_sigmoid")
            y = self.emit("Mul", [y, gate], f"{name}.gated")
        else:
            y = self.emit("Sum", branches, f"{name}.sum")
        y = self.silu(self.convolve(y, op.merge, f"{name}.merge", groups=len(op.merge.bias)))
        return self.emit("Add", [x, y], name) if op.shortcut else y

    def attention(self, op: g.Attention, x: str, name: str) -> str:
        keys, values = op.heads * op.key_dim, op.heads * op.head_dim
        v_map = self.slice(x, 2 * keys, 2 * keys + values, f"{name}.v_map")
        k_shape = self.constant(f"{name}.k_shape", np.array([0, op.heads, op.key_dim, -1], np.int64))
        v_shape = self.constant(f"{name}.v_shape", np.array([0, op.heads, op.head_dim, -1], np.int64))
        q = self.emit("Reshape", [self.slice(x, 0, keys, f"{name}.q"), k_shape], f"{name}.q_heads")
        k = self.emit("Reshape", [self.slice(x, keys, 2 * keys, f"{name}.k"), k_shape], f"{name}.k_heads")
        v = self.emit("Reshape", [v_map, v_shape], f"{name}.v_heads")  # (B, heads, dim, H * W)
        q = self.emit("Transpose", [q], f"{name}.q_t", perm=[0, 1, 3, 2])
        scale = self.constant(f"{name}.scale", np.float32(op.key_dim**-0.5))
        attn = self.emit("Mul", [self.emit("MatMul", [q, k], f"{name}.qk"), scale], f"{name}.scaled")
        attn = self.emit("Softmax", [attn], f"{name}.softmax", axis=-1)
        attn = self.emit("Transpose", [attn], f"{name}.softmax_t", perm=[0, 1, 3, 2])
        y = self.emit("MatMul", [v, attn], f"{name}.av")
        return self.emit("Reshape", [y, self.emit("Shape", [v_map], f"{name}.map_shape")], name)
