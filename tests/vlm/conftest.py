"""Checkpoints, detectors and servers for tests of the VLM."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import vlm_checkpoints as tiny
from stand_in import Behave, StandIn
from stub_detector import KnowsPages

from mineru_accel.hardware import accelerator, gpus


@pytest.fixture(scope="session")
def trained() -> Path:
    """A tiny VLM that knows ``vlm_checkpoints.PAGES`` by heart."""
    pytest.importorskip("torch")
    return tiny.trained_checkpoint()


@pytest.fixture(scope="session")
def untrained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny VLM of random weights; its outputs depend on every one of them."""
    pytest.importorskip("torch")
    return tiny.random_checkpoint(tmp_path_factory.mktemp("random"))


@pytest.fixture
def hoppers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint's folder, on a host of two GPUs of 80 GiB with too few cores for two engines on each."""
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(accelerator, "accelerator", lambda: accelerator.Accelerator("cuda", "sm_90"))
    monkeypatch.setattr(gpus, "visible", lambda: 2)
    monkeypatch.setattr(gpus, "memory_gib", lambda devices: 80.0)
    monkeypatch.setattr(gpus, "cores_each", lambda: 8.0)
    return tmp_path


@pytest.fixture
def serve() -> Iterator[Callable[[Behave], StandIn]]:
    """``serve(behave)`` starts a stand-in."""
    running: list[StandIn] = []

    def start(behave: Behave) -> StandIn:
        running.append(StandIn(behave))
        return running[-1]

    yield start
    for one in running:
        one.die()


@pytest.fixture
def pages(tmp_path: Path) -> Path:
    """The synthetic pages as a PDF with a text layer."""
    path = tmp_path / "pages.pdf"
    path.write_bytes(tiny.pages_pdf())
    return path


@pytest.fixture
def vlm_options(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> dict[str, Any]:
    """Options of a pipeline whose detector is :class:`KnowsPages`."""
    monkeypatch.setattr("mineru_accel.layout.load_detector", lambda *a, **k: KnowsPages())
    weights = tmp_path / "weights.pt"
    weights.write_bytes(b"never read: the detector is a stub")
    return {"layout_weights": weights, "workers": 1}
