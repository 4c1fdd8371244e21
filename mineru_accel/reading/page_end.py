"""What every page needs at its end: formula numbers in place, pictures of regions, warnings, lists."""

from __future__ import annotations

import time
from pathlib import Path

from ..document import PageStatus, Source
from ..pdf.opening import open_page
from ..pdf.types import Key, PageSource
from .crops import save_crops
from .geometry import tilt
from .regions.formula_numbers import fold
from .regions.lists import gather
from .text.inline_styles import make_literal
from .types import Draft, PageContent

_QUOTED = 200
"""Characters of a formula that a warning quotes."""


def complete(key: Key, page: PageSource, draft: Draft, images: Path | None, dpi: int, started: float) -> PageContent:
    """Turn a draft whose blocks have their content into a page.

    Args:
        images: folder for pictures of regions; None makes none.
        dpi: their resolution.
        started: ``time.perf_counter()`` when the page's reading began.
    """
    content = PageContent(page.index, fold(draft.blocks), warnings=list(draft.warnings))
    make_literal(block.raw for block in content.blocks if block.source is not Source.VLM)
    _warn(content)
    content.timings["extract"] = time.perf_counter() - started
    end(key, page, content, images, dpi)
    return content


def end(key: Key, page: PageSource, content: PageContent, images: Path | None, dpi: int) -> None:
    """Write pictures of regions, move bboxes to the page as displayed, gather lists, set the status."""
    started = time.perf_counter()
    angle = page.ocr.angle if page.ocr else 0.0
    with open_page(key, page.index) as raw_page:
        save_crops(raw_page, page.index, content.raws, images, dpi, angle)
        size = raw_page.get_size()
    for raw in content.raws if angle else []:
        raw["bbox"] = tilt(raw["bbox"], angle, size)
        for line in raw.get("lines") or ():
            line["bbox"] = tilt(line["bbox"], angle, size)
    equations = [block.source for block in content.blocks if block.raw["type"] == "equation"]
    formulas = sum(source not in (Source.VLM, Source.FALLBACK) for source in equations)
    if formulas:
        content.warnings.append(f"{formulas} display formula(s) kept as pictures: LaTeX needs a VLM")
    if content.warnings:
        content.status = PageStatus.FALLBACK
    gather(content)
    content.timings["crop"] = time.perf_counter() - started


def _warn(content: PageContent) -> None:
    """What a lesser method than asked for has read, and the characters of formulas that stay pictures."""
    for block in content.blocks:
        if block.source is Source.FALLBACK:
            content.warnings.append(f"a {block.raw['type']} was not read by the VLM: {block.reason}")
        elif block.raw["type"] == "equation" and block.source is Source.IMAGE and block.characters:
            quoted = block.characters[:_QUOTED]
            content.warnings.append(f"a formula is kept as a picture; its characters: {quoted}")
