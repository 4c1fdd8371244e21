"""A page's regions become blocks of which some still wait for the VLM, and then whole blocks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from ..document import BBox, Block, Region, Source
from ..layout.classes import Label
from ..pdf.docvortex_adapter import Sources
from ..pdf.ocr import read_line, read_lines
from ..pdf.opening import open_page
from ..pdf.rendering import render
from ..pdf.types import Key
from ..vlm.types import Draft, Pending
from .blocks import BLOCK_TYPES, WITH_LINES, furniture
from .geometry import rounded, scaled
from .order.page import in_reading_order
from .regions.areas import Area, find_areas
from .regions.cleanup import share_inside, without_nested
from .regions.footnotes import find_notes
from .regions.formula_numbers import FORMULA_NUMBER
from .regions.lists import split_items
from .regions.running_heads import peek_from, set_aside
from .regions.titles import demote_authors, document_title
from .source_policy import Layer, Rule, trusts_text
from .tables.recover import LazyTablePage, recover
from .text.inline_styles import mark_up
from .text.lines import Line, join_texts
from .text.scripts import set_scripts
from .text.soundness import Choice, choose, disagrees
from .types import PageSource

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
"""MinerU's words for DocLayout-YOLO's classes: they choose the prompt."""
_LINE_DPI = 144
_IN_GROUP = 0.8
"""Share of a picture that lies in a group of pictures from which it is kept with the group only."""


@dataclass(slots=True)
class _Text:
    """A page's text layer, where it has a sound one."""

    areas: list[Area]
    size: tuple[float, float]
    page: Any = None
    snapshot: Any = None
    reason: str | None = None
    """Why it has none."""
    tables: LazyTablePage | None = field(default=None)


def of_regions(key: Key, index: int, regions: list[Region], why_ocr: str | None, rule: Rule, first: bool) -> Draft:
    """Blocks of a detector's regions, in reading order.

    Args:
        regions: unordered.
        why_ocr: why the page's text layer is not sound, if it is not.
        first: whether this is the document's first page, where its title stands.
    """
    sources = Sources(key, [PageSource(index)])
    try:
        text = _text(sources, key, index, regions, why_ocr, rule)
        return _draft(text, key, index, rule, first)
    finally:
        sources.close()


def _text(sources: Sources, key: Key, index: int, regions: list[Region], why: str | None, rule: Rule) -> _Text:
    if why is None:
        page = sources.page(0)
        snapshot = page.get_snapshot()
        size = snapshot.page_size
        rules = [line.bbox for line in snapshot.vector_geometry.drawing_lines]
        areas = find_areas(regions, snapshot.get_lines(), rules, size)
        set_aside(areas, size, peek_from(key, index))
        find_notes(areas, rules, size)
        if trusts_text(rule):
            why = disagrees(areas, lambda box: _read_line(key, index, scaled(box, 1 / size[0], 1 / size[1])))
        if why is None:
            return _Text(areas, size, page, snapshot, None, LazyTablePage(page, snapshot))
    with open_page(key, index) as raw:
        size = raw.get_size()
    return _Text([Area(r, scaled(r.bbox, *size)) for r in without_nested(regions)], size, reason=why)


def _draft(text: _Text, key: Key, index: int, rule: Rule, first: bool) -> Draft:
    draft = Draft(index)
    width, height = text.size
    title = _title(text) if first else None
    demote_authors(text.areas, title)
    written: list[tuple[Block, list[Line]]] = []
    for area, choice in _in_order(text, rule):
        region = area.region
        label = Label(region.label)
        kind = FORMULA_NUMBER if label is Label.FORMULA_CAPTION else BLOCK_TYPES[label]
        bbox = rounded(_inside(region.bbox))
        block: Block = {"type": kind, "bbox": bbox, "angle": 0, "content": ""}
        source = choice.source
        if kind == "table":
            block["angle"] = area.turn
        if kind == "paragraph_title":
            block.update({"type": "doc_title", "level": 1} if area is title else {"level": 2})
        if kind == "header":
            block["type"] = furniture(region.bbox, area.text, area.note)
        if block["type"] in WITH_LINES or kind == FORMULA_NUMBER:
            lines = [rounded(_inside(scaled(line.bbox, 1 / width, 1 / height))) for line in area.lines]
            block["lines"] = [{"bbox": line} for line in lines or [bbox]]
        if source is Source.VLM:
            spare = area.text if choice.layer is not Layer.NONE else ""
            draft.pending.append(
                Pending(len(draft.blocks), VLM_TYPES[label], bbox, area.turn, spare, choice.layer is Layer.SOUND)
            )
        elif source is Source.TEXT_LAYER and kind == "table":
            assert text.tables is not None
            block["type"], block["content"], warning = recover(text.tables, area.box, area.fragments)
            if warning:
                draft.warnings.append(warning)
        elif source is Source.TEXT_LAYER:
            block["content"] = area.text
            written.append((block, area.lines))
        elif source is Source.OCR:
            block["content"] = join_texts(_read_lines(key, index, region.bbox))
        if source in (Source.TEXT_LAYER, Source.OCR) and not block["content"]:
            if kind != "table":
                continue
            source = Source.IMAGE
        draft.blocks.append(block)
        draft.regions.append(region)
        draft.sources.append(str(source))
        draft.reasons.append(choice.reason)
    if text.page is not None and written:
        tables = [scaled(b["bbox"], width, height) for b in draft.blocks if b["type"] == "table"]
        mark_up([block for block, _ in written], text.page, text.snapshot, tables)
        for block, of_block in written:
            set_scripts(block, of_block)
    return draft


