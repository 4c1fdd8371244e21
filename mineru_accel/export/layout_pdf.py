"""The document with its regions drawn, by docvortex, which holds all pages of a call in memory: long ones in parts."""

from __future__ import annotations

from docvortex.visualization import render_layout_pdf
from mineru.types import MiddleJson

from ..pdf.page_copies import copy_pages, indices_within
from .inactive_pdf import remove_active_content


def layout_pdf(pdf: bytes, middle: MiddleJson) -> bytes:
    """The PDF with every block of ``middle`` outlined, named and numbered; pages that were not converted stay as is."""
    try:
        return remove_active_content(render_layout_pdf(pdf, middle.pages))
    except Exception:  # pypdf stumbles over damaged pages that pdfium passes over
        return remove_active_content(render_layout_pdf(copy_pages(pdf, plain_boxes=True), middle.pages))


def layout_pages(pdf: bytes, middle: MiddleJson, pages: range) -> bytes:
    """The same for some pages (0-based) of the PDF."""
    indices = indices_within(pdf, pages)
    try:
        return remove_active_content(render_layout_pdf(copy_pages(pdf, indices), middle.pages, page_indices=indices))
    except Exception:
        copy = copy_pages(pdf, indices, plain_boxes=True)
        return remove_active_content(render_layout_pdf(copy, middle.pages, page_indices=indices))
