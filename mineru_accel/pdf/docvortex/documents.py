"""Documents that docvortex has opened: it holds their bytes and pdfium's document."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Any

import pypdfium2 as pdfium
from docvortex.document.pdf import PDFDocument, PDFPage


class Document:
    """An open PDF.

    Args:
        data: bytes of a PDF that pdfium opens without a password.
    """

    def __init__(self, data: bytes) -> None:
        self._document = PDFDocument(data)

    @property
    def data(self) -> bytes:
        """The bytes it was opened from."""
        return self._document.bytes

    @property
    def page_count(self) -> int:
        """Number of pages."""
        return len(self._document._pdf_doc)

    def page_size(self, index: int) -> tuple[float, float]:
        """Displayed width and height of a page in points, without loading it.

        Raises:
            pypdfium2.PdfiumError: if the page is damaged.
        """
        return self._document._pdf_doc.get_page_size(index)

    def turn_page(self, index: int, degrees: int) -> None:
        """Turn a page counter-clockwise, before it is used for the first time; a damaged page stays as it is."""
        try:
            page = self._document._pdf_doc[index]
        except pdfium.PdfiumError:  # reported when the page is read
            return
        page.set_rotation((page.get_rotation() - degrees) % 360)
        page.close()

    def open_page(self, index: int) -> AbstractContextManager[pdfium.PdfPage]:
        """pdfium's page, open inside the ``with`` block.

        Raises:
            pypdfium2.PdfiumError: if the page is damaged.
        """
        return self._document._open_page(index)

    def page(self, index: int) -> PDFPage:
        """docvortex's page, for this package only."""
        return self._document[index]

    def native_snapshot(self, index: int) -> Any:
        """A page in the form that docvortex's model-free analysis takes, for this package only."""
        return self._document._extract_native_page(index)

    def close(self) -> None:
        """Close the document and its pages."""
        self._document.close()
