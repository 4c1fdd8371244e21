"""A page's evidence for docvortex, whether the page has a text layer of its own or one that OCR made."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from docvortex.document.pdf import PDFDocument, PDFPage

from ..reading.types import PageSource
from .opening import hold, open_document
from .types import Key


class Sources:
    """Some pages of one document as docvortex's native analysis wants them (its ``NativePdfSource`` protocol)."""

    def __init__(self, key: Key, pages: Sequence[PageSource]) -> None:
        self._document = open_document(key)
        self._let_go = hold(key)
        self._pages = pages
        self._layers = {p.index: PDFDocument(p.ocr.pdf) for p in pages if p.ocr}

    @property
    def page_count(self) -> int:
        return len(self._pages)

    def page(self, number: int) -> PDFPage:
        """The ``number``-th of these pages: the one that has the text."""
        index = self._pages[number].index
        layer = self._layers.get(index)
        return layer[0] if layer else self._document[index]

    def _extract_native_page(self, number: int) -> Any:
        index = self._pages[number].index
        layer = self._layers.get(index)
        return layer._extract_native_page(0) if layer else self._document._extract_native_page(index)

    def close(self) -> None:
        self._let_go()
        for layer in self._layers.values():
            layer.close()
