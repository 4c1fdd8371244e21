"""Random but well-behaved DocLayout-YOLO models, made by doclayout_yolo itself, and real pages to try them on."""

from __future__ import annotations

import copy
import functools
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from common import SAMPLES

IMGSZ = 320
"""Small, to keep the tests quick; the network does not care."""

YAML_ROWS = """\
-1 1 Conv [64,3,2]|-1 1 Conv [128,3,2]|-1 3 C2f [128,True]|-1 1 Conv [256,3,2]
-1 6 G2L_CRM [256,True,True,[1,2,3],5,'glu']|-1 1 SCDown [512,3,2]|-1 6 G2L_CRM [512,True,True,[1,3,5],3,'glu']
-1 1 SCDown [1024,3,2]|-1 6 G2L_CRM [1024,True,False]|-1 1 SPPF [1024,5]|-1 1 PSA [1024]
-1 1 nn.Upsample [None,2,'nearest']|[-1,6] 1 Concat [1]|-1 3 C2f [512]
-1 1 nn.Upsample [None,2,'nearest']|[-1,4] 1 Concat [1]|-1 3 C2f [256]
-1 1 Conv [256,3,2]|[-1,13] 1 Concat [1]|-1 3 C2fCIB [512,True,True]
-1 1 SCDown [512,3,2]|[-1,10] 1 Concat [1]|-1 3 C2fCIB [1024,True]|[16,19,22] 1 v10Detect ['nc']"""
"""yolov10m-doclayout.yaml, but with one large-kernel C2fCIB, so that RepVGGDW is covered too."""

SCALES = {"n": [0.33, 0.25, 1024], "s": [0.33, 0.5, 1024], "m": [0.67, 0.75, 768]}


@dataclass
class Model:
    """One random model in every form it is saved in."""

    package: Any
    """The doclayout_yolo module, float32, eval."""
    pt: Path
    safetensors: Path
    wrapper: Any
    """doclayout_yolo's YOLOv10 of ``pt``, whose ``predict`` is the reference."""


def architecture(scale: str) -> dict[str, Any]:
    """The yaml of a scale, ten classes."""
    rows = [row.split(" ") for row in YAML_ROWS.replace("\n", "|").split("|")]
    layers = [[eval(f), int(n), module, eval(args)] for f, n, module, args in rows]
    return {"nc": 10, "scales": SCALES, "scale": scale, "backbone": layers[:11], "head": layers[11:]}


@pytest.fixture(scope="session")
def package(tmp_path_factory):
    """doclayout_yolo, imported without its network check (six seconds of time-outs) and its settings elsewhere."""
    pytest.importorskip("torch", reason="the reference needs torch")
    patch = pytest.MonkeyPatch()
    patch.setenv("YOLO_CONFIG_DIR", str(tmp_path_factory.mktemp("ultralytics")))

    def offline(*args: object, **kwargs: object) -> None:
        raise OSError("offline")

    try:
        with pytest.MonkeyPatch.context() as importing:  # no longer: other tests need their sockets
            importing.setattr(socket, "create_connection", offline)
            module = pytest.importorskip("doclayout_yolo", reason="the reference needs doclayout_yolo")
        yield module
    finally:
        patch.undo()


@pytest.fixture(scope="session")
def pages() -> list[np.ndarray]:
    """Renders of the samples, RGB, of odd sizes: some at layout size, some to be shrunk, some to be enlarged."""
    pdfium = pytest.importorskip("pypdfium2")
    wanted = [("paper", 0, 320), ("slides", 0, 517), ("chinese", 0, 321), ("newsletter", 0, 203), ("report", 1, 640)]
    found = []
    for name, index, longest in wanted:
        document = pdfium.PdfDocument(SAMPLES / f"{name}.pdf")
        page = document[min(index, len(document) - 1)]
        bitmap = page.render(scale=longest / max(page.get_size()), rev_byteorder=True)
        found.append(np.ascontiguousarray(bitmap.to_numpy()[:, :, :3]))
        document.close()
    return found


