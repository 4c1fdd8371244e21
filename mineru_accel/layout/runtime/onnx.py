"""The network under ONNX Runtime, on the CPU, float32."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from ...hardware.cores import usable_cores
from ..network.graph import Graph
from ..network.onnx_model import build_onnx
from .base import HostRuntime


class OnnxRuntime(HostRuntime):
    """See :class:`mineru_accel.layout.runtime.base.Runtime`.

    One page per call: on a CPU a batch is no faster, and so no result can depend on other pages.
    """

    max_batch = 1

    def __init__(self, graph: Graph, threads: int | None = None) -> None:
        super().__init__([level.stride for level in graph.levels])
        # From 1.29 on it sends usage data and writes to ~/.cache unless told not to before it is first imported.
        os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
        import onnxruntime as ort

        options = ort.SessionOptions()
        options.intra_op_num_threads = threads or usable_cores()
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        # Threads that wait by spinning would take the CPU from the processes that render the next pages.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        model = build_onnx(graph).SerializeToString()
        self.session: Any = ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        self.name = "onnx:cpu"

    def run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(B, H, W, 3) uint8`` -> raw boxes ``(B, 4 * reg_max, A)`` and logits ``(B, nc, A)``, float32."""
        if self.session is None:
            raise RuntimeError("the layout detector is closed")
        boxes, logits = self.session.run(["boxes", "logits"], {"images": images})
        return boxes, logits

    def close(self) -> None:
        """Free the session and its threads."""
        with self._lock:
            self.session = None
