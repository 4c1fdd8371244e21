"""What the pipeline asks of a worker about a page that the VLM reads: what to ask, and what becomes of the answers."""

from __future__ import annotations

import time
from collections.abc import Sequence

from PIL import Image

from ..document import PageStatus, Region, Source
from ..models.image_patches import Cutter, cut
from ..pdf.opening import open_page
from ..pdf.rendering import render
from ..pdf.types import Key
from ..vlm import mineru_client
from ..vlm.types import Answer, Crop, Draft, Pending, Prepared
from ..workers import arena
from . import draft as drafts
from .blocks import WITH_LINES, furniture
from .crops import save_crops
from .jobs import images_folder, store
from .regions.formula_numbers import FORMULA_NUMBER, fold
from .source_policy import Rule
from .text.inline_styles import make_literal
from .types import PageContent, PageSummary

_DPI = 200
_MAX_SIDE = 3500
"""Pixels; MinerU renders pages so, and its VLM was trained on that."""


def prepare(
    key: Key,
    index: int,
    regions: list[Region] | None,
    why_ocr: str | None,
    rule: Rule,
    describe: bool,
    png: bool,
    cutter: Cutter | None,
    first: bool,
    slot: int,
    slot_bytes: int,
    draft: Draft | None = None,
    answers: Sequence[Answer] = (),
) -> Prepared:
    """Decide who reads each region, and put what the VLM is asked into the page's slot.

    Args:
        regions: a detector's; None lets the VLM find them, in two rounds: the second brings ``draft`` and ``answers``.
        why_ocr: why the page's text layer is not sound, if it is not.
        rule: see :mod:`mineru_accel.reading.source_policy`.
        describe: whether pictures and charts are read.
        png: whether the engine takes PNG files.
        cutter: how to cut pictures into patches, if the engine takes those.
        first: whether this is the document's first page.

    Raises:
        InputError: if the page can't be loaded.
    """
    started = time.perf_counter()
    warnings: list[str] = []
    if regions is not None:
        draft = drafts.of_regions(key, index, regions, why_ocr, rule, first)
    elif draft is None:
        image = _render(key, index)
        asked = mineru_client.ask_layout(image, png)
        crops = _store([asked], ["[layout]"], cutter, slot, slot_bytes)
        return Prepared(Draft(index, layout=True), crops, {"prepare": time.perf_counter() - started})
    else:
        if answers[0].reason:
            warnings.append(f"the page's layout may be incomplete: {answers[0].reason}")
        draft = drafts.of_layout(index, mineru_client.hear_layout(answers[0].text), first)
        if not draft.blocks and _has_ink(key, index):
            warnings.append("the VLM found nothing on this page")
    draft.warnings += warnings
    crops = _ask(key, draft, describe, png, cutter, slot, slot_bytes)
    return Prepared(draft, crops, {"prepare": time.perf_counter() - started})


def finish(
    key: Key, draft: Draft, answers: Sequence[Answer], describe: bool, staging: str, dpi: int, images: bool
) -> list[PageSummary]:
    """Give the blocks of a page their content, and put them away.

    Raises:
        OutputError: if they can't be written.
    """
    started = time.perf_counter()
    content = PageContent(draft.index, warnings=list(draft.warnings))
    dropped = _fill(key, draft, answers, describe) if draft.pending else set()
    kept = [n for n in range(len(draft.blocks)) if n not in dropped]
    blocks = [draft.blocks[n] for n in kept]
    left = [kept[place] for place in fold(blocks)]
    content.blocks = [draft.blocks[n] for n in left]
    content.regions = [draft.regions[n] for n in left]
    content.sources = [Source(draft.sources[n]) for n in left]
    content.reasons = [draft.reasons[n] for n in left]
    make_literal(b for b, s in zip(content.blocks, content.sources, strict=True) if s is not Source.VLM)
    for block, source, reason in zip(content.blocks, content.sources, content.reasons, strict=True):
        if source is Source.FALLBACK:
            content.warnings.append(f"a {block['type']} was not read by the VLM: {reason}")
    formulas = sum(
        b["type"] == "equation" and s is Source.IMAGE for b, s in zip(content.blocks, content.sources, strict=True)
    )
    if formulas:
        content.warnings.append(f"{formulas} display formula(s) kept as pictures")
    if content.warnings:
        content.status = PageStatus.FALLBACK
    content.timings["extract"] = time.perf_counter() - started
    started = time.perf_counter()
    with open_page(key, draft.index) as page:
        save_crops(page, draft.index, content.blocks, images_folder(staging, images), dpi)
    content.timings["crop"] = time.perf_counter() - started
    return [store(content, staging)]


def _ask(
    key: Key, draft: Draft, describe: bool, png: bool, cutter: Cutter | None, slot: int, slot_bytes: int
) -> list[Crop]:
    """The crops of a draft's pending blocks; what MinerU's client does not ask about stops pending."""
    for pending in draft.pending:
        if not mineru_client.usable(pending.type, pending.bbox):
            draft.sources[pending.block] = str(Source.IMAGE)
    draft.pending = [p for p in draft.pending if mineru_client.usable(p.type, p.bbox)]
    if not draft.pending:
        return []
    image = _render(key, draft.index)
    draft.size = image.size
    asked, owners = mineru_client.ask_content(image, _blocks(draft), png, describe)
    kinds = [draft.pending[n].type if n is not None else "text" for n in owners]
    return _store(asked, kinds, cutter, slot, slot_bytes)


