"""Documents that docvortex has opened: it holds their bytes and pdfium's document."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cached_property
from typing import Any

import pypdfium2 as pdfium
from docvortex.document.pdf import PDFDocument, PDFPage
from loguru import logger

from ..annotations import Annotations
from ..layers import may_hide_layers
from ..page_objects import Path, deactivate

_A4 = (595.0, 842.0)
"""Points; the size of a page that has none of its own, or no area."""


class Document:
    """An open PDF.

    Args:
        data: bytes of a PDF that pdfium opens without a password.
    """

    def __init__(self, data: bytes) -> None:
        self._document = _VisibleText(data)

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
        size = self._document._pdf_doc.get_page_size(index)
        return size if min(size) > 0 else _A4

    @cached_property
    def may_hide_layers(self) -> bool:
        """Whether some of its layers may be off."""
        return may_hide_layers(self.data)

    def hide(self, index: int, paths: tuple[Path, ...]) -> None:
        """Leave objects of a page out of what :meth:`page` and :meth:`native_snapshot` give."""
        self._document.hidden[index] = paths

    def open_page(self, index: int) -> AbstractContextManager[pdfium.PdfPage]:
        """pdfium's page with all its objects, open inside the ``with`` block.

        Raises:
            pypdfium2.PdfiumError: if the page is damaged.
        """
        return _PreparedDocument._open_page(self._document, index)

    def page(self, index: int) -> PDFPage:
        """docvortex's page, for this package only."""
        return self._document[index]

    def native_snapshot(self, index: int) -> Any:
        """A page in the form that docvortex's model-free analysis takes, for this package only."""
        return self._document._extract_native_page(index)

    def has_drawn_annotations(self, index: int) -> bool:
        """Whether a page, which was opened before, now has text that its annotations showed."""
        return index in self._document.drawn

    def close(self) -> None:
        """Close the document and its pages."""
        self._document.close()


class _PreparedDocument(PDFDocument):
    """A document whose pages are made ready when they are first opened: see :mod:`..annotations`."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self._prepared: set[int] = set()
        self._annotations: Annotations | None = None
        self.drawn: set[int] = set()
        """Pages with annotations that were made part of them."""

    @contextmanager
    def _open_page(self, page_idx: int) -> Iterator[pdfium.PdfPage]:
        with super()._open_page(page_idx) as page:
            if page_idx in self._prepared or not self._prepare(page_idx, page):
                yield page
                return
        with super()._open_page(page_idx) as page:
            yield page

    def _prepare(self, index: int, page: pdfium.PdfPage) -> bool:
        """Whether the page has changed, and is to be opened anew."""
        self._prepared.add(index)
        changed = False
        try:
            self._annotations = self._annotations or Annotations(self._pdf_doc, self.bytes)
            changed = self._annotations.draw(index, page)
        except (pdfium.PdfiumError, ValueError, OverflowError) as error:  # an odd annotation must not cost its page
            logger.opt(exception=error).debug("annotations of page {}", index + 1)
        if changed:
            self.drawn.add(index)
        if min(page.get_size()) <= 0:
            page.set_mediabox(0, 0, *_A4)
            page.set_cropbox(0, 0, *_A4)
            changed = True
        return changed


class _VisibleText(_PreparedDocument):
    """A document whose pages lack the objects that they don't show."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.hidden: dict[int, tuple[Path, ...]] = {}

    @contextmanager
    def _open_page(self, page_idx: int) -> Iterator[pdfium.PdfPage]:
        with super()._open_page(page_idx) as page:
            deactivate(page, self.hidden.get(page_idx, ()))
            yield page
