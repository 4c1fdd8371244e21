"""DocLayout-YOLO without the package doclayout_yolo: from page images to regions."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from mineru_accel.document import Region
from mineru_accel.errors import UsageError

from .checkpoint import load_checkpoint
from .letterbox import Letterbox, as_rgb
from .network.architecture import build_graph
from .postprocess import Detections, suppress_duplicates
from .runtime.base import Runtime
from .runtime.choose import choose_runtime, open_runtime

DEFAULT_CONF = 0.2
"""DocLayout-YOLO's own default. MinerU 2 asked for 0.1 and filtered later."""


class DocLayoutYolo:
    """A :class:`~mineru_accel.layout.protocol.LayoutDetector`.

    Args:
        weights: ``.pt`` as published, or ``.safetensors``; any scale.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>`` (also under ROCm).
        runtime: ``auto``, ``onnx`` or ``torch``. Auto: torch on a GPU if there is one, else ONNX Runtime on the CPU.
        imgsz: Longest side of the network's input, rounded up to a multiple of its stride; the checkpoint's by default.
        conf: Regions must score above this.
        threads: CPU threads; all by default. (torch's number of threads is the whole process's.)
        precision: ``auto`` (fp16 on a GPU, fp32 on the CPU), ``fp32`` or ``fp16``.

    Raises:
        CheckpointError: if the weights can't be used.
        ModelError: if a runtime or GPU that was asked for is not there.
        UsageError: if options contradict each other.
    """

    def __init__(
        self,
        weights: Path | str,
        *,
        device: str = "auto",
        runtime: str = "auto",
        imgsz: int | None = None,
        conf: float = DEFAULT_CONF,
        threads: int | None = None,
        precision: str = "auto",
    ) -> None:
        kind, place = choose_runtime(runtime, device)
        checkpoint = load_checkpoint(weights)
        graph = build_graph(checkpoint)
        self.weights = Path(weights)
        self.classes = checkpoint.classes
        self.conf = conf
        self.stride = graph.max_stride
        imgsz = imgsz or checkpoint.imgsz
        if imgsz < self.stride:
            raise UsageError(f"layout imgsz {imgsz}: must be at least {self.stride}")
        self.imgsz = -(-imgsz // self.stride) * self.stride
        self.runtime: Runtime | None = open_runtime(
            graph, kind, place, imgsz=self.imgsz, threads=threads, precision=precision
        )
        """Runs the network; None once the detector is closed."""
        self.max_batch = self.runtime.max_batch
        self.name = f"doclayout-yolo-{checkpoint.scale or '?'} ({self.weights.name}, {self.runtime.name})"

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Region]]:
        """Find the regions of pages, best score first. May be called from several threads.

        Near-copies of a better box are dropped (see :func:`~mineru_accel.layout.postprocess.suppress_duplicates`), and
        boxes with no area.

        Args:
            images: RGB pages of any sizes, ``(H, W, 3) uint8`` (grey ``(H, W)`` is taken too).

        Returns:
            One list per page; bboxes as fractions of the page.

        Raises:
            ValueError: if an image has another shape or dtype, or no pixels.
            RuntimeError: if the detector is closed.
        """
        return [
            self.to_regions(found, image.shape[0], image.shape[1])
            for found, image in zip(self.detect_raw(images), images, strict=True)
        ]

    def detect_raw(self, images: Sequence[np.ndarray]) -> list[Detections]:
        """Boxes as doclayout_yolo's ``predict`` gives them for each page alone: in page pixels, none dropped.

        Raises:
            ValueError: if an image has another shape or dtype, or no pixels.
            RuntimeError: if the detector is closed.
        """
        runtime = self.runtime
        if runtime is None:
            raise RuntimeError("the layout detector is closed")
        pages = [as_rgb(image) for image in images]
        boxes = [Letterbox.fit(page.shape[0], page.shape[1], self.imgsz, self.stride) for page in pages]
        found: list[Detections | None] = [None] * len(pages)
        for batch in _batches([box.shape for box in boxes], runtime.max_batch):
            results = runtime.detect([pages[j] for j in batch], [boxes[j] for j in batch], self.conf)
            for j, page in zip(batch, results, strict=True):
                page.boxes = boxes[j].to_page(page.boxes)
                found[j] = page
        return [page for page in found if page is not None]

    def to_regions(self, found: Detections, height: int, width: int) -> list[Region]:
        """The regions of a page from its boxes: near-copies and boxes without an area are dropped.

        Args:
            found: in pixels of the page.
            height, width: of the page in pixels.
        """
        area = (found.boxes[:, 2:] - found.boxes[:, :2]).min(1, initial=np.inf) > 0
        found = suppress_duplicates(found.take(area))
        unit = found.boxes.astype(np.float64) / [width, height, width, height]
        return [
            Region(self.classes[c], (x0, y0, x1, y1), score)
            for (x0, y0, x1, y1), score, c in zip(
                unit.tolist(), found.scores.tolist(), found.classes.tolist(), strict=True
            )
        ]

    def close(self) -> None:
        """Free the network."""
        runtime, self.runtime = self.runtime, None
        if runtime is not None:
            runtime.close()


def _batches(shapes: Sequence[tuple[int, int]], max_batch: int) -> Iterator[list[int]]:
    """Indices of pages of equal shape, in lists of at most ``max_batch``."""
    buckets: dict[tuple[int, int], list[int]] = {}
    for i, shape in enumerate(shapes):
        buckets.setdefault(shape, []).append(i)
    for bucket in buckets.values():
        for start in range(0, len(bucket), max_batch):
            yield bucket[start : start + max_batch]
