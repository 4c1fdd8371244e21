"""Checkpoints, detectors and servers for tests of the VLM."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import vlm_checkpoints as tiny

from mineru_accel.document import Region


class KnowsPages:
    """A detector that sees exactly the regions of the synthetic pages, told apart by the colour of the first one."""

    name = "stub"
    imgsz = 640

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Region]]:
        return [[Region(b.label, tuple(v / 1000 for v in b.bbox), 0.9) for b in tiny.PAGES[_number(i)]] for i in images]

    def close(self) -> None:
        pass


def _number(image: np.ndarray) -> int:
    """0 or 1: the first page begins with red, the second with violet."""
    height, width = image.shape[:2]
    band = image[int(0.05 * height) : int(0.2 * height), int(0.1 * width) : int(0.9 * width)].reshape(-1, 3).astype(int)
    coloured = band[np.ptp(band, axis=1) > 60]
    return int(np.median(coloured[:, 2] - coloured[:, 0]) > 0)


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
