"""The patch of doclayout_yolo's predict, its GPU runtime on a CPU in float32: the same results as without it."""

from __future__ import annotations

import copy
from types import SimpleNamespace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from mineru_accel import patches  # noqa: E402 - needs torch
from mineru_accel.hardware import accelerator  # noqa: E402
from mineru_accel.patches.doclayout_yolo import predict as patch  # noqa: E402
from mineru_accel.patches.patch import State  # noqa: E402

OPTIONS = {"imgsz": 160, "conf": 0.5, "device": "cpu", "verbose": False, "max_det": 300, "classes": None}
"""All that a test changes: a predictor keeps what it was told last."""
OPEN_RUNTIME = patch.open_runtime


def loaded(small_model, page):
    """A copy of the model with a predictor of its own, loaded by predicting a page."""
    wrapper = copy.copy(small_model.wrapper)
    wrapper.predictor = None
    wrapper.predict(page, **OPTIONS)
    return wrapper


@pytest.fixture(scope="module")
def image(pages):
    """A page at layout size: nothing is resized, how that is done is tested with the kernel."""
    return np.ascontiguousarray(pages[0][:160, :112, ::-1])


@pytest.fixture(scope="module")
def wrappers(small_model, image):
    """The model loaded before the patch was applied, loaded after, and the batches that the latter's runtime ran."""
    from mineru_accel.layout.runtime.gpu import GpuRuntime

    ran: list[int] = []

    class Engine(GpuRuntime):
        def detect(self, pages, places, conf):
            ran.append(len(pages))
            return super().detect(pages, places, conf)

    def open_runtime(predictor):
        side = max(patch.sides(predictor.args.imgsz))
        return Engine(patch.graph_of(predictor.model.model), "cpu", side, dtype=torch.float32)

    before = loaded(small_model, image)
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr(accelerator, "accelerator", lambda: accelerator.Accelerator("cuda", "sm_90"))
        monkeypatch.setattr(patch, "open_runtime", open_runtime)
        assert patches.apply("doclayout-yolo").state is State.ACTIVE
        yield before, loaded(small_model, image), ran
    patches.revert("doclayout-yolo")


@pytest.fixture
def plain(wrappers):
    """``predict(source, ...)`` without a runtime."""
    return lambda source, **options: wrappers[0].predict(source, **OPTIONS | options)


@pytest.fixture
def fast(wrappers):
    """``predict(source, ...)`` with a runtime, whose batches are in ``.ran``."""

    def predict(source, **options):
        return wrappers[1].predict(source, **OPTIONS | options)

    predict.ran = wrappers[2]
    predict.predictor = wrappers[1].predictor
    predict.ran.clear()
    return predict


def assert_same(found, wanted, conf=0.5, max_det=300):
    """The same pages and boxes; near the threshold and in the order of almost equal scores, rounding may decide."""
    assert len(found) == len(wanted)
    for a, b in zip(found, wanted, strict=True):
        assert type(a) is type(b) and a.names == b.names and a.path == b.path and a.orig_shape == b.orig_shape
        np.testing.assert_array_equal(a.orig_img, b.orig_img)
        assert a.boxes.data.dtype == b.boxes.data.dtype and a.speed.keys() == b.speed.keys()
        assert len(a.boxes) <= max_det and abs(len(a.boxes) - len(b.boxes)) <= 0.02 * len(b.boxes)
        for these, those in ((a.boxes, b.boxes), (b.boxes, a.boxes)):
            least = conf + 0.01
            if len(those) == max_det:
                least = max(least, float(those.conf.min()) + 0.01)
            for box in these.data[these.conf > least]:
                off = (those.data - box).abs()
                assert ((off[:, :4] < 0.5).all(1) & (off[:, 4] < 2e-3) & (off[:, 5] == 0)).any(), box


@pytest.mark.parametrize(
    ("widths", "options"),
    [([112], {"conf": 0.99}), ([112, 112], {"max_det": 7}), ([112, 96], {"classes": [1, 3]})],
    ids=["nothing found", "two alike, few", "two sizes, some classes"],
)
def test_same_results(fast, plain, image, widths, options):
    source = [image[:, :width] for width in widths]
    source = source if len(source) > 1 else source[0]
    found = fast(source, **options)
    assert fast.ran == [len(widths)]
    assert_same(found, plain(source, **options), options.get("conf", 0.5), options.get("max_det", 300))


def test_finds_something(fast, plain, image):
    found = fast(image)
    assert fast.ran == [1]
    assert 10 < len(found[0].boxes) < 300
    assert_same(found, plain(image))


def test_what_only_the_package_can_do(fast, plain, image):
    tensor = torch.rand(1, 3, 128, 160, generator=torch.Generator().manual_seed(1))
    for source, options in ((tensor, {}), (image, {"imgsz": (160, 128)})):
        torch.testing.assert_close(
            fast(source, **options)[0].boxes.data, plain(source, **options)[0].boxes.data, atol=0, rtol=0
        )
    assert fast.ran == []


def test_a_runtime_that_fails(fast, plain, image, monkeypatch, caplog):
    def broken(*args):
        raise RuntimeError("the GPU fell off")

    monkeypatch.setattr(fast.predictor, patch.RUNTIME, vars(fast.predictor)[patch.RUNTIME])  # there again afterwards
    monkeypatch.setattr(patch, "detect", broken)
    first, second = fast(image), fast(image)
    assert sum("the GPU fell off" in r.message for r in caplog.records) == 1
    wanted = plain(image)
    for found in (first, second):
        torch.testing.assert_close(found[0].boxes.data, wanted[0].boxes.data, atol=0, rtol=0)


def test_a_model_the_runtime_does_not_know(monkeypatch, caplog):
    """The package's own path, and one line that says why."""
    backend = SimpleNamespace(pt=True, model=torch.nn.Sequential(torch.nn.BatchNorm2d(3)))
    backend.model.names, backend.model.yaml = {0: "a"}, {}
    predictor = SimpleNamespace(model=backend, device=torch.device("cuda"), args=SimpleNamespace(imgsz=160))
    assert OPEN_RUNTIME(predictor) is None
    assert "the package's own path stays" in caplog.text
    predictor.device = torch.device("cpu")
    assert OPEN_RUNTIME(predictor) is None and len(caplog.records) == 1


def test_a_cpu_is_left_alone(package, monkeypatch):
    from doclayout_yolo.models.yolov10.predict import YOLOv10DetectionPredictor as Predictor

    patches.revert("doclayout-yolo")
    plain = (Predictor.setup_model, Predictor.preprocess, Predictor.inference)
    monkeypatch.setattr(accelerator, "accelerator", lambda: accelerator.Accelerator("cpu"))
    status = patches.apply("doclayout-yolo")
    assert str(status).startswith("not needed, because torch sees no GPU")
    assert (Predictor.setup_model, Predictor.preprocess, Predictor.inference) == plain
    monkeypatch.setattr(accelerator, "accelerator", lambda: accelerator.Accelerator("cuda", "sm_90"))
    assert patches.apply("doclayout-yolo").state is State.ACTIVE
    assert Predictor.inference is not plain[2]
    patches.revert("doclayout-yolo")
    assert (Predictor.setup_model, Predictor.preprocess, Predictor.inference) == plain
    assert "setup_model" not in vars(Predictor)