def _store(
    asked: Sequence[mineru_client.VlmRequest], kinds: Sequence[str], cutter: Cutter | None, slot: int, slot_bytes: int
) -> list[Crop]:
    """Requests with their pixels put into the arena."""
    crops = []
    offset = 0
    data: bytes | memoryview
    for one, kind in zip(asked, kinds, strict=True):
        grid: tuple[int, int] | None = None
        if isinstance(one.picture, bytes):
            data, size = one.picture, _png_size(one.picture)
        else:
            picture, size = one.picture, one.picture.size
            picture = picture if picture.mode == "RGB" else picture.convert("RGB")
            data, grid = _patches(picture, cutter) if cutter else (picture.tobytes(), None)
        inside = arena.write_bytes(slot, slot_bytes, offset, data)
        own = None if inside else bytes(data)
        crops.append(Crop(kind, one.prompt, one.sampling, size, offset, len(data), own, grid))
        offset += len(data) if inside else 0
    return crops


def _patches(picture: Image.Image, cutter: Cutter) -> tuple[bytes | memoryview, tuple[int, int] | None]:
    """A picture's patches and their rows and columns; its pixels and None if its shape is one the engine refuses, or
    nothing can be cut here: a torchvision that does not go with torch raises RuntimeError."""
    try:
        patches, grid = cut(picture, cutter)
    except (ValueError, ImportError, RuntimeError):
        return picture.tobytes(), None
    return patches.numpy().data.cast("B"), grid


def _png_size(data: bytes) -> tuple[int, int]:
    return int.from_bytes(data[16:20]), int.from_bytes(data[20:24])


def _blocks(draft: Draft) -> list[dict[str, object]]:
    """What MinerU's client is told of."""
    return [{"type": p.type, "bbox": list(p.bbox), "angle": p.angle} for p in draft.pending]


def _fill(key: Key, draft: Draft, answers: Sequence[Answer], describe: bool) -> set[int]:
    """Put the answers into the draft's blocks.

    Returns:
        Places of the blocks that are gone: MinerU's client absorbed them into others, or they turned out empty.
    """
    blocks = _blocks(draft)
    image = _render(key, draft.index) if mineru_client.takes_pictures(blocks) else Image.new("RGB", draft.size)
    gone = {p.block for p in draft.pending}
    for number, found, answer in mineru_client.hear_content(image, blocks, answers, describe):
        if number is None:  # several formulas as one
            number = next((n for n, b in enumerate(blocks) if b["bbox"] == found["bbox"]), None)
        if number is None:
            continue
        pending = draft.pending[number]
        gone.discard(pending.block)
        if _take(key, draft, pending, found, answer):
            gone.add(pending.block)
    return gone


def _take(key: Key, draft: Draft, pending: Pending, found: dict[str, object], answer: Answer | None) -> bool:
    """Give one block its content; True if there is none and the block should go."""
    block = draft.blocks[pending.block]
    text = str(found.get("content") or "")
    reason = answer.reason if answer else None
    kind = drafts.raw_type(str(found["type"]))
    if pending.type in ("image", "chart", "image_block") or kind in ("image", "chart"):
        block["type"] = kind
        block["content"] = "" if reason else text
        if found.get("sub_type"):
            block["sub_type"] = found["sub_type"]
        draft.sources[pending.block] = str(Source.FALLBACK if reason else Source.VLM if text else Source.IMAGE)
        draft.reasons[pending.block] = f"{reason}; kept as a picture" if reason else ""
        return False
    if kind == "list":  # only a container
        block.update(type="list", content="")
        return False
    if not reason and not text.strip():
        reason = "the VLM's answer is empty" if answer else "the VLM was not asked"
        if pending.type not in ("table", "equation") and not pending.spare:
            return True  # MinerU's VLM says nothing where there is nothing to read
    if reason:
        return _fall_back(key, draft, pending, reason)
    block["content"] = text
    if kind in ("header", "footer", "page_number") and block["type"] in ("header", "footer", "page_number"):
        x0, y0, x1, y1 = pending.bbox
        block["type"] = furniture((x0, y0, x1, y1), text)
        if block["type"] in WITH_LINES:
            block["lines"] = [{"bbox": pending.bbox}]
    if found.get("cell_merge"):
        block["cell_merge"] = found["cell_merge"]
    return False


def _fall_back(key: Key, draft: Draft, pending: Pending, reason: str) -> bool:
    """The VLM failed on a block: the text layer if that is sound, else OCR, else a picture."""
    block = draft.blocks[pending.block]
    how = "kept as a picture"
    if pending.type == "table":
        if pending.spare_sound:
            block["type"], block["content"] = drafts.spare_table(key, draft.index, pending.bbox)
        if block["content"]:
            how = "from the text layer"
    elif pending.type != "equation":
        block["content"], how = pending.spare, "from the text layer"
        if not (pending.spare and pending.spare_sound):
            read = drafts.spare_text(key, draft.index, pending.bbox)
            if read:
                block["content"], how = read, "by OCR"
        if not block["content"]:
            if pending.type == FORMULA_NUMBER:
                return True
            block["type"], how = "image", "kept as a picture"
            block.pop("level", None)
            block.pop("lines", None)
    draft.sources[pending.block] = str(Source.FALLBACK)
    draft.reasons[pending.block] = f"{reason}; {how}"
    return False


def _render(key: Key, index: int) -> Image.Image:
    with open_page(key, index) as page:
        return Image.fromarray(render(page, min(_DPI / 72, _MAX_SIDE / max(page.get_size()))))


def _has_ink(key: Key, index: int) -> bool:
    with open_page(key, index) as page:
        return bool(render(page, 0.5).std() > 2)
