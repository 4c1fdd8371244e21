"""doclayout_yolo runs its network unfused, in NCHW, page by page; on a GPU this puts the layout engine in its place."""

from __future__ import annotations

import functools
import logging
from typing import TYPE_CHECKING, Any

from ...hardware import accelerator
from ..patch import NotNeeded, Patch, Undo

if TYPE_CHECKING:
    from ...layout.runtime.base import Runtime

log = logging.getLogger(__name__)
_ENGINE = "_mineru_accel_engine"
_WAITING = "_mineru_accel_batch"


def check() -> str:
    """The engine is for GPUs; a CPU keeps the package's own path, bit for bit."""
    found = accelerator.accelerator()
    if found.kind == "cpu":
        raise NotNeeded("torch sees no GPU, and on a CPU doclayout_yolo is left as it is")
    return f"doclayout_yolo spends most of a page's time outside the GPU ({found})"


def install(undo: Undo) -> str:
    """Wrap what a predictor does with a batch: preprocess, inference, and loading the model.

    The engine keeps a copy of the weights: what is done to the model after its first predict is seen once a new
    predictor is made.
    """
    from doclayout_yolo.models.yolov10.predict import YOLOv10DetectionPredictor as Predictor

    setup_model, preprocess, inference = Predictor.setup_model, Predictor.preprocess, Predictor.inference

    @functools.wraps(setup_model)
    def load(self: Any, *args: Any, **more: Any) -> None:
        old = vars(self).pop(_ENGINE, None)
        if old is not None:
            old.close()
        setup_model(self, *args, **more)
        if type(self) is Predictor:  # a subclass may have changed anything
            setattr(self, _ENGINE, open_engine(self))

    @functools.wraps(preprocess)
    def place(self: Any, images: Any) -> Any:
        vars(self).pop(_WAITING, None)
        batch = place_pages(self, images) if vars(self).get(_ENGINE) is not None else None
        if batch is None:
            return preprocess(self, images)
        import torch

        setattr(self, _WAITING, (*batch, images))
        return torch.zeros((), device=self.device).expand(len(images), 3, *batch[1][0].shape)  # for its shape

    @functools.wraps(inference)
    def infer(self: Any, image: Any, *args: Any, **more: Any) -> Any:
        waiting = vars(self).pop(_WAITING, None)
        if waiting is None:
            return inference(self, image, *args, **more)
        pages, places, originals = waiting
        if args or more:
            return inference(self, preprocess(self, originals), *args, **more)
        try:
            return detect(self, pages, places)
        except Exception as error:
            log.warning("doclayout-yolo: the package's own path takes over: %s", error)
            setattr(self, _ENGINE, None)
            return inference(self, preprocess(self, originals))

    undo.setattr(Predictor, "setup_model", load)
    undo.setattr(Predictor, "preprocess", place)
    undo.setattr(Predictor, "inference", infer)
    return "predict runs fused fp16 kernels; pages, results and callbacks are the package's"


def open_engine(predictor: Any) -> Runtime | None:
    """The engine for a predictor's model, or None where the package must do it itself."""
    backend = predictor.model
    if not getattr(backend, "pt", False) or predictor.device.type != "cuda":
        return None
    try:
        from ...layout.runtime.gpu import GpuRuntime

        return GpuRuntime(graph_of(backend.model), str(predictor.device), max(_sides(predictor.args.imgsz)))
    except Exception as error:
        log.warning("doclayout-yolo: the package's own path stays: %s", error)
        return None


def graph_of(model: Any) -> Any:
    """The inference graph of a model in memory.

    Raises:
        CheckpointError: it is not DocLayout-YOLO's.
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
    """RGB pages and where the package's LetterBox puts them; None for what only the package can do."""
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
    """What the network's own head gives: ``(B, n, 6) float32``, x0, y0, x1, y1 on the canvas, score, class."""
    import torch

    found = vars(predictor)[_ENGINE].detect(pages, places, float(predictor.args.conf))
    rows = torch.zeros(len(pages), max(map(len, found)), 6)  # a score of 0 is never above the threshold
    for row, page in zip(rows, found, strict=True):
        n = len(page)
        row[:n, :4] = torch.from_numpy(page.boxes)
        row[:n, 4] = torch.from_numpy(page.scores)
        row[:n, 5] = torch.from_numpy(page.classes)
    return rows[:, : predictor.args.max_det].to(predictor.device, torch.half if predictor.args.half else torch.float)


def _sides(imgsz: Any) -> list[int]:
    return [int(side) for side in (imgsz if isinstance(imgsz, (list, tuple)) else [imgsz])]


PATCH = Patch(
    name="doclayout-yolo",
    package="doclayout-yolo",
    versions=">=0.0.4,<0.1",
    replaces="YOLOv10DetectionPredictor.setup_model, preprocess and inference",
    why="predict keeps batch norms and the training head, computes in NCHW fp32 and waits for the GPU at every step",
    how="the model's weights run in mineru_accel.layout's engine (fp16, fused, one graph per shape); postprocess, "
    "Results and callbacks stay; augment, visualize, embed, tensors and inputs that aren't square stay the package's",
    upstream="none: github.com/opendatalab/DocLayout-YOLO has no releases since 0.0.4",
    remove_when="the package exports a fused half precision model itself",
    check=check,
    install=install,
    auto=False,
)
