"""``--layout vlm``: blocks of the regions that the VLM itself finds; it reads each of them afterwards."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ..document import Block, Region, Source
from ..pdf.opening import open_page
from ..pdf.rendering import render
from ..pdf.types import Key
from ..vlm import mineru_client
from ..vlm.types import Answer
from .blocks import WITH_LINES
from .geometry import share_inside
from .types import Draft, PageBlock, VlmTask

_MIN_SHARE_IN_GROUP = 0.8
"""Share of a picture inside a group of pictures; above it the group's block stands for the picture."""
_MAX_BLANK_CONTRAST = 2
"""Standard deviation of pixel values (0..255); up to it a page is blank."""
_INK_SCALE = 0.5
"""Pixels per point at which a page is searched for ink: enough for any visible stroke."""
_HEADINGS = ("title", "doc_title", "paragraph_title")
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
    """MinerU's type of raw block for a type that the VLM names."""
    return _RAW_TYPES.get(kind, kind)


def draft_from_answer(key: Key, index: int, answer: Answer, is_first: bool) -> Draft:
    """A page's blocks from the VLM's answer to the layout prompt.

    Raises:
        InputError: if the page can't be loaded.
    """
    draft = draft_from_vlm_regions(index, mineru_client.parse_layout(answer.text), is_first)
    if answer.reason:
        draft.warnings.append(f"the page's layout may be incomplete: {answer.reason}")
    if not draft.blocks and _has_ink(key, index):
        draft.warnings.append("the VLM found nothing on this page")
    return draft


def _has_ink(key: Key, index: int) -> bool:
    with open_page(key, index) as page:
        return bool(render(page, _INK_SCALE).std() > _MAX_BLANK_CONTRAST)


def draft_from_vlm_regions(index: int, found: Sequence[dict[str, Any]], is_first: bool) -> Draft:
    """A draft of blocks in the VLM's order; each carries a task.

    Args:
        index: 0-based page number.
        found: regions as :mod:`mineru_accel.vlm.mineru_client` parses them, with bboxes in fractions of the page.
        is_first: whether this is the document's first page: only there a heading may be the title.
    """
    draft = Draft(index)
    groups = [b["bbox"] for b in found if b["type"] == "image_block"]
    for block in found:
        kind, bbox = block["type"], list(block["bbox"])
        if kind in ("image", "chart") and any(share_inside(block["bbox"], g) > _MIN_SHARE_IN_GROUP for g in groups):
            continue
        raw: Block = {"type": raw_type(kind), "bbox": bbox, "angle": block.get("angle") or 0, "content": ""}
        if kind in _HEADINGS:
            known = any(b.raw["type"] == "doc_title" for b in draft.blocks)
            title = is_first and kind != "paragraph_title" and not known
            raw.update({"type": "doc_title", "level": 1} if title else {"type": "paragraph_title", "level": 2})
        if raw["type"] in WITH_LINES:
            raw["lines"] = [{"bbox": bbox}]
        region = Region(kind, (bbox[0], bbox[1], bbox[2], bbox[3]))
        draft.blocks.append(PageBlock(raw, Source.VLM, "", region, VlmTask(kind, bbox, raw["angle"])))
    return draft