def letterboxed(pages: list[np.ndarray], imgsz: int = IMGSZ) -> np.ndarray:
    """Pages on the canvas of the first one's shape, ``(B, H, W, 3) uint8``."""
    from mineru_accel.layout.letterbox import Letterbox

    boxes = [Letterbox.fit(*page.shape[:2], imgsz) for page in pages]
    canvas = np.full((len(pages), imgsz, imgsz, 3), 114, np.uint8)
    for page, box, out in zip(pages, boxes, canvas, strict=True):
        box.draw(page, out[: box.shape[0], : box.shape[1]])
    return canvas[:, : boxes[0].shape[0], : boxes[0].shape[1]]


def build(scale: str, pages: list[np.ndarray]) -> Any:
    """A random model whose activations stay near unit size and whose head says varied things about ``pages``."""
    import torch
    from doclayout_yolo.nn.tasks import YOLOv10DetectionModel
    from torch import nn

    from mineru_accel.layout.classes import CLASSES

    torch.manual_seed(7)
    model = YOLOv10DetectionModel(architecture(scale), verbose=False)
    model.names = dict(enumerate(CLASSES))
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm2d)]
    for norm in norms:
        nn.init.uniform_(norm.weight, 0.7, 1.3)
        nn.init.normal_(norm.bias, 0, 0.2)
        norm.momentum = None  # one batch is the statistics
        norm.reset_running_stats()
    x = torch.from_numpy(letterboxed(pages)).permute(0, 3, 1, 2).float() / 255
    noise = nn.functional.interpolate(torch.rand(2, 3, 40, 40), x.shape[2:], mode="bilinear")
    x = torch.cat([x, noise, torch.rand_like(noise)])
    with torch.no_grad():
        model.train()
        model(x)
        model.eval()
        for norm in norms:
            norm.momentum = 0.03
            norm.running_mean += 0.05 * torch.randn_like(norm.running_mean) * norm.running_var.sqrt()
            norm.running_var *= torch.empty_like(norm.running_var).uniform_(0.8, 1.25)
            norm.running_var += 0.3 * norm.running_var.mean()  # channels this batch left quiet stay quiet
        raw = model(x)["one2one"][1]
        head = model.model[-1]
        for level, maps in enumerate(raw):
            for convs, part, std, mean in (
                (head.one2one_cv2, maps[:, :4], 0.8, 3.0),
                (head.one2one_cv3, maps[:, 4:], 1.2, -2.5),
            ):
                last = convs[level][-1]
                gain = std / part.std((0, 2, 3))
                last.weight *= gain[:, None, None, None]
                last.bias.copy_((last.bias - part.mean((0, 2, 3))) * gain + mean)
    return model


def _save(model: Any, folder: Path, package: Any) -> Model:
    """Save as the package's trainer does (train_args and all), float32."""
    import torch

    from mineru_accel.layout.checkpoint import save_safetensors

    pt = folder / "last.pt"
    torch.save(
        {"epoch": 3, "best_fitness": np.float64(0.5), "model": model, "ema": None, "updates": None, "optimizer": None,
         "train_args": {"imgsz": IMGSZ, "task": "detect", "lr0": 0.01, "scale": 0.5}, "date": "2026-11-21",
         "train_metrics": {"a": np.float32(1.5)}, "version": "0.0.4"},
        pt,
    )  # fmt: skip
    state = {k: v.numpy() for k, v in model.state_dict().items()}
    save_safetensors(
        folder / "model.safetensors", state, yaml=model.yaml, classes=list(model.names.values()), imgsz=IMGSZ,
        dtype="float32", metadata={"licence": "AGPL-3.0"},
    )  # fmt: skip
    return Model(model, pt, folder / "model.safetensors", package.YOLOv10(str(pt)))


@pytest.fixture(scope="session")
def make_model(package, pages, tmp_path_factory):
    """Random models by scale, each made once."""
    return functools.cache(lambda scale: _save(build(scale, pages), tmp_path_factory.mktemp(f"yolo-{scale}"), package))


@pytest.fixture(scope="session", params=["n", "m"])
def model(request, make_model) -> Model:
    """Random models of two scales."""
    return make_model(request.param)


@pytest.fixture(scope="session")
def small_model(make_model) -> Model:
    """A random model of scale n."""
    return make_model("n")


@pytest.fixture
def clone():
    """Copies a package model, so that a test may change it."""
    return copy.deepcopy
