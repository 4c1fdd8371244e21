"""A long document put together in parts has the bytes of one put together at once."""

from __future__ import annotations

import io
import shutil
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from common import SAMPLES
from reportlab.pdfgen import canvas

import mineru_accel.conversion.worker_imports  # noqa: F401  (settings that MinerU reads when it is imported)
from mineru_accel.export.parts import write_part
from mineru_accel.export.types import Part, PartJob, WriteJob, Writing
from mineru_accel.export.writer import write
from mineru_accel.options import DEFAULT_FORMATS, Format, Images
from mineru_accel.pdf.types import Key, PageSource
from mineru_accel.reading.native import analyze
from mineru_accel.storage import page_store

COPIES = 2
PROSE = 4
PAGES = 5 * COPIES + PROSE


def _prose(count: int) -> bytes:
    """Pages of one sentence that does not end."""
    out = io.BytesIO()
    page = canvas.Canvas(out, pagesize=(595, 842), invariant=1)
    for number in range(count):
        page.setFont("Helvetica", 11)
        for line in range(50):
            page.drawString(
                60, 780 - 14 * line, f"and so the text of page {number} goes on in line {line} without an end,"
            )
        page.showPage()
    page.save()
    return out.getvalue()


@pytest.fixture(scope="module")
def staging(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A document of several samples, so that paragraphs and tables go on over the edges of pages."""
    folder = tmp_path_factory.mktemp("staging")
    whole = pdfium.PdfDocument.new()
    for name in ("paper", "report") * COPIES:
        whole.import_pages(pdfium.PdfDocument(SAMPLES / f"{name}.pdf"))
    whole.import_pages(pdfium.PdfDocument(_prose(PROSE)))
    whole.save(folder / "long.pdf")
    (folder / "pages").mkdir()
    sources = [PageSource(i) for i in range(len(whole))]
    for content in analyze(Key(str(folder / "long.pdf")), sources, folder / "images", 36, first=True):
        page_store.write_page(folder, content.index, content.raws)
    return folder


def _writing(staging: Path, pages: list[int], whole: bool) -> Writing:
    return Writing(Key(str(staging / "long.pdf")), "x", str(staging), pages, whole, Images.FILE, "flash", "txt")


@pytest.mark.parametrize("first", [0, 1])
def test_parts_are_the_whole(staging: Path, first: int) -> None:
    pages = list(range(first, PAGES))
    whole = write(WriteJob(_writing(staging, pages, not first), DEFAULT_FORMATS, 0))
    assert not whole.failed_formats
    wanted = {fmt: (staging / name).read_bytes() for fmt, name in whole.files.items()}
    assert len(wanted[Format.MD]) > 10_000
    for size in (1, 4, 7):
        shutil.rmtree(staging / "pages" / "parts", ignore_errors=True)
        number = text_to = cuts = 0
        while number * size < len(pages):
            part = Part(number, number * size, min(len(pages), (number + 1) * size), text_to, len(pages))
            low, high = part.around
            until = pages[part.stop] if part.stop < len(pages) else None
            done = write_part(PartJob(_writing(staging, pages[low:high], False), part, DEFAULT_FORMATS, until))
            text_to, number = done.text_to, number + 1
            cuts += text_to < part.stop
        assert (staging / "x.md").read_bytes().rstrip(b"\n") == wanted[Format.MD]  # what everyone can see
        joined = write(WriteJob(_writing(staging, pages, not first), DEFAULT_FORMATS, number))
        assert not joined.failed_formats
        for fmt, data in wanted.items():
            got = (staging / joined.files[fmt]).read_bytes()
            if fmt is Format.LAYOUT_PDF:
                assert len(pdfium.PdfDocument(got)) == len(pdfium.PdfDocument(data)) == PAGES
            else:
                assert got == data, fmt
        (staging / "x.md").unlink()
        assert cuts or size > 1  # some page ends within a paragraph


def test_a_part_that_fails_costs_one_format(staging: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> bytes:
        raise KeyError("Parent")

    monkeypatch.setattr("mineru_accel.export.parts.layout_pages", broken)
    shutil.rmtree(staging / "pages" / "parts", ignore_errors=True)
    pages = list(range(4))
    for number in range(2):
        part = Part(number, 2 * number, 2 * number + 2, 2 * number, 4)
        low, high = part.around
        write_part(PartJob(_writing(staging, pages[low:high], False), part, DEFAULT_FORMATS, None))
    written = write(WriteJob(_writing(staging, pages, False), DEFAULT_FORMATS, 2))
    assert list(written.failed_formats) == [Format.LAYOUT_PDF] and "KeyError" in written.failed_formats["layout_pdf"]
    (staging / "x.md").unlink()
