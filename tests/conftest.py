"""Fixtures that several test files share."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from common import FILLER, MakePdf
from hypothesis import HealthCheck, settings
from reportlab.pdfgen import canvas
from stand_in_nvml import Driver

# No test may reach the network or a real home.
os.environ.setdefault("MINERU_MODEL_SOURCE", "local")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

# Examples are judged by what they show, not by how long a busy machine takes for one.
settings.register_profile("any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("any machine")


@pytest.fixture(autouse=True)
def _logging_on() -> None:
    """A command that an earlier test ran in this process switched other libraries' logging off: on again."""
    logging.disable(logging.NOTSET)


@pytest.fixture
def make_pdf(tmp_path: Path) -> MakePdf:
    """Makes a PDF with a paragraph a page that starts as given: ``make_pdf("name.pdf", ["page one", "page two"])``."""

    def make(name: str, pages: list[str], size: tuple[float, float] = (595, 842)) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        page = canvas.Canvas(str(path), pagesize=size, pageCompression=0, invariant=1)
        for text in pages:
            page.setFont("Helvetica", 12)
            for i, line in enumerate((text + ", and then goes on", *FILLER)):
                page.drawString(72, size[1] / 2 - 15 * i, line)
            page.showPage()
        page.save()
        return path

    return make


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    made = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", made)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield made
    assert made.started == 0  # and every time ended
