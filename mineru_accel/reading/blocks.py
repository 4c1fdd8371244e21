"""The one way from a page's regions to its blocks, for every back end.

The source policy decides where a region's content is sought. Blocks for the VLM stay empty and carry a task.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ..document import BBox, Block, Region, Source
from ..layout.classes import Label
from ..pdf.docvortex.pages import TextPages
from ..pdf.types import Key, PageSource
from .geometry import clamped, rounded, scaled
from .lone_picture import add_lone_pictures
from .order.page import in_reading_order
from .page_text import PageText, extract_page_text
from .region_ocr import is_blank, read_region
from .regions.areas import Area
from .regions.formula_numbers import FORMULA_NUMBER
from .regions.furniture import furniture_type
from .regions.lists import split_items
from .regions.titles import demote_authors, document_title
from .source_policy import LayerQuality, SourcePolicy
from .tables.recover import UNREADABLE
from .text.inline_styles import apply_styles, set_scripts
from .text.lines import Line
from .text.soundness import SourceChoice, choose_source, is_garbage, ocr_says_more
from .types import Draft, PageBlock, VlmTask
from .visual_text import resolve_visual_text

BLOCK_TYPES = {
    Label.TITLE: "paragraph_title",
    Label.PLAIN_TEXT: "text",
    Label.ABANDON: "header",
    Label.FIGURE: "image",
    Label.FIGURE_CAPTION: "caption",
    Label.TABLE: "table",
    Label.TABLE_CAPTION: "caption",
    Label.TABLE_FOOTNOTE: "footnote",
    Label.ISOLATE_FORMULA: "equation",
    Label.FORMULA_CAPTION: FORMULA_NUMBER,
}
"""MinerU's raw types by the detector's class; :mod:`.regions.furniture` refines ``header``."""
VLM_TYPES = {
    Label.TITLE: "title",
    Label.PLAIN_TEXT: "text",
    Label.ABANDON: "header",
    Label.FIGURE: "image",
    Label.FIGURE_CAPTION: "image_caption",
    Label.TABLE: "table",
    Label.TABLE_CAPTION: "table_caption",
    Label.TABLE_FOOTNOTE: "table_footnote",
    Label.ISOLATE_FORMULA: "equation",
    Label.FORMULA_CAPTION: FORMULA_NUMBER,
}
"""MinerU's words for the detector's classes: they decide on the VLM's prompt."""
WITH_LINES = frozenset({"text", "doc_title", "paragraph_title", "caption", "footnote", FORMULA_NUMBER})
"""Raw types whose blocks carry the boxes of their lines."""


def build_draft(
    key: Key, page: PageSource, regions: list[Region], policy: SourcePolicy, dpi: int, is_first: bool
) -> Draft:
    """Turn a detector's regions into blocks in reading order.

    Args:
        page: number of the page and its OCR layer, if it has one.
        regions: in any order, fractions of the page straightened by the angle of its OCR layer.
        policy: decides where each region's content comes from.
        dpi: resolution at which single regions are rendered for OCR.
        is_first: whether this is the document's first page: only there is a title looked for.

    Raises:
        InputError: if the page can't be loaded.
    """
    with TextPages(key, [page]) as pages:
        text = extract_page_text(pages, key, page, regions, policy)
        if text.origin is Source.OCR:
            add_lone_pictures(text, pages.images(0), lambda bbox: is_blank(key, page.index, bbox))
        warnings = resolve_visual_text(text, lambda area: _choose(policy, area, text).source, lambda: pages.images(0))
        title = _find_title(text) if is_first else None
        demote_authors(text.areas, title)
        draft = Draft(page.index, warnings=warnings, seen=text.seen, left_out=text.left_out, page_size=text.size)
        builder = _BlockBuilder(key, page.index, text, dpi, title, draft.warnings)
        styled: list[tuple[Block, list[Line]]] = []
        for area, choice in _ordered_areas(text, policy):
            block = builder.build(area, choice)
            if block is None:
                continue
            draft.blocks.append(block)
            if block.source is text.origin and block.raw["type"] != "table":
                styled.append((block.raw, area.lines))
        _set_styles(text, draft, styled)
    return draft


def _find_title(text: PageText) -> Area | None:
    """The document's title: by its type size, or without a text layer the uppermost heading."""
    if text.layer is not None:
        return document_title(text.areas)
    return min((a for a in text.areas if a.region.label == Label.TITLE), key=lambda a: a.box[1], default=None)


