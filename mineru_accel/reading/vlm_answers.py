"""The VLM's answers become the content of the blocks that waited for them."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from ..document import BBox, Region, Source
from ..layout.classes import Label
from ..pdf.docvortex.pages import TextPages
from ..pdf.types import Key, PageSource
from ..vlm import mineru_client
from ..vlm.types import Answer
from .blocks import WITH_LINES
from .region_ocr import read_region
from .regions.areas import find_areas
from .regions.formula_numbers import FORMULA_NUMBER
from .regions.furniture import furniture_type
from .tables.recover import recover
from .types import Draft, PageBlock, VlmTask
from .vlm_layout import raw_type
from .vlm_requests import as_mineru_blocks, page_image, waiting

_OCR_DPI = 200
_PICTURES = ("image", "chart", "image_block")
_FURNITURE = ("header", "footer", "page_number")


def take_answers(key: Key, draft: Draft, answers: Sequence[Answer], describe: bool) -> None:
    """Put answers into a draft's waiting blocks; those that MinerU absorbs into others, and empty ones, go.

    Args:
        describe: whether pictures and charts were read.
    """
    blocks = waiting(draft)
    if not blocks:
        return
    asked = as_mineru_blocks(blocks)
    pictures = mineru_client.takes_pictures(asked)
    image = page_image(key, draft.index) if pictures else Image.new("RGB", draft.size)
    gone = {id(block) for block in blocks}
    for number, found, answer in mineru_client.hear_content(image, asked, answers, describe):
        if number is None:  # MinerU made one formula of several: it stands where the one with its box is
            number = next((n for n, one in enumerate(asked) if one["bbox"] == found["bbox"]), None)
        if number is not None and _take(key, draft.index, blocks[number], found, answer):
            gone.discard(id(blocks[number]))
    draft.blocks = [block for block in draft.blocks if id(block) not in gone]


def _take(key: Key, index: int, block: PageBlock, found: dict[str, object], answer: Answer | None) -> bool:
    """Give one block its content; False if there is none and the block should go."""
    task = block.task
    assert task
    text = str(found.get("content") or "")
    reason = answer.reason if answer else None
    kind = raw_type(str(found["type"]))
    if task.kind in _PICTURES or kind in ("image", "chart"):
        _describe(block, kind, found, text, reason)
        return True
    if kind == "list":  # only a container
        block.raw.update(type="list", content="")
        return True
    if not reason and not text.strip():
        reason = "the VLM's answer is empty" if answer else "the VLM was not asked"
        if task.kind not in ("table", "equation") and not task.text_layer:
            return False  # MinerU's VLM says nothing where there is nothing to read
    if reason:
        return _fall_back(key, index, block, task, reason)
    block.raw["content"] = text
    if kind in _FURNITURE and block.raw["type"] in _FURNITURE:
        block.raw["type"] = furniture_type(_box(task), text)
        if block.raw["type"] in WITH_LINES:
            block.raw["lines"] = [{"bbox": task.bbox}]
    if found.get("cell_merge"):
        block.raw["cell_merge"] = found["cell_merge"]
    return True


def _describe(block: PageBlock, kind: str, found: dict[str, object], text: str, reason: str | None) -> None:
    """A picture's description; without one it stays a picture."""
    block.raw["type"] = kind
    block.raw["content"] = "" if reason else text
    if found.get("sub_type"):
        block.raw["sub_type"] = found["sub_type"]
    block.source = Source.FALLBACK if reason else Source.VLM if text else Source.IMAGE
    block.reason = f"{reason}; kept as a picture" if reason else ""


def _fall_back(key: Key, index: int, block: PageBlock, task: VlmTask, reason: str) -> bool:
    """The VLM failed on a block: the text layer if that is sound, else OCR, else a picture; False: nothing at all."""
    raw, how = block.raw, "kept as a picture"
    if task.kind == "table":
        if task.sound:
            raw["type"], raw["content"] = _table_of_text_layer(key, index, task.bbox)
        if raw["content"]:
            how = "from the text layer"
    elif task.kind != "equation":
        raw["content"], how = task.text_layer, "from the text layer"
        if not (task.text_layer and task.sound) and (read := read_region(key, index, _box(task), _OCR_DPI)):
            raw["content"], how = read, "by OCR"
        if not raw["content"]:
            if task.kind == FORMULA_NUMBER:
                return False
            raw["type"], how = "image", "kept as a picture"
            raw.pop("level", None)
            raw.pop("lines", None)
    block.source = Source.FALLBACK
    block.reason = f"{reason}; {how}"
    return True


def _table_of_text_layer(key: Key, index: int, bbox: Sequence[float]) -> tuple[str, str]:
    """(type, HTML) of a table as the text layer has it; the HTML is empty where that says nothing."""
    with TextPages(key, [PageSource(index)]) as pages:
        page = pages.page(0)
        region = Region(Label.TABLE, (bbox[0], bbox[1], bbox[2], bbox[3]))
        areas = find_areas([region], page.lines(), page.ruled_lines(), page.size)
        area = next(a for a in areas if a.region.label == Label.TABLE)
        kind, html, _ = recover(page, area.box, area.fragments)
        return kind, html


def _box(task: VlmTask) -> BBox:
    x0, y0, x1, y1 = task.bbox
    return x0, y0, x1, y1
