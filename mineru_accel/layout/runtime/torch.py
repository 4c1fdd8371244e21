"""The network under plain torch, channels last: on a CPU, and on a GPU in float32."""

from __future__ import annotations

import numpy as np
import torch

from ..network.graph import Graph
from ..network.torch_model import LayoutNetwork
from .base import HostRuntime


class TorchRuntime(HostRuntime):
    """See :class:`mineru_accel.layout.runtime.base.Runtime`."""

    def __init__(self, graph: Graph, device: str = "cpu", threads: int | None = None, precision: str = "auto") -> None:
        super().__init__([level.stride for level in graph.levels])
        self.device = torch.device(device)
        on_gpu = self.device.type == "cuda"
        half = precision == "fp16" or (precision == "auto" and on_gpu)
        if threads and not on_gpu:
            torch.set_num_threads(threads)
        network = LayoutNetwork(graph).to(self.device, torch.float16 if half else torch.float32)
        self.network: LayoutNetwork | None = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.max_batch = 16 if on_gpu else 1  # on a CPU a batch is no faster, but needs more memory
        self.name = f"torch:{device}" + (" fp16" if half else "")

    @torch.inference_mode()
    def run(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """``(B, H, W, 3) uint8`` -> raw boxes ``(B, 4 * reg_max, A)`` and logits ``(B, nc, A)``, float32."""
        if self.network is None:
            raise RuntimeError("the layout detector is closed")
        boxes, logits = self.network(torch.from_numpy(images).to(self.device, non_blocking=True))
        return boxes.cpu().numpy(), logits.cpu().numpy()

    def close(self) -> None:
        """Free the weights; on a GPU also torch's cached blocks."""
        with self._lock:
            self.network = None
        if self.device.type == "cuda":
            torch.cuda.empty_cache()
