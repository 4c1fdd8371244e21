"""``--layout native``: docvortex's model-free analysis finds regions, order and content in one step.

A scanned page takes this way, too: its text layer is the one that OCR made.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path

from ..document import Block, PageStatus, Source
from ..pdf.docvortex import native as docvortex
from ..pdf.docvortex.pages import TextPage, TextPages
from ..pdf.types import Key, PageSource
from .geometry import scaled
from .left_out import hidden_words
from .native_repair import repair_blocks
from .page_end import account_for_words, finish_page
from .text.lines import assign_to_regions, join_lines, to_lines
from .types import PageBlock, PageContent
from .word_account import seen_words


def analyze(
    key: Key, pages: list[PageSource], images: Path | None, dpi: int, first: bool, why: Sequence[str] = ()
) -> list[PageContent]:
    """Analyse some pages of a document together.

    Args:
        pages: at most about :data:`~mineru_accel.reading.types.PAGES_PER_ANALYSIS`, ascending.
        images: folder for pictures of regions; None writes none.
        dpi: resolution of these pictures.
        first: whether the document's first page is among them; later titles become headings.
        why: warnings of each page, on the way in which it is read.
    """
    started = time.perf_counter()
    results = []
    with TextPages(key, pages) as texts:
        for number, blocks in enumerate(docvortex.analyze(texts)):
            repaired, warnings = repair_blocks(texts.page(number), blocks)
            if not first:
                _demote_titles(repaired)
            content = _content(pages[number], repaired, [*why, *warnings])
            text = texts.page(number)
            _add_formula_texts(content, text)
            account_for_words(content, seen_words(text.lines()), text.size, hidden_words(texts.hidden(number)))
            results.append(content)
    share = (time.perf_counter() - started) / len(pages)
    for page, content in zip(pages, results, strict=True):
        content.timings["extract"] = share
        finish_page(key, page, content, images, dpi)
    return results


def _content(page: PageSource, raws: list[Block], warnings: list[str]) -> PageContent:
    text = page.ocr.source if page.ocr else Source.TEXT_LAYER
    blocks = [PageBlock(raw, text if raw.get("content") else Source.IMAGE) for raw in raws]
    return PageContent(page.index, blocks, PageStatus.OK, warnings)


def _add_formula_texts(content: PageContent, text: TextPage) -> None:
    """Give formulas that are kept as pictures the characters that the text layer has there."""
    formulas = [b for b in content.blocks if b.raw["type"] == "equation" and not b.raw.get("content")]
    if formulas:
        inside, _ = assign_to_regions(text.lines(), [scaled(b.raw["bbox"], *text.size) for b in formulas])
        for number, block in enumerate(formulas):
            block.formula_text = join_lines(to_lines(inside.get(number, [])))


def _demote_titles(blocks: list[Block]) -> None:
    for block in blocks:
        if block["type"] == "doc_title":
            block.update(type="paragraph_title", level=2)
