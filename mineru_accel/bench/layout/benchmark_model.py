"""Model, pages and GPU runtime that ``bench layout`` measures."""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import torch

    from ...layout.runtime.fused_network import FusedNetwork


class BenchmarkModel:
    """The layout model that the arguments name, on the current GPU.

    With ``--random SCALE`` it is one of doclayout_yolo's models, and ``package_model`` is the package's own module.
    """

    def __init__(self, args: argparse.Namespace) -> None:
        import torch

        from ...layout.network.architecture import build_graph

        self.args = args
        self.device = torch.device("cuda", torch.cuda.current_device())
        self.package_model: Any = None
        if args.random:
            checkpoint = self._random_checkpoint(args.random)
        else:
            from ...layout.checkpoint import load_checkpoint
            from ...models.layout_weights import require_layout_weights

            checkpoint = load_checkpoint(require_layout_weights(args.weights).path)
        self.checkpoint = checkpoint
        self.graph = build_graph(checkpoint)
        self.name = f"scale {checkpoint.scale or '?'}, imgsz {args.imgsz}"
        side = args.imgsz
        self.a4 = (side, -(-round(side / 2**0.5) // 32) * 32)
        self._fused: FusedNetwork | None = None

    @property
    def fused(self) -> FusedNetwork:
        """The fused float16 network; built on first use."""
        if self._fused is None:
            import torch

            from ...layout.runtime.fused_network import FusedNetwork

            self._fused = FusedNetwork(self.graph, self.device, torch.float16)
        return self._fused

    def convolutions(self) -> set[tuple[int, ...]]:
        """Distinct dense convolutions at an A4 page: rows, columns, channels in and out, kernel, stride, extras."""
        import torch

        images = torch.zeros(1, *self.a4, 3, dtype=torch.uint8, device=self.device)
        found: set[tuple[int, ...]] = set()
        for bound in self.fused.program(images).launches:
            if bound.step.conv:
                _, h, w, _ = bound.inputs[0].shape
                extra = len(bound.inputs) > 1
                low = extra and bound.inputs[1].shape[1] != bound.output.shape[1]
                found.add((h, w, *bound.step.conv, int(extra and not low), int(low)))
        return found

    def plain(self, dtype: torch.dtype) -> torch.nn.Module:
        """The unfused torch network, channels last."""
        import torch

        from ...layout.network.torch_model import LayoutNetwork

        return LayoutNetwork(self.graph).to(self.device, dtype).to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]

    def runtime(self, chunk: int | None = None) -> Any:
        """A GPU runtime with compiled kernels, for ``chunk`` pages per launch.

        Raises:
            RuntimeError: if the fused kernels are not in use.
        """
        from ...layout.runtime.gpu import CHUNK, GpuRuntime

        began = time.perf_counter()
        runtime = GpuRuntime(self.graph, "cuda", self.args.imgsz, chunk=chunk or CHUNK)
        loaded = time.perf_counter() - began
        fused = runtime.wait_compiled(300)
        print(f"loaded in {loaded:.1f} s, kernels compiled after {time.perf_counter() - began:.1f} s, fused: {fused}")
        if not fused:
            raise RuntimeError("the fused kernels are not in use")
        return runtime

    def detector(self, runtime: Any) -> Any:
        """A detector on top of a runtime."""
        from ...layout.detector import DocLayoutYolo

        detector = DocLayoutYolo.__new__(DocLayoutYolo)
        detector.weights, detector.classes, detector.conf = Path("bench"), self.checkpoint.classes, 0.2
        detector.stride, detector.imgsz, detector.runtime = self.graph.max_stride, self.args.imgsz, runtime
        return detector

    def pages(self) -> list[np.ndarray]:
        """Images of ``--pages``, or 16 random pages: (H, W, 3) uint8 RGB."""
        if not self.args.pages:
            return [self.page(1024, 724 + 16 * (i % 4), i) for i in range(16)]
        import numpy as np
        from PIL import Image

        paths = sorted(p for p in self.args.pages.iterdir() if p.suffix in (".png", ".jpg", ".jpeg"))
        return [np.asarray(Image.open(p).convert("RGB")) for p in paths]

    def canvases(self, batch: int) -> torch.Tensor:
        """Random pages of A4 shape on the GPU: (batch, H, W, 3) uint8."""
        import numpy as np
        import torch

        pages = [self.page(*self.a4, i) for i in range(min(batch, 4))]
        return torch.from_numpy(np.stack([pages[i % len(pages)] for i in range(batch)])).to(self.device)

    def page(self, height: int, width: int, seed: int) -> np.ndarray:
        """A white page with 40 random striped blocks: (height, width, 3) uint8."""
        import numpy as np

        rng = np.random.default_rng(seed)
        page = np.full((height, width, 3), 255, np.uint8)
        for _ in range(40):
            y, x = rng.integers(0, height), rng.integers(0, width)
            h, w = rng.integers(4, max(5, height // 8)), rng.integers(8, max(9, width // 2))
            block = page[y : y + h, x : x + w]
            block[:: rng.integers(1, 9)] = rng.integers(0, 256, 3)
        return page

    def _random_checkpoint(self, scale: str) -> Any:
        """One of doclayout_yolo's models whose activations stay near unit size on these pages."""
        import os
        import socket
        import tempfile

        import torch
        from torch import nn

        from ...layout.checkpoint import Checkpoint
        from ...layout.classes import CLASSES

        os.environ.setdefault("YOLO_CONFIG_DIR", tempfile.mkdtemp())
        connect, socket.create_connection = socket.create_connection, _offline  # type: ignore[assignment]  # its import asks the network
        try:
            from doclayout_yolo.nn.tasks import YOLOv10DetectionModel
        finally:
            socket.create_connection = connect
        torch.manual_seed(7)
        model = YOLOv10DetectionModel("yolov10m-doclayout.yaml", nc=len(CLASSES), verbose=False)
        if scale != "m":
            config = {**model.yaml, "scale": scale, "scales": {"n": [0.33, 0.25, 1024], "s": [0.33, 0.5, 1024]}}
            model = YOLOv10DetectionModel(config, verbose=False)
        model.names = dict(enumerate(CLASSES))
        model = model.to(self.device)
        norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
        for norm in norms:
            nn.init.uniform_(norm.weight, 0.7, 1.3)
            nn.init.normal_(norm.bias, 0, 0.2)
            norm.momentum = None
            norm.reset_running_stats()
        import numpy as np

        pages = torch.from_numpy(np.stack([self.page(512, 384, i) for i in range(4)])).to(self.device)
        x = pages.permute(0, 3, 1, 2).float() / 255
        with torch.no_grad():
            model.train()
            model(torch.cat([x, torch.rand_like(x)]))
            model.eval()
            for norm in norms:
                norm.momentum = 0.03
                assert norm.running_var is not None
                norm.running_var += 0.3 * norm.running_var.mean()
            raw = model(x)["one2one"][1]
            head = model.model[-1]
            for level, maps in enumerate(raw):
                for convs, part, std, mean in (
                    (head.one2one_cv2, maps[:, :4], 0.8, 3.0), (head.one2one_cv3, maps[:, 4:], 1.2, -5.7)
                ):  # fmt: skip
                    last = convs[level][-1]
                    gain = std / part.std((0, 2, 3))
                    last.weight *= gain[:, None, None, None]
                    last.bias.copy_((last.bias - part.mean((0, 2, 3))) * gain + mean)
        self.package_model = model
        state = {k: v.detach().float().cpu().numpy() for k, v in model.state_dict().items()}
        yaml = {**model.yaml, "scale": scale}
        return Checkpoint(state, tuple(CLASSES), yaml, imgsz=self.args.imgsz)


def _offline(*args: object, **kwargs: object) -> None:
    raise OSError("offline")
