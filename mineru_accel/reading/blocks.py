"""Regions of a page become MinerU's blocks: text from the text layer (its own or OCR's), tables as HTML, pictures."""

from __future__ import annotations

import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path

from ..document import BBox, Block, PageStatus, Region, Source
from ..layout.classes import Label
from ..pdf.docvortex_adapter import Sources
from ..pdf.ocr import read_lines
from ..pdf.opening import open_page
from ..pdf.rendering import render
from ..pdf.text_quality import MAX_ABNORMAL, abnormal_share
from ..pdf.types import Key
from .crops import save_crops
from .finish import finish
from .geometry import rounded, scaled
from .order.page import in_reading_order
from .regions.areas import find_areas
from .regions.footnotes import find_notes
from .regions.lists import split_items
from .regions.running_heads import Peek, peek_from, set_aside
from .regions.titles import demote_authors, document_title
from .tables.recover import LazyTablePage, recover
from .text.inline_styles import mark_up
from .text.lines import Line, join_texts
from .text.scripts import set_scripts
from .types import PageContent, PageSource

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
    Label.FORMULA_CAPTION: "text",  # the number of a formula that was not found
}
WITH_LINES = frozenset({"text", "doc_title", "paragraph_title", "caption", "footnote"})


def extract(
    key: Key, page: PageSource, regions: list[Region], images: Path | None, dpi: int, first: bool
) -> PageContent:
    """Read the content of a page's regions.

    Args:
        regions: of the page straightened as its OCR layer says, unordered.
        images: folder for pictures of regions; None makes none.
        dpi: their resolution.
        first: whether this is the document's first page, where its title stands.
    """
    started = time.perf_counter()
    content = PageContent(page.index)
    sources = Sources(key, [page])
    try:
        content.blocks, content.sources, content.regions, content.warnings = _blocks(
            sources,
            regions,
            bool(page.ocr),
            first,
            lambda bbox: _read_pixels(key, page.index, bbox, dpi),
            peek_from(key, page.index),
        )
    finally:
        sources.close()
    if content.warnings:
        content.status = PageStatus.FALLBACK
    content.timings["extract"] = time.perf_counter() - started
    started = time.perf_counter()
    with open_page(key, page.index) as raw:
        save_crops(raw, page.index, content.blocks, images, dpi, page.ocr.angle if page.ocr else 0.0)
        size = raw.get_size()
    finish(content, page, size)
    content.timings["crop"] = time.perf_counter() - started
    return content


def _blocks(
    sources: Sources,
    regions: list[Region],
    ocr: bool,
    first: bool,
    pixels_text: Callable[[BBox], list[str]],
    peek: Peek,
) -> tuple[list[Block], list[Source], list[Region], list[str]]:
    page = sources.page(0)
    snapshot = page.get_snapshot()
    size = width, height = snapshot.page_size
    rules = [rule.bbox for rule in snapshot.vector_geometry.drawing_lines]
    areas = find_areas(regions, snapshot.get_lines(), rules, size)
    if not ocr:
        set_aside(areas, size, peek)
        find_notes(areas, rules, size)
    table_page = LazyTablePage(page, snapshot)
    blocks: list[Block] = []
    origins: list[Source] = []
    kept: list[Region] = []
    warnings: list[str] = []
    by_ocr: set[int] = set()
    written: list[tuple[Block, list[Line]]] = []
    title = document_title(areas) if first else None
    demote_authors(areas, title)
    in_order = in_reading_order(areas, [a.region for a in areas], size)
    for area in chain.from_iterable(map(split_items, in_order)):
        region = area.region
        kind = BLOCK_TYPES[Label(region.label)]
        block: Block = {"type": kind, "bbox": rounded(region.bbox), "angle": 0, "content": ""}
        if kind == "table":
            block["type"], block["content"], warning = recover(table_page, area.box, area.fragments)
            block["angle"] = area.turn
            if warning:
                warnings.append(warning)
        elif kind == "equation":
            if area.text:
                warnings.append(f"a formula is kept as a picture; its characters: {area.text[:200]}")
        elif kind != "image":
            block["content"] = area.text
            written.append((block, area.lines))
            if not ocr and (not area.lines or abnormal_share(area.text) > MAX_ABNORMAL):
                if read := join_texts(pixels_text(region.bbox)):
                    block["content"] = read
                    by_ocr.add(id(block))
                if kind == "paragraph_title" and not area.lines:
                    kind = block["type"] = "text"  # a logo more often than a heading
            if not block["content"]:
                continue
            if kind == "header":
                block["type"] = furniture(region.bbox, block["content"], area.note)
            elif kind == "paragraph_title":
                block.update({"type": "doc_title", "level": 1} if area is title else {"level": 2})
        if block["type"] in WITH_LINES:
            lines = [scaled(line.bbox, 1 / width, 1 / height) for line in area.lines]
            block["lines"] = [{"bbox": rounded(line)} for line in lines or [region.bbox]]
        blocks.append(block)
        kept.append(region)
        read_by_ocr = ocr or id(block) in by_ocr
        origins.append(Source.IMAGE if not block["content"] else Source.OCR if read_by_ocr else Source.TEXT_LAYER)
    tables = [scaled(b["bbox"], width, height) for b in blocks if b["type"] == "table"]
    mark_up(blocks, page, snapshot, tables)
    for block, of_block in written:
        set_scripts(block, of_block)
    return blocks, origins, kept, warnings


def _read_pixels(key: Key, index: int, bbox: BBox, dpi: int) -> list[str]:
    """Lines that OCR reads in a region that has ink but no sound text layer: an image of text on a typeset page."""
    with open_page(key, index) as page:
        pixels = render(page, dpi / 72, bbox)
    if pixels.size == 0 or pixels.std() < 4:
        return []
    return read_lines(pixels)


def furniture(bbox: BBox, text: str, note: bool = False) -> str:
    """What an ``abandon`` region is, by where it stands, unless it is known for a note."""
    if note:
        return "page_footnote"
    digits = text.strip(" -–—·.|/").replace(" ", "")
    if (digits.isdigit() and len(digits) <= 4) or (digits and set(digits.lower()) <= set("ivxlc")):
        return "page_number"
    if bbox[1] > 0.5:
        return "footer" if bbox[3] > 0.93 or len(text) < 60 else "page_footnote"
    if bbox[2] < 0.12 or bbox[0] > 0.88:
        return "aside_text"
    return "header"
