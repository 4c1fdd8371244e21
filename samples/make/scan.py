"""``scan.pdf``: the first page of the report as an office scanner gives it back. Only pixels, no text layer."""

from __future__ import annotations

import io
import json
import math
from pathlib import Path

import numpy as np
import pypdfium2 as pdfium
from PIL import Image, ImageFilter
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from .page import write_truth

DPI, SKEW, NOISE, QUALITY = 200, 2.0, 7.0, 42
"""Resolution, degrees clockwise, standard deviation of the noise in grey levels, JPEG quality."""


def make(folder: Path) -> None:
    """Write scan.pdf and its ground truth from the report in the same folder."""
    source = folder / "report.pdf"
    with pdfium.PdfDocument(source) as document:
        picture = document[0].render(scale=DPI / 72).to_pil().convert("L")
    width, height = picture.size
    picture = picture.rotate(-SKEW, Image.Resampling.BICUBIC, fillcolor=255)
    picture = picture.filter(ImageFilter.GaussianBlur(0.8))
    rng = np.random.default_rng(5)
    grey = np.asarray(picture, dtype=float)
    light = 1.0 - 0.07 * np.linspace(0, 1, width)[None, :] ** 3  # the shadow of the spine
    grey = (grey * 0.88 + 22) * light + rng.normal(0, NOISE, grey.shape)
    for _ in range(60):  # dust
        y, x = int(rng.integers(height - 3)), int(rng.integers(width - 3))
        grey[y : y + 2, x : x + 2] = 90
    data = io.BytesIO()
    Image.fromarray(grey.clip(0, 255).astype(np.uint8)).save(data, "JPEG", quality=QUALITY, dpi=(DPI, DPI))
    data.seek(0)
    buffer = io.BytesIO()
    size = (width * 72 / DPI, height * 72 / DPI)
    canvas = Canvas(buffer, pagesize=size, pageCompression=1, invariant=1)
    canvas.drawImage(ImageReader(data), 0, 0, *size)
    canvas.save()
    (folder / "scan.pdf").write_bytes(buffer.getvalue())

    page = json.loads((folder / "report.regions.json").read_text(encoding="utf-8"))[0]
    for region in page["regions"]:
        region["bbox"] = [round(v, 5) for v in _turned(region["bbox"], *size)]
    page["size"] = list(size)
    count = sum(region["label"] != "abandon" for region in page["regions"])
    blocks = (folder / "report.md").read_text(encoding="utf-8").strip().split("\n\n")[:count]
    write_truth(folder / "scan", [page], blocks)


def _turned(box: list[float], width: float, height: float) -> tuple[float, float, float, float]:
    """The box around ``box`` (unit coordinates) after the page was turned about its centre."""
    cos, sin = math.cos(math.radians(SKEW)), math.sin(math.radians(SKEW))
    corners = []
    for x in (box[0], box[2]):
        for y in (box[1], box[3]):
            dx, dy = (x - 0.5) * width, (y - 0.5) * height
            corners.append((0.5 + (dx * cos - dy * sin) / width, 0.5 + (dx * sin + dy * cos) / height))
    xs, ys = [c[0] for c in corners], [c[1] for c in corners]
    return min(xs), min(ys), max(xs), max(ys)