def _ordered_areas(text: PageText, policy: SourcePolicy) -> Iterator[tuple[Area, SourceChoice]]:
    """A page's areas and their sources, in reading order; lists from the text layer are split into items."""
    for area in in_reading_order(text.areas, [a.region for a in text.areas], text.size):
        choice = _choose(policy, area, text)
        for item in split_items(area) if choice.source is Source.TEXT_LAYER else [area]:
            yield item, choice
        for inner in in_reading_order(area.beside, [a.region for a in area.beside], text.size):
            yield inner, _choose(policy, inner, text)


def _choose(policy: SourcePolicy, area: Area, text: PageText) -> SourceChoice:
    return choose_source(policy, area, text.why_unsound, text.origin, text.areas)


def _set_styles(text: PageText, draft: Draft, styled: list[tuple[Block, list[Line]]]) -> None:
    """Give blocks from the text layer its bold type, links, super- and subscripts.

    Args:
        styled: those blocks with the lines that they were made of.
    """
    if text.layer is None or not styled:
        return
    tables = [scaled(b.raw["bbox"], *text.size) for b in draft.blocks if b.raw["type"] == "table"]
    apply_styles([block for block, _ in styled], text.layer, tables)
    for block, lines in styled:
        set_scripts(block, lines)


@dataclass(slots=True)
class _BlockBuilder:
    """Makes the blocks of one page."""

    key: Key
    index: int
    text: PageText
    dpi: int
    title: Area | None
    warnings: list[str]

    def build(self, area: Area, choice: SourceChoice) -> PageBlock | None:
        """A region's block; None for a region of running text without any text."""
        label = Label(area.region.label)
        bbox = rounded(clamped(area.region.bbox))
        raw: Block = {"type": BLOCK_TYPES[label], "bbox": bbox, "angle": 0, "content": ""}
        block = PageBlock(raw, choice.source, choice.reason, area.region)
        if choice.source is Source.VLM:
            fallback = area.text if choice.quality is not LayerQuality.NONE else ""
            block.task = VlmTask(VLM_TYPES[label], bbox, area.rotation, fallback, choice.quality is LayerQuality.SOUND)
        if label is Label.TABLE:
            self._fill_table(block, area, choice)
        elif label is Label.ISOLATE_FORMULA:
            block.formula_text = area.text
        elif label is not Label.FIGURE and block.task is None:
            self._fill_text(block, area, choice)
            if not raw["content"]:
                return None
        self._finish_block(block, area)
        return block

    def _fill_table(self, block: PageBlock, area: Area, choice: SourceChoice) -> None:
        """Read a table from the text layer; a table without a readable text layer or VLM stays a picture."""
        block.raw["angle"] = area.rotation
        warning = None
        if block.source is Source.TEXT_LAYER:
            assert area.table is not None
            block.raw["content"], warning = area.table
            block.source = self.text.origin if block.raw["content"] else Source.IMAGE
        elif block.source is Source.IMAGE:
            warning = UNREADABLE
        if warning:
            self.warnings.append(warning)

    def _fill_text(self, block: PageBlock, area: Area, choice: SourceChoice) -> None:
        """Take running text from the text layer, or from OCR where that says more."""
        block.raw["content"] = area.text
        if choice.source is Source.OCR and self.text.origin is not Source.OCR:
            ocr_text = read_region(self.key, self.index, area.region.bbox, self.dpi, self._known_lines(area))
            if ocr_says_more(ocr_text, area):
                block.raw["content"] = ocr_text
                if self.text.layer is not None and not area.lines and block.raw["type"] == "paragraph_title":
                    block.raw["type"] = "text"  # a heading drawn as a picture is more often a logo
                return
        block.source, block.reason = self.text.origin, ""

    def _known_lines(self, area: Area) -> list[BBox]:
        """Boxes of the page's lines in fractions, unless the area's own text is garbage that OCR is to replace."""
        if is_garbage(area):
            return []
        x, y = 1 / self.text.size[0], 1 / self.text.size[1]
        return [scaled(line.bbox, x, y) for one in self.text.areas for line in one.lines]

    def _finish_block(self, block: PageBlock, area: Area) -> None:
        """Refine the types of furniture and headings; add the boxes of lines."""
        raw = block.raw
        if raw["type"] == "header":
            raw["type"] = furniture_type(area.region.bbox, raw["content"] or area.text, area.is_footnote)
        elif raw["type"] == "paragraph_title":
            raw.update({"type": "doc_title", "level": 1} if area is self.title else {"level": 2})
        if raw["type"] in WITH_LINES:
            width, height = self.text.size
            lines = [rounded(clamped(scaled(line.bbox, 1 / width, 1 / height))) for line in area.lines]
            raw["lines"] = [{"bbox": line} for line in lines or [raw["bbox"]]]
