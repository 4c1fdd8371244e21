"""``doclayout-yolo``: `predict` runs the network in this project's layout runtime on a GPU, fused and in fp16."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from ...hardware import accelerator
from ..patch import NotNeeded, Undo

if TYPE_CHECKING:
    from ...layout.runtime.base import Runtime

log = logging.getLogger(__name__)
RUNTIME = "_mineru_accel_runtime"
"""Attribute of a predictor: its `GpuRuntime`, None once that has failed."""
BATCH = "_mineru_accel_batch"
"""Attribute of a predictor: pages between `preprocess` and `inference`, their places, and the original images."""


def check() -> str:
    """The runtime is for GPUs; on a CPU the package's own path stays, bit for bit."""
    found = accelerator.accelerator()
    if found.kind == "cpu":
        raise NotNeeded("torch sees no GPU, and on a CPU doclayout_yolo is left as it is")
    return f"doclayout_yolo spends most of a page's time outside the GPU ({found})"


def install(undo: Undo) -> str:
    """Wrap a predictor's three steps: loading the model, preprocessing and inference.

    The runtime keeps a copy of the weights: a change of the model after its first predict has an effect only on
    predictors that are made afterwards.
    """
    from doclayout_yolo.models.yolov10.predict import YOLOv10DetectionPredictor as Predictor

    undo.setattr(Predictor, "setup_model", _setup_model(Predictor.setup_model, Predictor))
    preprocess = Predictor.preprocess
    undo.setattr(Predictor, "preprocess", _preprocess(preprocess))
    undo.setattr(Predictor, "inference", _inference(Predictor.inference, preprocess))
    return "predict runs fused fp16 kernels; pages, results and callbacks are the package's"


def _setup_model(original: Callable[..., Any], plain: type) -> Callable[..., Any]:
    """Wraps `setup_model`: the model is loaded into the runtime, too. Subclasses may differ, and have no runtime."""

    @functools.wraps(original)
    def setup_model(self: Any, *args: Any, **more: Any) -> None:
        old = vars(self).pop(RUNTIME, None)
        if old is not None:
            old.close()
        original(self, *args, **more)
        if type(self) is plain:
            setattr(self, RUNTIME, open_runtime(self))

    return setup_model


def _preprocess(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `preprocess`: pages are kept for `inference`; the result has the right shape and no pixels."""

    @functools.wraps(original)
    def preprocess(self: Any, images: Any) -> Any:
        vars(self).pop(BATCH, None)
        batch = place_pages(self, images) if vars(self).get(RUNTIME) is not None else None
        if batch is None:
            return original(self, images)
        import torch

        setattr(self, BATCH, (*batch, images))
        return torch.zeros((), device=self.device).expand(len(images), 3, *batch[1][0].shape)

    return preprocess


def _inference(original: Callable[..., Any], preprocess: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `inference`: the runtime detects on the kept pages. The package's own path takes over where it fails."""

    @functools.wraps(original)
    def inference(self: Any, image: Any, *args: Any, **more: Any) -> Any:
        batch = vars(self).pop(BATCH, None)
        if batch is None:
            return original(self, image, *args, **more)
        pages, places, originals = batch
        if args or more:
            return original(self, preprocess(self, originals), *args, **more)
        try:
            return detect(self, pages, places)
        except Exception as error:
            log.warning("doclayout-yolo: the package's own path takes over: %s", error)
            setattr(self, RUNTIME, None)
            return original(self, preprocess(self, originals))

    return inference


def open_runtime(predictor: Any) -> Runtime | None:
    """A runtime with a predictor's model; None where the package must run it itself."""
    backend = predictor.model
    if not getattr(backend, "pt", False) or predictor.device.type != "cuda":
        return None
    try:
        from ...layout.runtime.gpu import GpuRuntime

        return GpuRuntime(graph_of(backend.model), str(predictor.device), max(sides(predictor.args.imgsz)))
    except Exception as error:
        log.warning("doclayout-yolo: the package's own path stays: %s", error)
        return None


def graph_of(model: Any) -> Any:
    """The inference graph of a model in memory.

    Raises:
        CheckpointError: if it is not a DocLayout-YOLO.
    """
    from torch import nn

    from ...layout.checkpoint import Checkpoint, CheckpointError
    from ...layout.network.architecture import build_graph

    eps = {m.eps for m in model.modules() if isinstance(m, nn.BatchNorm2d)}
    if len(eps) != 1:
        raise CheckpointError(f"batch norms with {len(eps)} different eps")
    state = {k: v.detach().float().cpu().numpy() for k, v in model.state_dict().items()}
    names = model.names if isinstance(model.names, dict) else dict(enumerate(model.names))
    return build_graph(
        Checkpoint(state, tuple(str(names[i]) for i in sorted(names)), dict(model.yaml), bn_eps=eps.pop())
    )


def place_pages(predictor: Any, images: Any) -> tuple[list[Any], list[Any]] | None:
    """RGB pages and where the package's LetterBox puts them; None where only the package can do what is asked for."""
    import cv2
    import numpy as np

    from ...layout.letterbox import Letterbox

    args = predictor.args
    height, width = predictor.imgsz
    usual = not (args.augment or args.visualize or args.embed) and height == width and 0 < args.max_det <= 300
    if not usual or not isinstance(images, list) or args.conf < 0:
        return None
    if not all(isinstance(i, np.ndarray) and i.dtype == np.uint8 and i.ndim == 3 and i.shape[2] == 3 for i in images):
        return None
    tight = len({i.shape for i in images}) == 1
    stride = int(predictor.model.stride)
    places = [Letterbox.fit(i.shape[0], i.shape[1], height, stride if tight else height) for i in images]
    if not all(i.size for i in images) or len({p.shape for p in places}) != 1:
        return None
    return [cv2.cvtColor(i, cv2.COLOR_BGR2RGB) for i in images], places


def detect(predictor: Any, pages: list[Any], places: list[Any]) -> Any:
    """Boxes as the network's own head gives them.

    Returns:
        ``(B, n, 6) float32``: x0, y0, x1, y1 in pixels of the canvas, score, class. Rows are filled up with score 0.
    """
    import torch

    found = vars(predictor)[RUNTIME].detect(pages, places, float(predictor.args.conf))
    rows = torch.zeros(len(pages), max(map(len, found)), 6)  # a score of 0 is never above the threshold
    for row, page in zip(rows, found, strict=True):
        n = len(page)
        row[:n, :4] = torch.from_numpy(page.boxes)
        row[:n, 4] = torch.from_numpy(page.scores)
        row[:n, 5] = torch.from_numpy(page.classes)
    return rows[:, : predictor.args.max_det].to(predictor.device, torch.half if predictor.args.half else torch.float)


def sides(imgsz: Any) -> list[int]:
    """The package's ``imgsz``, a number or a sequence, as a list."""
    return [int(side) for side in (imgsz if isinstance(imgsz, (list, tuple)) else [imgsz])]
