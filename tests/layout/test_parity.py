"""Same weights, same page: the boxes of doclayout_yolo itself, under both runtimes."""

from __future__ import annotations

import numpy as np
from parity import CONF, assert_same, package_predict

from mineru_accel.layout.detector import DocLayoutYolo
from mineru_accel.layout.letterbox import Letterbox

IMGSZ = 320  # of the models in conftest.py
RUNTIMES = ["onnx", "torch"]


def test_boxes_of_the_package(model, pages):
    wanted = [package_predict(model.wrapper, page, IMGSZ) for page in pages]
    for runtime in RUNTIMES:
        for weights in (model.pt, model.safetensors):
            detector = DocLayoutYolo(weights, runtime=runtime, device="cpu", conf=CONF)
            n = len(pages) if weights == model.pt else 1
            for found, reference in zip(detector.detect_raw(pages[:n]), wanted[:n], strict=True):
                assert_same(found, reference)


def test_raw_maps(model, pages):
    """The network alone, before any choice of boxes: both runtimes against the package, tightly."""
    import torch

    box = Letterbox.fit(*pages[1].shape[:2], IMGSZ)
    canvas = np.empty((2, *box.shape, 3), np.uint8)
    box.draw(pages[1], canvas[0])
    canvas[1] = canvas[0, ::-1]
    with torch.inference_mode():
        maps = model.package(torch.from_numpy(canvas).permute(0, 3, 1, 2).float() / 255)["one2one"][1]
    wanted = torch.cat([m.flatten(2) for m in maps], 2).numpy()
    for runtime in RUNTIMES:
        detector = DocLayoutYolo(model.pt, runtime=runtime, device="cpu")
        got = np.concatenate(detector.runtime.run(canvas), 1)
        assert got.dtype == np.float32
        np.testing.assert_allclose(got, wanted, atol=2e-3, err_msg=runtime)


def test_runtimes_agree(small_model, pages):
    found = {}
    for runtime in RUNTIMES:
        detector = DocLayoutYolo(small_model.pt, runtime=runtime, device="cpu", conf=CONF)
        found[runtime] = detector.detect_raw(pages)
    for a, b in zip(*found.values(), strict=True):
        assert_same(a, b, pixels=0.05, score=1e-4)


def test_larger_input(small_model, pages):
    """Another imgsz than the checkpoint's, as MinerU passed it."""
    detector = DocLayoutYolo(small_model.pt, imgsz=500, device="cpu", conf=CONF)
    assert detector.imgsz == 512
    assert_same(detector.detect_raw(pages[:1])[0], package_predict(small_model.wrapper, pages[0], imgsz=500))


def test_fused_by_the_package(small_model, pages, clone, tmp_path):
    """A checkpoint saved after ``model.fuse()``: biases instead of BatchNorm, swapped methods in the pickle."""
    import torch

    fused = clone(small_model.package).fuse(verbose=False)
    torch.save({"model": fused}, tmp_path / "fused.pt")
    a = DocLayoutYolo(tmp_path / "fused.pt", imgsz=IMGSZ, conf=CONF).detect_raw(pages[:1])[0]
    b = DocLayoutYolo(small_model.pt, conf=CONF).detect_raw(pages[:1])[0]
    assert_same(a, b, pixels=0.05, score=1e-4)


def test_published_kind(package, small_model, pages, clone, tmp_path):
    """As published: float16 weights. The boxes are still the package's for the same file."""
    import torch

    path = tmp_path / "doclayout_yolo_docstructbench_imgsz320_2501.pt"
    torch.save({"model": clone(small_model.package).half(), "ema": None, "train_args": {"imgsz": 1024}}, path)
    detector = DocLayoutYolo(path, conf=CONF)
    assert detector.imgsz == 320
    assert_same(detector.detect_raw(pages[2:3])[0], package_predict(package.YOLOv10(str(path)), pages[2], IMGSZ))
