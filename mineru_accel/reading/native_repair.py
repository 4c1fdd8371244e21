"""Repairs of docvortex's model-free analysis: false tables, missed cells, captions, reading order."""

from __future__ import annotations

from ..document import Block, Region
from ..layout.classes import Label
from ..pdf.docvortex.pages import TextPage
from .geometry import centre, holds, horizontal_overlap, rounded, scaled, union
from .order.page import in_reading_order
from .regions.cleanup import CAPTION, TABLE_CAPTION
from .tables.grid import build_grid
from .tables.recover import looks_like_table, merge_tables, rules_within
from .text.inline_styles import apply_styles, plain_text
from .text.lines import Fragment, assign_to_regions, join_lines, to_lines
from .text.paragraphs import group_paragraphs

_MAX_CAPTION_LENGTH = 300
"""Characters; longer paragraphs only begin like a caption."""
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
"""The detector's label by docvortex's type of block; other types are text."""


def repair_blocks(page: TextPage, blocks: list[Block]) -> tuple[list[Block], list[str]]:
    """Correct tables, captions and the order of blocks.

    Args:
        page: the text layer on which the blocks were found.
        blocks: docvortex's, with bboxes in fractions of the page; changed in place.

    Returns:
        The blocks in reading order, and warnings.
    """
    warnings: list[str] = []
    if any(b["type"] == "table" for b in blocks):
        blocks, warnings = _repair_tables(page, blocks)
    for block in blocks:
        if (
            block["type"] == "text"
            and CAPTION.match(plain_text(block))
            and len(plain_text(block)) < _MAX_CAPTION_LENGTH
            and _is_near_visual(block, blocks)
        ):
            block["type"] = "caption"
    return _ordered(blocks, page.size), warnings


def _repair_tables(page: TextPage, blocks: list[Block]) -> tuple[list[Block], list[str]]:
    """Blocks with corrected tables, or with text blocks in place of false tables; and warnings."""
    width, height = page.size
    rules = [box for box in page.ruled_lines() if abs(box[3] - box[1]) < 3]
    blocks = _with_table_heads(blocks)
    tables = [b for b in blocks if b["type"] == "table"]
    boxes = [scaled(b["bbox"], width, height) for b in tables]
    inside, _ = assign_to_regions(page.lines(), boxes)
    out: list[Block] = [b for b in blocks if b["type"] != "table"]
    prose: list[Block] = []
    warnings: list[str] = []
    for number, (block, box) in enumerate(zip(tables, boxes, strict=True)):
        fragments = inside.get(number, [])
        grid = build_grid(fragments, rules_within(rules, box))
        html = block.get("content") if str(block.get("content")).lstrip().startswith("<table") else None
        if html is None and not looks_like_table(grid):
            prose.extend(_text_blocks_of(fragments, out, width, height))
            continue
        content, warning = merge_tables(html, grid, bool(fragments))
        out.append({**block, "content": content})
        if warning:
            warnings.append(warning)
    if prose:
        apply_styles(prose, page)
    return out + prose, warnings


def _with_table_heads(blocks: list[Block]) -> list[Block]:
    """Blocks where a table takes in the row of three or more small blocks right above it.

    Such a row is the table's head, which docvortex leaves out where it is shaded.
    """
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


def _text_blocks_of(fragments: list[Fragment], others: list[Block], width: float, height: float) -> list[Block]:
    """Text blocks made of the text of a false table, without the text that lies in other blocks."""
    taken = [scaled(b["bbox"], width, height) for b in others]
    free = [f for f in fragments if not any(holds(t, *centre(f.bbox)) for t in taken)]
    blocks = []
    for lines in group_paragraphs(to_lines(free, split=True)):
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


def _is_near_visual(caption: Block, blocks: list[Block]) -> bool:
    """Whether a figure or table is close below a caption, or less close above it."""
    _, y0, _, y1 = caption["bbox"]
    return any(
        b["type"] in ("image", "chart", "table")
        and horizontal_overlap(caption["bbox"], b["bbox"]) > 0
        and (abs(b["bbox"][1] - y1) < 0.06 or abs(y0 - b["bbox"][3]) < 0.15)
        for b in blocks
    )


def _ordered(blocks: list[Block], size: tuple[float, float]) -> list[Block]:
    """Blocks in reading order, by the detector's labels that match their types."""
    regions = []
    for block in blocks:
        label = _LABELS.get(block["type"], Label.PLAIN_TEXT)
        if label is Label.FIGURE_CAPTION and TABLE_CAPTION.match(plain_text(block)):
            label = Label.TABLE_CAPTION
        x0, y0, x1, y1 = block["bbox"]
        regions.append(Region(label, (x0, y0, x1, y1)))
    return in_reading_order(blocks, regions, size)
