"""Copies of a PDF's pages, with pdfium: some pages, pages that other programs stumble over made plain, several PDFs
joined."""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import pypdfium2 as pdfium

_LONGEST = 200_000
"""Points; PDF's own limit for a side of a page is less."""
_A4 = (595, 842)
"""Points."""


def indices_within(pdf: bytes, pages: range) -> list[int]:
    """Those 0-based page numbers of a range that the PDF has."""
    document = pdfium.PdfDocument(pdf)
    try:
        return list(range(pages.start, min(pages.stop, len(document))))
    finally:
        document.close()


def copy_pages(pdf: bytes, indices: Sequence[int] | None = None, *, plain_boxes: bool = False) -> bytes:
    """A PDF of some pages; a page that can't be loaded becomes a blank one.

    Args:
        pdf: The file.
        indices: 0-based page numbers; None copies all pages.
        plain_boxes: Replace boxes and rotations that some programs do not understand.
    """
    source = pdfium.PdfDocument(pdf)
    copy = _loadable_pages(source, range(len(source)) if indices is None else indices)
    if plain_boxes:
        _simplify_boxes(copy)
    out = io.BytesIO()
    copy.save(out)
    return out.getvalue()


def join(paths: Iterable[Path], target: Path) -> None:
    """Write one PDF of several."""
    whole = pdfium.PdfDocument.new()
    for path in paths:
        document = pdfium.PdfDocument(path)
        whole.import_pages(document)
        document.close()
    whole.save(target)


def _simplify_boxes(document: pdfium.PdfDocument) -> None:
    for page in document:
        page.set_rotation(page.get_rotation())
        boxes = [page.get_mediabox(), page.get_cropbox()]
        if any(not 1 <= b[2] - b[0] <= _LONGEST or not 1 <= b[3] - b[1] <= _LONGEST or max(b) > 1e6 for b in boxes):
            page.set_mediabox(0, 0, *_A4)
            page.set_cropbox(0, 0, *_A4)
        page.close()


def _loadable_pages(source: pdfium.PdfDocument, indices: Sequence[int]) -> pdfium.PdfDocument:
    copy = pdfium.PdfDocument.new()
    try:
        copy.import_pages(source, list(indices))  # together, so that they share their fonts
        return copy
    except pdfium.PdfiumError:
        copy.close()
    copy = pdfium.PdfDocument.new()
    for index in indices:
        try:
            source[index].close()
            copy.import_pages(source, [index])
        except pdfium.PdfiumError:
            copy.new_page(*_A4)
    return copy
