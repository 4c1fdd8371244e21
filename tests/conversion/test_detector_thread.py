"""Pages on their way through the layout stage, with detectors that do as the test needs."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from common import PATIENCE, SAMPLES, MakePdf, wait_until

from mineru_accel import PageStatus, Pipeline
from mineru_accel.document import Region
from mineru_accel.layout.classes import Label


class Stub:
    """Sees one region that covers the page; notes what it was shown."""

    name = "stub"
    imgsz = 640
    max_batch = 4

    def __init__(self) -> None:
        self.shapes: list[tuple[int, ...]] = []
        self.batches: list[int] = []
        self.ink: list[float] = []
        self.closed = False

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Region]]:
        self.batches.append(len(images))
        for image in images:
            self.shapes.append(image.shape)
            self.ink.append(float((image < 128).mean()))
        return [[Region(Label.PLAIN_TEXT, (0.0, 0.0, 1.0, 1.0), 0.9)] for _ in images]

    def close(self) -> None:
        self.closed = True


@pytest.fixture
def stub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Stub:
    stub = Stub()
    monkeypatch.setattr("mineru_accel.layout.load_detector", lambda *a, **k: stub)
    return stub


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "weights.pt"
    path.write_bytes(b"never read: the detector is a stub")
    return path


def test_every_page_passes_the_detector(stub: Stub, weights: Path, tmp_path: Path, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"d{i}.pdf", [f"document {i} page {p}" for p in range(15)]) for i in range(4)]
    with Pipeline(layout_weights=weights, workers=2) as pipeline:
        results = list(pipeline.convert_batch(paths, tmp_path / "out"))
    assert stub.closed
    assert sum(stub.batches) == len(stub.shapes) == 60  # far more than there are slots
    assert max(stub.batches) <= stub.max_batch
    assert all(max(shape[:2]) == 640 and shape[2] == 3 for shape in stub.shapes)
    assert all(ink > 0.0005 for ink in stub.ink)  # the pixels of the page, not an empty slot
    for result in results:
        assert result.ok and result.layout == "doclayout-yolo"
        i = result.name[1:]
        positions = [result.markdown.find(f"document {i} page {p},") for p in range(15)]
        assert -1 not in positions and positions == sorted(positions)
        assert {"layout", "render", "extract"} <= set(result.pages[3].timings)


def test_detector_that_fails_costs_its_pages(
    stub: Stub, weights: Path, tmp_path: Path, make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    def detect(images: Sequence[np.ndarray]) -> list[list[Region]]:
        raise RuntimeError("out of memory on the GPU")

    monkeypatch.setattr(stub, "detect", detect)
    with Pipeline(layout_weights=weights, workers=1) as pipeline:
        result = pipeline.convert(make_pdf("a.pdf", ["text"] * 30), tmp_path / "out")
        assert not result.ok and "out of memory on the GPU" in (result.error or "")
        monkeypatch.undo()
        assert pipeline.convert(make_pdf("b.pdf", ["text"]), tmp_path / "out").ok  # and no slot was lost


def test_damaged_pages_give_their_slots_back(
    stub: Stub, weights: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import zoo

    with Pipeline(layout_weights=weights, workers=1) as pipeline:
        for i in range(12):
            result = pipeline.convert(zoo.write(tmp_path, f"z{i}.pdf", zoo.damaged_page()), tmp_path / "out")
            assert [p.status for p in result.pages] == [PageStatus.OK, PageStatus.FAILED, PageStatus.OK]


def test_scan_is_straightened_for_the_detector(stub: Stub, weights: Path, tmp_path: Path) -> None:
    seen: list[np.ndarray] = []
    real = stub.detect

    def detect(images: Sequence[np.ndarray]) -> list[list[Region]]:
        seen.extend(image.copy() for image in images)
        return real(images)

    stub.detect = detect  # type: ignore[method-assign]
    with Pipeline(layout_weights=weights, workers=1) as pipeline:
        assert pipeline.convert(SAMPLES / "scan.pdf", tmp_path / "out").ok
    profile = (seen[0].mean(axis=2) < 140).mean(axis=1)
    assert np.abs(np.diff(profile)).sum() > 1.5 * _tilted_profile(seen[0])


def _tilted_profile(image: np.ndarray) -> float:
    """Sharpness of the line profile if the page were tilted by two degrees: what the raw scan looks like."""
    from mineru_accel.pdf.rendering import rotate

    profile = (rotate(image, -2).mean(axis=2) < 140).mean(axis=1)
    return float(np.abs(np.diff(profile)).sum())


def test_close_while_the_detector_works(stub: Stub, weights: Path, tmp_path: Path, make_pdf: MakePdf) -> None:
    working, release = threading.Event(), threading.Event()
    real = stub.detect

    def detect(images: Sequence[np.ndarray]) -> list[list[Region]]:
        working.set()
        release.wait(PATIENCE)
        return real(images)

    stub.detect = detect  # type: ignore[method-assign]
    pipeline = Pipeline(layout_weights=weights, workers=1)
    results = pipeline.convert_batch([make_pdf("a.pdf", ["text"] * 5)], tmp_path / "out")
    outcome = []
    thread = threading.Thread(target=lambda: outcome.extend(results))
    thread.start()
    assert working.wait(PATIENCE)
    closing = threading.Thread(target=pipeline.close)
    closing.start()
    assert wait_until(lambda: pipeline.executor.scheduler.inbox.closed)
    release.set()
    for each in (thread, closing):
        each.join(PATIENCE)
        assert not each.is_alive()
    assert outcome[0].error == "stopped"
    assert not list((tmp_path / "out").glob(".mineru-accel*"))
