"""The document with its regions drawn, by docvortex; long ones in parts, since it holds a part's pages in memory."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pypdfium2 as pdfium
from docvortex.visualization import render_layout_pdf
from mineru.types import MiddleJson

from .inactive_pdf import disarm

_LONGEST = 200_000
"""Points; PDF's own limit for a side of a page is less."""


def layout_pdf(pdf: bytes, middle: MiddleJson) -> bytes:
    """The PDF with every block of ``middle`` outlined, named and numbered; pages that were not converted stay as is."""
    try:
        return disarm(render_layout_pdf(pdf, middle.pages))
    except Exception:  # pypdf stumbles over damaged pages that pdfium passes over
        source = pdfium.PdfDocument(pdf)
        return disarm(render_layout_pdf(_bytes(_mended(_sound_pages(source))), middle.pages))


def layout_pages(pdf: bytes, middle: MiddleJson, pages: range) -> bytes:
    """The same for some pages (0-based) of the PDF."""
    source = pdfium.PdfDocument(pdf)
    indices = list(range(pages.start, min(pages.stop, len(source))))
    part = _sound_pages(source, indices)
    try:
        return disarm(render_layout_pdf(_bytes(part), middle.pages, page_indices=indices))
    except Exception:
        return disarm(render_layout_pdf(_bytes(_mended(part)), middle.pages, page_indices=indices))


def _mended(document: pdfium.PdfDocument) -> pdfium.PdfDocument:
    """The document with boxes and rotations that everyone understands."""
    for index in range(len(document)):
        page = document[index]
        page.set_rotation(page.get_rotation())
        boxes = [page.get_mediabox(), page.get_cropbox()]
        if any(not 1 <= b[2] - b[0] <= _LONGEST or not 1 <= b[3] - b[1] <= _LONGEST or max(b) > 1e6 for b in boxes):
            page.set_mediabox(0, 0, 595, 842)
            page.set_cropbox(0, 0, 595, 842)
        page.close()
    return document


def join(parts: Iterable[Path], target: Path) -> None:
    """One PDF of several."""
    whole = pdfium.PdfDocument.new()
    for path in parts:
        part = pdfium.PdfDocument(path)
        whole.import_pages(part)
        part.close()
    whole.save(target)


def _sound_pages(source: pdfium.PdfDocument, indices: Sequence[int] | None = None) -> pdfium.PdfDocument:
    """A copy of some pages, with a blank one in place of each that can't be loaded."""
    indices = range(len(source)) if indices is None else indices
    out = pdfium.PdfDocument.new()
    try:
        out.import_pages(source, list(indices))  # together, so that they share their fonts
        return out
    except pdfium.PdfiumError:
        out.close()
    out = pdfium.PdfDocument.new()
    for index in indices:
        try:
            source[index].close()
            out.import_pages(source, [index])
        except pdfium.PdfiumError:
            out.new_page(595, 842)
    return out


def _bytes(document: pdfium.PdfDocument) -> bytes:
    out = io.BytesIO()
    document.save(out)
    return out.getvalue()
