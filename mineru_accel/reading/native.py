"""``--layout native``: docvortex's model-free analysis finds regions, order and content in one go.

Works on any machine, text layer or not: a scanned page comes with the text layer that OCR made.
"""

from __future__ import annotations

import time
from pathlib import Path

from ..document import Block, PageStatus, Source
from ..pdf.docvortex import native as docvortex
from ..pdf.docvortex.pages import TextPages
from ..pdf.types import Key, PageSource
from .native_repair import repair
from .page_end import end
from .types import PageBlock, PageContent


def analyze(key: Key, pages: list[PageSource], images: Path | None, dpi: int, first: bool) -> list[PageContent]:
    """Analyse some pages of a document together.

    Args:
        pages: at most about :data:`~mineru_accel.reading.types.CHUNK`, ascending.
        images: folder for pictures of regions; None makes none.
        dpi: their resolution.
        first: whether the document's first page is among them; a title on a later chunk's page is a heading.
    """
    started = time.perf_counter()
    results = []
    with TextPages(key, pages) as texts:
        for number, blocks in enumerate(docvortex.analyze(texts)):
            mended, warnings = repair(texts.page(number), blocks)
            if not first:
                _demote_titles(mended)
            results.append(_content(pages[number], mended, warnings))
    share = (time.perf_counter() - started) / len(pages)
    for page, content in zip(pages, results, strict=True):
        content.timings["extract"] = share
        end(key, page, content, images, dpi)
    return results


def _content(page: PageSource, raws: list[Block], warnings: list[str]) -> PageContent:
    text = Source.OCR if page.ocr else Source.TEXT_LAYER
    blocks = [PageBlock(raw, text if raw.get("content") else Source.IMAGE) for raw in raws]
    return PageContent(page.index, blocks, PageStatus.OK, warnings)


def _demote_titles(blocks: list[Block]) -> None:
    for block in blocks:
        if block["type"] == "doc_title":
            block.update(type="paragraph_title", level=2)
