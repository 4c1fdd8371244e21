"""A page's text layer, its own or one that OCR made: characters, ruled lines, tables, styles."""

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

from ...document import BBox, Block
from ..opening import keep_open, open_document
from ..types import HiddenText, HiddenTexts, Key, PageSource
from ..visibility import find_hidden
from .characters import Char
from .documents import Document
from .line_cuts import cut_at_others

LineCorrection = Callable[[Any, str], Any]
"""Corrects a line of style evidence: (line with ``text``, name of the field with ranges of that text) -> line."""


@dataclass(slots=True)
class TextLine:
    """Characters that pdfium groups as one line, in its order."""

    chars: list[Char]


class TextPage:
    """The text layer of one page; all boxes in points, origin top left.

    Args:
        covered: boxes of letters that something covers, which :meth:`lines` leaves out.
    """

    def __init__(self, document: Document, index: int, covered: Sequence[BBox] = ()) -> None:
        self._page = page = document.page(index)
        self._covered = covered
        self._snapshot = page.get_snapshot()
        self._has_insertions = document.has_drawn_annotations(index)
        self._tables: PDFTablePage | None = None

    @property
    def size(self) -> tuple[float, float]:
        """Width and height in points."""
        return self._snapshot.page_size

    def lines(self) -> list[TextLine]:
        """Lines of characters; each call returns new records, which the caller may change."""
        lines = [[c for span in line["spans"] for c in span["chars"]] for line in self._snapshot.get_lines()]
        if self._covered:
            lines = [[char for char in chars if not self._is_covered(char)] for chars in lines]
        return [TextLine(chars) for chars in (cut_at_others(lines) if self._has_insertions else lines)]

    def _is_covered(self, char: Char) -> bool:
        """Whether something covers a character; white space stays."""
        x0, y0, x1, y1 = char["bbox"]
        x, y = (x0 + x1) / 2, (y0 + y1) / 2
        return not char["char"].isspace() and any(
            box[0] <= x <= box[2] and abs(y - (box[1] + box[3]) / 2) < (y1 - y0) / 2 for box in self._covered
        )

    def ruled_lines(self) -> list[BBox]:
        """Ruled lines, horizontal and vertical, as boxes."""
        return [line.bbox for line in self._snapshot.vector_geometry.drawing_lines]

    def paths(self) -> list[tuple[BBox, bool]]:
        """Boxes of drawn paths, and whether each is a rectangle."""
        geometry = self._snapshot.vector_geometry
        edges = {_rounded(line.bbox) for line in geometry.drawing_lines}

        def is_rectangle(path: Any) -> bool:
            x0, y0, x1, y1 = path.bbox
            sides = ((x0, y0, x1, y0), (x0, y1, x1, y1), (x0, y0, x0, y1), (x1, y0, x1, y1))
            return bool(path.rectangle_bboxes) or all(_rounded(side) in edges for side in sides)

        return [(path.bbox, is_rectangle(path)) for path in geometry.path_infos]

    def horizontal_rules_of_tables(self) -> list[BBox]:
        """Horizontal ruled lines as the table recovery sees them: edges of filled cells included."""
        return [line.bbox for line in self._table_page().drawing_lines if line.orientation == "horizontal"]

    def recover_table(self, bbox: BBox, rotation: int) -> str | None:
        """HTML of a table from its ruled lines and text; None where docvortex finds no table.

        Args:
            rotation: clockwise rotation of the table in degrees.
        """
        try:
            result = recover_table_region(self._table_page(), bbox, angle=rotation)
        except (PDFTableRecoveryError, ValueError):
            return None
        return result.html if result is not None else None

    def apply_styles(self, blocks: list[Block], tables: Sequence[BBox], corrected: LineCorrection) -> None:
        """Turn plain text of blocks, in place, into spans with the page's bold type, scripts and links.

        Args:
            blocks: with bboxes in fractions of the page.
            tables: boxes whose text is not running text.
            corrected: corrects each line of style evidence before it is compared with the text of the blocks.
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


def _rounded(box: BBox) -> BBox:
    return round(box[0]), round(box[1]), round(box[2]), round(box[3])


class TextPages:
    """Text layers of some pages of a document, which stays open inside the ``with`` block.

    Raises:
        InputError: if the document can't be opened.
    """

    def __init__(self, key: Key, pages: Sequence[PageSource]) -> None:
        self._document = open_document(key)
        self._release = keep_open(key)
        self._pages = pages
        self._layers: dict[int, Document] = {}
        try:
            self._layers.update((p.index, Document(p.ocr.pdf)) for p in pages if p.ocr)
            self._hidden = [self._hide(page) for page in pages]
        except BaseException:
            self.__exit__()
            raise

    def __enter__(self) -> TextPages:
        return self

    def __exit__(self, *exc: object) -> None:
        self._release()
        for layer in self._layers.values():
            layer.close()

    def __len__(self) -> int:
        return len(self._pages)

    def page(self, number: int) -> TextPage:
        """The text layer of a page: OCR's if there is one, else its own.

        Args:
            number: place of the page among these pages.
        """
        return TextPage(self._pdf(number), self._index(number), self._hidden[number].letters)

    def images(self, number: int) -> list[BBox]:
        """Raster images of a page itself as boxes in points; see :meth:`page`."""
        index = self._pages[number].index
        return list(self._document.page(index).pdf_doc.get_page_image_bboxes(index))

    def hidden(self, number: int) -> tuple[HiddenText, ...]:
        """The text that was left out of a page's text layer, since it is not seen or a watermark."""
        return self._hidden[number].texts

    def _hide(self, page: PageSource) -> HiddenTexts:
        if page.ocr:
            return HiddenTexts()
        if page.hidden is None:
            with self._document.open_page(page.index) as raw:
                page.hidden = find_hidden(raw, self._document.may_hide_layers)
        self._document.hide(page.index, page.hidden.paths)
        return page.hidden

    def native_snapshot(self, number: int) -> Any:
        """See :meth:`.documents.Document.native_snapshot`."""
        return self._pdf(number).native_snapshot(self._index(number))

    def _pdf(self, number: int) -> Document:
        return self._layers.get(self._pages[number].index, self._document)

    def _index(self, number: int) -> int:
        index = self._pages[number].index
        return 0 if index in self._layers else index
