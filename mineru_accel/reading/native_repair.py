"""Mending docvortex's model-free analysis: tables that are none, cells it missed, captions, reading order."""

from __future__ import annotations

from ..document import Block, Region
from ..layout.classes import Label
from ..pdf.docvortex.pages import TextPage
from .geometry import across, centre, holds, rounded, scaled, union
from .order.page import in_reading_order
from .regions.cleanup import CAPTION, TABLE_CAPTION
from .tables.grid import build
from .tables.recover import combine, is_table, rules_of
from .text.inline_styles import mark_up, plain_text
from .text.lines import Fragment, assign, join_lines, to_lines
from .text.paragraphs import group

_LABELS = {
    "doc_title": Label.TITLE,
    "paragraph_title": Label.TITLE,
    "header": Label.ABANDON,
    "footer": Label.ABANDON,
    "page_number": Label.ABANDON,
    "page_footnote": Label.ABANDON,
    "aside_text": Label.ABANDON,
    "image": Label.FIGURE,
    "chart": Label.FIGURE,
    "table": Label.TABLE,
    "caption": Label.FIGURE_CAPTION,
    "footnote": Label.TABLE_FOOTNOTE,
    "equation": Label.ISOLATE_FORMULA,
}


def repair(page: TextPage, blocks: list[Block]) -> tuple[list[Block], list[str]]:
    """Better blocks, in reading order, and warnings.

    Args:
        page: the page the blocks were found on (its OCR layer, where it has one).
        blocks: docvortex's, with unit bboxes.
    """
    warnings: list[str] = []
    if any(b["type"] == "table" for b in blocks):
        blocks, warnings = _repair_tables(page, blocks)
    for block in blocks:
        if (
            block["type"] == "text"
            and CAPTION.match(plain_text(block))
            and len(plain_text(block)) < 300
            and _visual_near(block, blocks)
        ):
            block["type"] = "caption"
    return _ordered(blocks, page.size), warnings


def _repair_tables(page: TextPage, blocks: list[Block]) -> tuple[list[Block], list[str]]:
    width, height = page.size
    rules = [box for box in page.ruled_lines() if abs(box[3] - box[1]) < 3]
    blocks = _with_heads(blocks)
    tables = [b for b in blocks if b["type"] == "table"]
    boxes = [scaled(b["bbox"], width, height) for b in tables]
    inside, _ = assign(page.lines(), boxes)
    out: list[Block] = [b for b in blocks if b["type"] != "table"]
    prose: list[Block] = []
    warnings: list[str] = []
    for number, (block, box) in enumerate(zip(tables, boxes, strict=True)):
        fragments = inside.get(number, [])
        grid = build(fragments, rules_of(rules, box))
        html = block.get("content") if str(block.get("content")).lstrip().startswith("<table") else None
        if html is None and not is_table(grid):
            prose.extend(_prose(fragments, out, width, height))
            continue
        content, warning = combine(html, grid, bool(fragments))
        out.append({**block, "content": content})
        if warning:
            warnings.append(warning)
    if prose:
        mark_up(prose, page)
    return out + prose, warnings


def _with_heads(blocks: list[Block]) -> list[Block]:
    """A row of three or more little blocks right above a table is its head, shaded and so taken for something else."""
    out = list(blocks)
    for table in [b for b in blocks if b["type"] == "table"]:
        x0, y0, x1, _ = table["bbox"]
        head = [
            b
            for b in out
            if b["type"] in ("text", "paragraph_title")
            and 0 <= y0 - b["bbox"][3] < 1.5 * (b["bbox"][3] - b["bbox"][1])
            and b["bbox"][0] >= x0 - 0.01
            and b["bbox"][2] <= x1 + 0.01
        ]
        if len(head) >= 3:
            out = [b for b in out if not any(b is h for h in head)]
            table["bbox"] = [
                min(x0, *(b["bbox"][0] for b in head)),
                min(b["bbox"][1] for b in head),
                *table["bbox"][2:],
            ]
            table["content"] = None
    return out


def _prose(fragments: list[Fragment], others: list[Block], width: float, height: float) -> list[Block]:
    """Text blocks of what was no table after all; text that other blocks hold is theirs already."""
    taken = [scaled(b["bbox"], width, height) for b in others]
    free = [f for f in fragments if not any(holds(t, *centre(f.bbox)) for t in taken)]
    blocks = []
    for lines in group(to_lines(free, split=True)):
        box = scaled(union([line.bbox for line in lines]), 1 / width, 1 / height)
        blocks.append(
            {
                "type": "text",
                "bbox": rounded(box, 3),
                "angle": 0,
                "content": join_lines(lines),
                "lines": [{"bbox": rounded(scaled(line.bbox, 1 / width, 1 / height), 3)} for line in lines],
            }
        )
    return blocks


def _visual_near(caption: Block, blocks: list[Block]) -> bool:
    _, y0, _, y1 = caption["bbox"]
    return any(
        b["type"] in ("image", "chart", "table")
        and across(caption["bbox"], b["bbox"]) > 0
        and (abs(b["bbox"][1] - y1) < 0.06 or abs(y0 - b["bbox"][3]) < 0.15)
        for b in blocks
    )


def _ordered(blocks: list[Block], size: tuple[float, float]) -> list[Block]:
    regions = []
    for block in blocks:
        label = _LABELS.get(block["type"], Label.PLAIN_TEXT)
        if label is Label.FIGURE_CAPTION and TABLE_CAPTION.match(plain_text(block)):
            label = Label.TABLE_CAPTION
        x0, y0, x1, y1 = block["bbox"]
        regions.append(Region(label, (x0, y0, x1, y1)))
    return in_reading_order(blocks, regions, size)
