"""Pages and regions that are read by OCR: stamped scans, pictures of text; and form fields, which are not."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path

import pytest
from common import FILLER, SAMPLES
from PIL import Image
from pypdf import PdfReader, PdfWriter
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from mineru_accel import Pipeline


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with Pipeline(workers=1, formats="md") as pipeline:
        yield pipeline


def picture_of_page(page: int = 0, box: tuple[float, float, float, float] = (0, 0, 1, 1)) -> ImageReader:
    import pypdfium2 as pdfium

    image = pdfium.PdfDocument(SAMPLES / "report.pdf")[page].render(scale=2).to_pil()
    x0, y0, x1, y1 = box
    image = image.crop((int(x0 * image.width), int(y0 * image.height), int(x1 * image.width), int(y1 * image.height)))
    return ImageReader(image)


def test_stamped_scan_is_read_by_ocr(pipeline: Pipeline, tmp_path: Path) -> None:
    page = canvas.Canvas(str(tmp_path / "stamped.pdf"), pagesize=(595, 842))
    page.drawImage(picture_of_page(), 0, 0, 595, 842)
    page.setFont("Helvetica", 8)
    page.drawString(60, 20, "Downloaded from the archive on 12 March 2024, for personal use only")
    page.save()
    result = pipeline.convert(tmp_path / "stamped.pdf", tmp_path / "out")
    assert "The library lent 48,310 items" in result.markdown
    assert set(result.pages[0].sources) <= {"ocr", "image"}


def test_picture_of_text_on_a_typeset_page(pipeline: Pipeline, tmp_path: Path) -> None:
    page = canvas.Canvas(str(tmp_path / "half.pdf"), pagesize=(595, 842))
    page.setFont("Helvetica", 11)
    for i, line in enumerate(("This half of the page is typeset, and goes on", *FILLER)):
        page.drawString(72, 780 - 15 * i, line)
    page.drawImage(picture_of_page(box=(0, 0.14, 1, 0.3)), 0, 500, 595, 135)
    page.save()
    result = pipeline.convert(tmp_path / "half.pdf", tmp_path / "out")
    assert "This half of the page is typeset" in result.markdown
    # Read as text, or kept as a picture where the detector takes it for one: never lost.
    assert "library" in result.markdown or "![](" in result.markdown


def test_filled_form(pipeline: Pipeline, tmp_path: Path) -> None:
    page = canvas.Canvas(str(tmp_path / "empty.pdf"), pagesize=(595, 842))
    page.setFont("Helvetica", 12)
    page.drawString(72, 500, "Name of the applicant:")
    page.acroForm.textfield(name="name", x=220, y=490, width=250, height=24, value="")
    page.save()
    writer = PdfWriter(PdfReader(tmp_path / "empty.pdf"))
    writer.update_page_form_field_values(writer.pages[0], {"name": "Gwendolyn Featherstone"})
    writer.write(tmp_path / "form.pdf")
    assert "Gwendolyn Featherstone" in pipeline.convert(tmp_path / "form.pdf", tmp_path / "out").markdown


def test_method_txt_never_runs_ocr(tmp_path: Path) -> None:
    image = io.BytesIO()
    Image.new("RGB", (400, 300), "white").save(image, "PNG")
    (tmp_path / "scan.png").write_bytes(image.getvalue())
    with Pipeline(workers=1, formats="md", method="txt") as pipeline:
        result = pipeline.convert(tmp_path / "scan.png", tmp_path / "out")
    assert result.error is None and "ocr" not in result.pages[0].timings
