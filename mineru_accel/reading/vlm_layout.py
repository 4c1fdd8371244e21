"""Blocks of the VLM's own layout (``--layout vlm``): it names the regions, and is asked about each."""

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

_IN_GROUP = 0.8
"""Share of a picture that lies in a group of pictures from which it is kept with the group only."""
_BLANK = 2
"""Standard deviation of pixel values (0..255) of a blank page, at most."""
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
    """MinerU's type of a raw block for the VLM's word."""
    return _RAW_TYPES.get(kind, kind)


def draft_of_answer(key: Key, index: int, answer: Answer, is_first: bool) -> Draft:
    """A page's blocks from the VLM's answer to the question for its layout."""
    draft = blocks_of_vlm_layout(index, mineru_client.hear_layout(answer.text), is_first)
    if answer.reason:
        draft.warnings.append(f"the page's layout may be incomplete: {answer.reason}")
    if not draft.blocks and _has_ink(key, index):
        draft.warnings.append("the VLM found nothing on this page")
    return draft


def _has_ink(key: Key, index: int) -> bool:
    with open_page(key, index) as page:
        return bool(render(page, 0.5).std() > _BLANK)


def blocks_of_vlm_layout(index: int, found: Sequence[dict[str, Any]], is_first: bool) -> Draft:
    """Blocks in the VLM's order; each carries a task.

    Args:
        index: 0-based page number.
        found: the VLM's regions as :mod:`mineru_accel.vlm.mineru_client` reads them from its answer.
        is_first: whether this is the document's first page, where its title stands.
    """
    draft = Draft(index)
    groups = [b["bbox"] for b in found if b["type"] == "image_block"]
    for block in found:
        kind, bbox = block["type"], list(block["bbox"])
        if kind in ("image", "chart") and any(share_inside(block["bbox"], g) > _IN_GROUP for g in groups):
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
