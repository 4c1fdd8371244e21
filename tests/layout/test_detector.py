"""The detector: any pages in any company, and no side effects."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading

import numpy as np
import pytest

from mineru_accel.errors import ModelError, UsageError
from mineru_accel.layout import load_detector
from mineru_accel.layout.classes import CLASSES
from mineru_accel.layout.detector import DocLayoutYolo
from mineru_accel.layout.protocol import LayoutDetector
from mineru_accel.layout.runtime.choose import choose_runtime

RUNTIMES = ["onnx", "torch"]


@pytest.fixture(scope="module", params=RUNTIMES)
def detector(request, small_model):
    return DocLayoutYolo(small_model.pt, runtime=request.param, device="cpu", conf=0.1)


def test_is_a_layout_detector(detector):
    assert isinstance(detector, LayoutDetector)
    assert detector.name.startswith("doclayout-yolo-n (last.pt, ")
    assert detector.imgsz == 320


def test_regions(detector, pages):
    for regions in detector.detect(pages):
        assert regions
        scores = [r.score for r in regions]
        assert scores == sorted(scores, reverse=True)
        assert scores[-1] > 0.1
        for r in regions:
            x0, y0, x1, y1 = r.bbox
            assert 0 <= x0 < x1 <= 1
            assert 0 <= y0 < y1 <= 1
            assert r.label in CLASSES
            assert all(type(v) is float for v in (*r.bbox, r.score))


def test_batch_equals_one_by_one(detector, pages):
    """Exactly, on the CPU; mixed sizes, twice the same page, and in another order."""
    batch = [*pages, pages[0], pages[2][::-1]]
    together = detector.detect(batch)
    assert together == [detector.detect([page])[0] for page in batch]
    assert detector.detect(batch[::-1]) == together[::-1]
    assert together[0] == together[len(pages)]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_batched_forward_gives_the_same_boxes(small_model, pages, runtime):
    """What a GPU does: pages of one shape in one call."""
    one = DocLayoutYolo(small_model.pt, runtime=runtime, device="cpu", conf=0.1)
    many = DocLayoutYolo(small_model.pt, runtime=runtime, device="cpu", conf=0.1)
    many.runtime.max_batch = 3
    batch = [pages[0], pages[1], pages[0][::-1], pages[4], pages[0][:, ::-1], pages[1][::-1]]
    for a, b in zip(one.detect(batch), many.detect(batch), strict=True):
        assert [r.label for r in a] == [r.label for r in b]
        np.testing.assert_allclose([r.bbox for r in a], [r.bbox for r in b], atol=1e-3)
        np.testing.assert_allclose([r.score for r in a], [r.score for r in b], atol=1e-3)


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 4000, 3), (3000, 2, 3), (77, 41), (50, 60, 1), (5000, 3600, 3)])
def test_odd_images(detector, shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    (regions,) = detector.detect([image])
    assert all(0 <= r.bbox[0] < r.bbox[2] <= 1 for r in regions)


def test_grey_is_three_equal_channels(detector, pages):
    grey = pages[0][:, :, 0]
    colour = np.stack([grey] * 3, 2)
    assert detector.detect([grey]) == detector.detect([grey[:, :, None]]) == detector.detect([colour])


def test_views_and_read_only(detector, pages):
    flipped = pages[0][:, ::-1]
    locked = flipped.copy()
    locked.flags.writeable = False
    assert detector.detect([flipped]) == detector.detect([locked])


@pytest.mark.parametrize(
    "bad",
    [
        np.zeros((0, 5, 3), np.uint8),
        np.zeros((5, 5, 4), np.uint8),
        np.zeros((5, 5, 3)),
        np.zeros(5, np.uint8),
        "page.png",
    ],
)
def test_bad_images(detector, bad):
    with pytest.raises(ValueError, match="a page image must be"):
        detector.detect([bad])


def test_no_pages(detector):
    assert detector.detect([]) == []


def test_threads(detector, pages):
    wanted = detector.detect(pages)
    results: list = [None] * 6

    def work(i: int) -> None:
        results[i] = detector.detect(pages)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(len(results))]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert all(r == wanted for r in results)


def test_close(small_model, pages):
    detector = DocLayoutYolo(small_model.safetensors, device="cpu")
    detector.close()
    detector.close()
    with pytest.raises(RuntimeError, match="closed"):
        detector.detect(pages)


def test_options(small_model, monkeypatch):
    with pytest.raises(UsageError, match="runtime 'tpu'"):
        DocLayoutYolo(small_model.pt, runtime="tpu")
    with pytest.raises(UsageError, match="device 'cuda:x'"):
        DocLayoutYolo(small_model.pt, device="cuda:x")
    with pytest.raises(UsageError, match="onnx layout runtime runs on the CPU"):
        DocLayoutYolo(small_model.pt, runtime="onnx", device="cuda")
    with pytest.raises(UsageError, match="imgsz"):
        DocLayoutYolo(small_model.pt, imgsz=8)
    monkeypatch.setattr("mineru_accel.layout.runtime.choose.is_installed", lambda m: m == "torch")
    assert choose_runtime("auto", "cpu") == ("torch", "cpu")
    monkeypatch.setattr("mineru_accel.layout.runtime.choose.is_installed", lambda m: m != "torch")
    assert choose_runtime("auto", "auto") == ("onnx", "cpu")
    with pytest.raises(ModelError, match=r"mineru-accel\[torch\]"):
        choose_runtime("torch", "auto")
    monkeypatch.setattr("mineru_accel.layout.runtime.choose.is_installed", lambda m: False)
    with pytest.raises(ModelError, match="ONNX Runtime"):
        choose_runtime("auto", "auto")


def test_load_detector(small_model, pages):
    detector = load_detector(small_model.safetensors, device="cpu", conf=0.3, imgsz=256, threads=1)
    assert detector.imgsz == 256
    assert all(r.score > 0.3 for r in detector.detect(pages[:1])[0])


QUIET = """
import json, socket, sys
def refuse(*args, **kwargs):
    raise SystemExit("network touched")
socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse
import numpy as np
from mineru_accel.layout import load_detector
detector = load_detector(sys.argv[1], runtime=sys.argv[2], device="cpu", conf=0.01)
regions = detector.detect([np.full((300, 200, 3), 255, np.uint8)])
print(json.dumps({"modules": sorted({m.partition(".")[0] for m in sys.modules}), "n": len(regions)}))
"""


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("kind", ["pt", "safetensors"])
def test_no_framework_no_network_no_settings(small_model, tmp_path, runtime, kind):
    if (runtime, kind) == ("torch", "safetensors"):
        pytest.skip("the same as the others, and slow")
    home = tmp_path / "home"
    home.mkdir()
    env = {k: v for k, v in os.environ.items() if not k.startswith(("XDG_", "YOLO_"))} | {"HOME": str(home)}
    run = subprocess.run(
        [sys.executable, "-c", QUIET, str(getattr(small_model, kind)), runtime],
        capture_output=True, text=True, env=env, timeout=300,
    )  # fmt: skip
    assert run.returncode == 0, run.stderr
    loaded = set(json.loads(run.stdout)["modules"])
    assert not loaded & {
        "doclayout_yolo",
        "ultralytics",
        "requests",
        "huggingface_hub",
        "mineru",
        "matplotlib",
        "pandas",
    }
    if runtime == "onnx":
        assert not loaded & {"torch", "torchvision"}
    assert not [p for p in home.rglob("*") if p.is_file()]


def test_import_is_light():
    code = "import sys, mineru_accel.layout, mineru_accel.models.layout_weights; print(*sys.modules)"
    loaded = set(
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    )
    assert not loaded & {"numpy", "torch", "onnx", "onnxruntime", "cv2", "huggingface_hub", "safetensors", "yaml"}