def _in_order(text: _Text, rule: Rule) -> Iterator[tuple[Area, Choice]]:
    """A page's areas and who reads them; lists item by item where the text layer does."""
    for area in in_reading_order(text.areas, [a.region for a in text.areas], text.size):
        choice = choose(rule, area, text.reason)
        for item in split_items(area) if choice.source is Source.TEXT_LAYER else [area]:
            yield item, choice


def of_layout(index: int, found: Sequence[dict[str, Any]], first: bool) -> Draft:
    """Blocks of the VLM's own layout, in its order; all of them wait for the VLM.

    Args:
        found: as :func:`mineru_accel.vlm.mineru_client.hear_layout` has them.
    """
    draft = Draft(index)
    groups = [b["bbox"] for b in found if b["type"] == "image_block"]
    for block in found:
        kind, bbox = block["type"], list(block["bbox"])
        if kind in ("image", "chart") and any(share_inside(block["bbox"], g) > _IN_GROUP for g in groups):
            continue
        raw: Block = {"type": raw_type(kind), "bbox": bbox, "angle": block.get("angle") or 0, "content": ""}
        if kind in ("title", "doc_title", "paragraph_title"):
            title = first and kind != "paragraph_title" and not any(b["type"] == "doc_title" for b in draft.blocks)
            raw.update({"type": "doc_title", "level": 1} if title else {"type": "paragraph_title", "level": 2})
        if raw["type"] in WITH_LINES or kind == FORMULA_NUMBER:
            raw["lines"] = [{"bbox": bbox}]
        draft.pending.append(Pending(len(draft.blocks), kind, bbox, raw["angle"]))
        draft.blocks.append(raw)
        draft.regions.append(Region(kind, (bbox[0], bbox[1], bbox[2], bbox[3])))
        draft.sources.append(str(Source.VLM))
        draft.reasons.append("")
    return draft


_RAW_TYPES = {
    "title": "paragraph_title",
    "image_caption": "caption",
    "table_caption": "caption",
    "code_caption": "caption",
    "image_footnote": "footnote",
    "table_footnote": "footnote",
    "list_item": "text",
    "phonetic": "text",
    "unknown": "image",
    "image_block": "image",
    "equation_block": "equation",
    "algorithm": "code",
}


def raw_type(kind: str) -> str:
    """MinerU's type of a raw block, of the VLM's word for it."""
    return _RAW_TYPES.get(kind, kind)


def spare_table(key: Key, index: int, bbox: Sequence[float]) -> tuple[str, str]:
    """(type, HTML) of a table as the text layer has it; the HTML is empty where that says nothing."""
    sources = Sources(key, [PageSource(index)])
    try:
        page = sources.page(0)
        snapshot = page.get_snapshot()
        region = Region(Label.TABLE, (bbox[0], bbox[1], bbox[2], bbox[3]))
        rules = [line.bbox for line in snapshot.vector_geometry.drawing_lines]
        areas = find_areas([region], snapshot.get_lines(), rules, snapshot.page_size)
        area = next(a for a in areas if a.region.label == Label.TABLE)
        kind, html, _ = recover(LazyTablePage(page, snapshot), area.box, area.fragments)
        return kind, html
    finally:
        sources.close()


def spare_text(key: Key, index: int, bbox: Sequence[float]) -> str:
    """What OCR reads in a region."""
    return join_texts(_read_lines(key, index, (bbox[0], bbox[1], bbox[2], bbox[3])))


def _title(text: _Text) -> Area | None:
    """The document's title: by its type's size, or without a text layer the uppermost heading."""
    if text.reason is None:
        return document_title(text.areas)
    return min((a for a in text.areas if a.region.label == Label.TITLE), key=lambda a: a.box[1], default=None)


def _inside(box: Any) -> BBox:
    x0, y0, x1, y1 = (min(1.0, max(0.0, v)) for v in box)
    return x0, y0, x1, y1


def _read_line(key: Key, index: int, bbox: BBox) -> str:
    x0, y0, x1, y1 = bbox
    air = 0.15 * (y1 - y0)
    with open_page(key, index) as page:
        return read_line(render(page, _LINE_DPI / 72, _inside((x0 - air, y0 - air, x1 + air, y1 + air))))


def _read_lines(key: Key, index: int, bbox: BBox) -> list[str]:
    with open_page(key, index) as page:
        pixels = render(page, 200 / 72, bbox)
    return read_lines(pixels) if pixels.size and pixels.std() >= 4 else []
