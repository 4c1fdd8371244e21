"""Fills blocks from the VLM's answers; where the VLM failed, by a lesser method."""

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
from .tables.recover import read_table
from .types import Draft, PageBlock, VlmTask
from .vlm_layout import raw_type
from .vlm_requests import as_mineru_blocks, blocks_with_task, page_image

_OCR_DPI = 200
"""Resolution at which a region is rendered for OCR when the VLM failed on it."""
_PICTURES = ("image", "chart", "image_block")
_FURNITURE = ("header", "footer", "page_number")


def apply_answers(key: Key, draft: Draft, answers: Sequence[Answer], describe: bool) -> None:
    """Fill a draft's blocks with a task; empty blocks and those that MinerU merges into others are removed.

    Args:
        answers: one for each crop of :func:`.vlm_requests.content_crops`, in its order.
        describe: whether the VLM described pictures and charts.

    Raises:
        InputError: if the page can't be loaded.
    """
    blocks = blocks_with_task(draft)
    if not blocks:
        return
    asked = as_mineru_blocks(blocks)
    pictures = mineru_client.has_pictures_in_tables(asked)
    image = page_image(key, draft.index) if pictures else Image.new("RGB", draft.size)
    unfilled = {id(block) for block in blocks}
    for number, found, answer in mineru_client.parse_content(image, asked, answers, describe):
        if number is None:  # MinerU merged formulas: the result takes the place of the one with its box
            number = next((n for n, one in enumerate(asked) if one["bbox"] == found["bbox"]), None)
        if number is not None and _apply_answer(key, draft.index, blocks[number], found, answer):
            unfilled.discard(id(blocks[number]))
    draft.blocks = [block for block in draft.blocks if id(block) not in unfilled]


def _apply_answer(key: Key, index: int, block: PageBlock, found: dict[str, object], answer: Answer | None) -> bool:
    """Fill one block; False if there is nothing to read and the block is to be removed."""
    task = block.task
    assert task
    text = str(found.get("content") or "")
    reason = answer.reason if answer else None
    kind = raw_type(str(found["type"]))
    if task.kind in _PICTURES or kind in ("image", "chart"):
        _set_description(block, kind, found, text, reason)
        return True
    if kind == "list":  # a container for the blocks in it
        block.raw.update(type="list", content="")
        return True
    if not reason and not text.strip():
        reason = "the VLM's answer is empty" if answer else "the VLM was not asked"
        if task.kind not in ("table", "equation") and not task.text_layer:
            return _read_by_ocr(key, index, block, task, reason)
    if reason:
        return _read_without_vlm(key, index, block, task, reason)
    block.raw["content"] = text
    if kind in _FURNITURE and block.raw["type"] in _FURNITURE:
        block.raw["type"] = furniture_type(_bbox_of(task), text)
        if block.raw["type"] in WITH_LINES:
            block.raw["lines"] = [{"bbox": task.bbox}]
    if found.get("cell_merge"):
        block.raw["cell_merge"] = found["cell_merge"]
    return True


def _read_by_ocr(key: Key, index: int, block: PageBlock, task: VlmTask, reason: str) -> bool:
    """Fill a block whose answer is empty: the VLM answers nothing where there is nothing to read, but not only there.

    Returns:
        False if OCR reads nothing either: the block is to be removed.
    """
    read = read_region(key, index, _bbox_of(task), _OCR_DPI)
    if not read:
        return False
    block.raw["content"] = read
    block.source, block.reason = Source.FALLBACK, f"{reason}; by OCR"
    return True


def _set_description(block: PageBlock, kind: str, found: dict[str, object], text: str, reason: str | None) -> None:
    """Fill a picture's block with its description, if there is one."""
    block.raw["type"] = kind
    block.raw["content"] = "" if reason else text
    if found.get("sub_type"):
        block.raw["sub_type"] = found["sub_type"]
    block.source = Source.FALLBACK if reason else Source.VLM if text else Source.IMAGE
    block.reason = f"{reason}; kept as a picture" if reason else ""


def _read_without_vlm(key: Key, index: int, block: PageBlock, task: VlmTask, reason: str) -> bool:
    """Fill a block on which the VLM failed: from a sound text layer, else by OCR, else by the rest of the text layer.

    Without any text it becomes a picture.

    Returns:
        False for a formula's number without text, whose block is to be removed.
    """
    raw, how = block.raw, "kept as a picture"
    if task.kind == "table":
        if task.is_sound:
            raw["content"] = _table_from_text_layer(key, index, task.bbox)
        if raw["content"]:
            how = "from the text layer"
        elif task.text_layer:
            raw.update(type="text", content=task.text_layer, lines=[{"bbox": task.bbox}])
            how = "its lines from the text layer"
    elif task.kind != "equation":
        raw["content"], how = task.text_layer, "from the text layer"
        if not (task.text_layer and task.is_sound) and (read := read_region(key, index, _bbox_of(task), _OCR_DPI)):
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


def _table_from_text_layer(key: Key, index: int, bbox: Sequence[float]) -> str:
    """HTML of a table in the text layer; empty where no table is found."""
    with TextPages(key, [PageSource(index)]) as pages:
        page = pages.page(0)
        region = Region(Label.TABLE, (bbox[0], bbox[1], bbox[2], bbox[3]))
        areas = find_areas([region], page.lines(), page.ruled_lines(), page.size)
        area = next(a for a in areas if a.region.label == Label.TABLE)
        table = read_table(page, area.box, area.fragments)
        return table[0] if table else ""


def _bbox_of(task: VlmTask) -> BBox:
    x0, y0, x1, y1 = task.bbox
    return x0, y0, x1, y1
