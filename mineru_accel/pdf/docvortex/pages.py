"""What a page's text layer says, be it the page's own or one that OCR made: characters, rules, tables, styles."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from docvortex.analyzers.pdf import (
    PDFTablePage,
    PDFTableRecoveryError,
    apply_text_evidence,
    prepare_table_page,
    prepare_text_evidence,
    recover_table_region,
)
from docvortex.document.pdf import PDFPage

from ...document import BBox, Block
from ..opening import hold, open_document
from ..types import Key, PageSource
from .characters import Char
from .documents import Document

RangesOf = Callable[[Any, str], Any]
"""Corrects a line of style evidence: (line with ``text``, name of the field that holds ranges of it) -> line."""


@dataclass(slots=True)
class TextLine:
    """Characters that pdfium has as one line, in its order."""

    chars: list[Char]


class TextPage:
    """The text layer of one page; all boxes in points, origin top left."""

    def __init__(self, page: PDFPage) -> None:
        self._page = page
        self._snapshot = page.get_snapshot()
        self._tables: PDFTablePage | None = None

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""
        return self._snapshot.page_size

    def lines(self) -> list[TextLine]:
        """Lines of characters, each call with records of its own."""
        return [TextLine([c for span in line["spans"] for c in span["chars"]]) for line in self._snapshot.get_lines()]

    def ruled_lines(self) -> list[BBox]:
        """Ruled lines of both directions, as boxes."""
        return [line.bbox for line in self._snapshot.vector_geometry.drawing_lines]

    def horizontal_rules_of_tables(self) -> list[BBox]:
        """Horizontal ruled lines as the table recovery sees them: edges of filled cells included."""
        return [line.bbox for line in self._table_page().drawing_lines if line.orientation == "horizontal"]

    def recover_table(self, bbox: BBox, angle: int) -> str | None:
        """HTML of a table from its rules and text; None where it sees none.

        Args:
            angle: degrees by which the table is turned clockwise.
        """
        try:
            result = recover_table_region(self._table_page(), bbox, angle=angle)
        except (PDFTableRecoveryError, ValueError):
            return None
        return result.html if result is not None else None

    def apply_styles(self, blocks: list[Block], tables: Sequence[BBox], corrected: RangesOf) -> None:
        """Turn plain text of blocks (unit bboxes), in place, into spans with bold, scripts and links of the page.

        Args:
            tables: boxes whose text is no running text.
            corrected: changes each line of evidence before it is compared with the blocks' text.
        """
        found = prepare_text_evidence(self._page, snapshot=self._snapshot, table_regions=tables)
        found = replace(
            found,
            styles=tuple(corrected(line, "style_ranges") for line in found.styles),
            links=tuple(corrected(line, "link_ranges") for line in found.links),
            scripts=tuple(corrected(line, "script_ranges") for line in found.scripts),
        )
        apply_text_evidence(blocks, found)

    def _table_page(self) -> PDFTablePage:
        self._tables = self._tables or prepare_table_page(self._page, snapshot=self._snapshot)
        return self._tables


class TextPages:
    """Some pages of one document, which stays open meanwhile; use as a context manager."""

    def __init__(self, key: Key, pages: Sequence[PageSource]) -> None:
        self._document = open_document(key)
        self._release = hold(key)
        self._pages = pages
        self._layers = {p.index: Document(p.ocr.pdf) for p in pages if p.ocr}

    def __enter__(self) -> TextPages:
        return self

    def __exit__(self, *exc: object) -> None:
        self._release()
        for layer in self._layers.values():
            layer.close()

    def __len__(self) -> int:
        return len(self._pages)

    def page(self, number: int) -> TextPage:
        """The ``number``-th of these pages: OCR's text layer where it has one, else its own."""
        return TextPage(self._pdf(number).page(self._index(number)))

    def native_snapshot(self, number: int) -> Any:
        """See :meth:`.documents.Document.native_snapshot`."""
        return self._pdf(number).native_snapshot(self._index(number))

    def _pdf(self, number: int) -> Document:
        return self._layers.get(self._pages[number].index, self._document)

    def _index(self, number: int) -> int:
        index = self._pages[number].index
        return 0 if index in self._layers else index
