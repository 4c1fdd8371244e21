"""The document with its regions drawn, by docvortex; long ones in parts, since it holds a part's pages in memory."""

from __future__ import annotations

import io
from collections.abc import Sequence

import pypdfium2 as pdfium
from docvortex.visualization import render_layout_pdf
from mineru.types import MiddleJson

_PART = 64


def layout_pdf(pdf: bytes, middle: MiddleJson) -> bytes:
    """The PDF with every block of ``middle`` outlined, named and numbered; pages that were not converted stay as is."""
    source = pdfium.PdfDocument(pdf)
    if len(source) <= _PART:
        try:
            return render_layout_pdf(pdf, middle.pages)
        except Exception:  # pypdf stumbles over damaged pages that pdfium passes over
            return render_layout_pdf(_bytes(_sound_pages(source)), middle.pages)
    whole = pdfium.PdfDocument.new()
    by_index = {page.page_idx: page for page in middle.pages}
    for start in range(0, len(source), _PART):
        indices = list(range(start, min(start + _PART, len(source))))
        part = _sound_pages(source, indices)
        pages = [by_index[i] for i in indices if i in by_index]
        drawn = pdfium.PdfDocument(render_layout_pdf(_bytes(part), pages, page_indices=indices))
        whole.import_pages(drawn)
        drawn.close()
        part.close()
    return _bytes(whole)


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
