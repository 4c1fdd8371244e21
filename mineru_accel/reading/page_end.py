"""The last steps of every page: formula numbers, pictures of regions, warnings, lists, status."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ..document import VISUAL_TYPES, PageStatus, Source
from ..pdf.opening import open_page
from ..pdf.types import Key, PageSource
from .crops import save_crops
from .geometry import to_displayed
from .regions.formula_numbers import fold_formula_numbers
from .regions.lists import add_list_blocks
from .rescue import insert_in_order, rescued_blocks
from .text.inline_styles import make_literal_spans
from .types import Draft, PageContent, Reason, SeenWord
from .word_account import match_words

_QUOTED = 200
"""Maximum characters of a formula that a warning quotes: one line of a report."""


def complete_page(
    key: Key, page: PageSource, draft: Draft, images: Path | None, dpi: int, started: float
) -> PageContent:
    """Turn a draft whose blocks are filled into a page's content.

    Args:
        images: folder for pictures of regions; None writes none.
        dpi: resolution of these pictures.
        started: ``time.perf_counter()`` when the reading of the page began.

    Raises:
        InputError: if the page can't be loaded.
    """
    content = PageContent(page.index, fold_formula_numbers(draft.blocks), warnings=list(draft.warnings))
    make_literal_spans(block.raw for block in content.blocks if block.source is not Source.VLM)
    _add_warnings(content)
    if draft.seen is not None:
        account_for_words(content, draft.seen, draft.page_size, draft.left_out)
    content.timings["extract"] = time.perf_counter() - started
    finish_page(key, page, content, images, dpi)
    return content


def finish_page(key: Key, page: PageSource, content: PageContent, images: Path | None, dpi: int) -> None:
    """Write pictures of regions as they are read, add lists, set the status, move bboxes to the page as displayed.

    Raises:
        InputError: if the page can't be loaded.
    """
    started = time.perf_counter()
    angle = page.ocr.angle if page.ocr else 0.0
    with open_page(key, page.index) as upright:
        save_crops(upright, page.index, content.raws, images, dpi, angle)
        size = upright.get_size()
    equations = [block.source for block in content.blocks if block.raw["type"] == "equation"]
    formulas = sum(source not in (Source.VLM, Source.FALLBACK) for source in equations)
    if formulas:
        content.warnings.append(f"{formulas} display formula(s) kept as pictures: LaTeX needs a VLM")
    if content.warnings:
        content.status = PageStatus.FALLBACK
    add_list_blocks(content)
    content.turn = key.turn(page.index)
    _place_as_displayed(content, angle, size)
    content.timings["crop"] = time.perf_counter() - started


def _place_as_displayed(content: PageContent, angle: float, size: tuple[float, float]) -> None:
    """Move all bboxes from the page as it was read to the page as displayed.

    Args:
        angle, size: see :func:`.geometry.to_displayed`.
    """
    turn = content.turn
    if not turn and not angle:
        return
    lines = (line for raw in content.raws for line in raw.get("lines") or ())
    for boxed in (*content.raws, *lines, *(content.words or {}).get("words", ())):
        boxed["bbox"] = to_displayed(boxed["bbox"], turn, angle, size)
    for raw in content.raws:
        if turn and raw["type"] in VISUAL_TYPES:
            raw["angle"] = (int(raw.get("angle") or 0) + turn) % 360


def account_for_words(
    content: PageContent,
    seen: list[SeenWord],
    size: tuple[float, float],
    left_out: Sequence[tuple[SeenWord, Reason]] = (),
) -> None:
    """Compare the words that the page shows with those of its blocks: what no block holds is added, and what is still
    different becomes a warning.

    Args:
        size: of the page in points.
        left_out: words of the text layer that are not among ``seen``, each with its reason.
    """
    started = time.perf_counter()
    account = match_words(seen, content.blocks, size)
    if rescued := rescued_blocks(account.lost, size):
        for block in rescued:
            insert_in_order(block, content.blocks)
        content.warnings.append(f"{len(rescued)} paragraph(s) of words that no block held were added")
        account = match_words(seen, content.blocks, size)
    account.seen += len(left_out)
    account.left_out += left_out
    content.words = account.as_dict(size)
    if warning := account.warning():
        content.warnings.append(warning)
    content.timings["words"] = time.perf_counter() - started


def _add_warnings(content: PageContent) -> None:
    """Warn of blocks that a fallback has read, and of formulas that stay pictures, with their characters."""
    for block in content.blocks:
        if block.source is Source.FALLBACK:
            content.warnings.append(f"a {block.raw['type']} was not read by the VLM: {block.reason}")
        elif block.raw["type"] == "equation" and block.source is Source.IMAGE and block.formula_text:
            quoted = block.formula_text[:_QUOTED]
            content.warnings.append(f"a formula is kept as a picture; its characters: {quoted}")
