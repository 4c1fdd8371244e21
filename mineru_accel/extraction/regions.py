"""Regions of a page become MinerU's blocks: text from the text layer (its own or OCR's), tables as HTML, pictures."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from docvortex.analyzers.pdf import apply_text_evidence, prepare_table_page, prepare_text_evidence

from ..document import BBox, Block, PageStatus, Region, Source
from ..layout.classes import Label
from ..layout.reading_order import sort_regions
from ..pdf.source import open_document
from ..pdf.types import Key
from .crops import save_crops
from .finish import finish
from .geometry import rounded, scaled, union
from .sources import Sources
from .stray import group
from .tables import recover
from .text_layer import assign, join_lines, to_lines
from .types import PageContent, PageSource

_BLOCK_TYPES = {
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
_WITH_LINES = frozenset({"text", "doc_title", "paragraph_title", "caption", "footnote"})


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
        content.blocks, content.sources, content.warnings = _blocks(sources, regions, bool(page.ocr), first)
    finally:
        sources.close()
    if content.warnings:
        content.status = PageStatus.FALLBACK
    content.timings["extract"] = time.perf_counter() - started
    started = time.perf_counter()
    with open_document(key)._open_page(page.index) as raw:
        save_crops(raw, page.index, content.blocks, images, dpi, page.ocr.angle if page.ocr else 0.0)
        size = raw.get_size()
    finish(content, page, size)
    content.timings["crop"] = time.perf_counter() - started
    return content


def _blocks(
    sources: Sources, regions: list[Region], ocr: bool, first: bool
) -> tuple[list[Block], list[Source], list[str]]:
    page = sources.page(0)
    snapshot = page.get_snapshot()
    width, height = snapshot.page_size
    points = [scaled(r.bbox, width, height) for r in regions]
    inside, outside = assign(snapshot.get_lines(), points)
    stray = group(to_lines(outside, split=True))
    for lines in stray:  # text that no region holds is kept: it becomes regions of its own
        box = scaled(union([line.bbox for line in lines]), 1 / width, 1 / height)
        regions = [*regions, Region(Label.PLAIN_TEXT, box, 0.0)]
    text = {i: to_lines(fragments) for i, fragments in inside.items()}
    text.update({len(points) + i: lines for i, lines in enumerate(stray)})

    order = {id(r): i for i, r in enumerate(regions)}
    blocks: list[Block] = []
    origins: list[Source] = []
    warnings: list[str] = []
    table_page: Any = None
    title_seen = not first
    for region in sort_regions(regions, (width, height)):
        number = order[id(region)]
        lines = text.get(number, [])
        kind = _BLOCK_TYPES[Label(region.label)]
        block: Block = {"type": kind, "bbox": rounded(region.bbox), "angle": 0}
        source = Source.OCR if ocr else Source.TEXT_LAYER
        if kind == "table":
            table_page = table_page or prepare_table_page(page, snapshot=snapshot)
            block["content"], how = recover(table_page, points[number], inside.get(number, []))
            if how:
                warnings.append(how)
        elif kind == "image" or kind == "equation":
            block["content"] = ""
        elif not lines:
            continue
        else:
            if kind == "paragraph_title" and not title_seen:
                kind, title_seen = "doc_title", True
            elif kind == "header":
                kind = _furniture(region.bbox, join_lines(lines))
            block["type"] = kind
            block["content"] = join_lines(lines)
            if kind == "paragraph_title":
                block["level"] = 2
            elif kind == "doc_title":
                block["level"] = 1
        if kind in _WITH_LINES:
            block["lines"] = [{"bbox": rounded(scaled(line.bbox, 1 / width, 1 / height))} for line in lines]
        blocks.append(block)
        origins.append(source if block["content"] else Source.IMAGE)
    tables = [scaled(tuple(b["bbox"]), width, height) for b in blocks if b["type"] == "table"]
    apply_text_evidence(blocks, prepare_text_evidence(page, snapshot=snapshot, table_regions=tables))
    return blocks, origins, warnings


def _furniture(bbox: BBox, text: str) -> str:
    """What an ``abandon`` region is, by where it stands."""
    digits = text.strip(" -–—·.|/").replace(" ", "")
    if (digits.isdigit() and len(digits) <= 4) or (digits and set(digits.lower()) <= set("ivxlc")):
        return "page_number"
    if bbox[1] > 0.5:
        return "footer" if bbox[3] > 0.93 or len(text) < 60 else "page_footnote"
    if bbox[2] < 0.12 or bbox[0] > 0.88:
        return "aside_text"
    return "header"
