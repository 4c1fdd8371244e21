"""The OCR model is loaded once in the zygote and used by the workers forked from it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ZYGOTE = r"""
import os, sys
import mineru_accel.conversion.worker_imports
import mineru_accel.pdf.ocr_preload
from mineru_accel.pdf import ocr
from mineru_accel.pdf.rendering import render
from mineru_accel.pdf.opening import open_page
from mineru_accel.pdf.types import Key

assert len(os.listdir("/proc/self/task")) == 1, "a process with threads may not be forked"
loaded = set(sys.modules)
for _ in range(2):
    if os.fork() == 0:
        with open_page(Key(sys.argv[1]), 0) as page:
            line = ocr.read_line(render(page, 2, (0.05, 0.04, 0.95, 0.1)))
        os.write(1, f"{line}\n".encode())  # one write a line: those of print() may mix
        assert not {m for m in set(sys.modules) - loaded if m.startswith(("rapidocr", "onnxruntime"))}
        os._exit(0)
assert [os.wait()[1] for _ in range(2)] == [0, 0]
"""


@pytest.mark.skipif(sys.platform != "linux", reason="workers are forked on Linux only")
def test_workers_have_the_model_from_the_zygote(tmp_path: Path) -> None:
    from reportlab.pdfgen import canvas

    page = canvas.Canvas(str(tmp_path / "line.pdf"), pagesize=(400, 200))
    page.setFont("Helvetica", 10)
    page.drawString(30, 184, "what the workers read together")
    page.save()
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    ran = subprocess.run(
        [sys.executable, "-c", ZYGOTE, str(tmp_path / "line.pdf")], env=environment, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.splitlines() == ["what the workers read together"] * 2
