"""``--layout native``: docvortex's model-free analysis finds regions, order and content in one go.

Works on any machine, text layer or not: a scanned page comes with the text layer that OCR made.
"""

from __future__ import annotations

import time
from pathlib import Path

from docvortex.analyzers.native import PdfModel

from ..document import Block, PageStatus, Source
from ..pdf.docvortex_adapter import Sources
from ..pdf.opening import open_page
from ..pdf.types import Key
from .crops import save_crops
from .finish import finish
from .native_repair import repair
from .types import PageContent, PageSource


def analyze(key: Key, pages: list[PageSource], images: Path | None, dpi: int, first: bool) -> list[PageContent]:
    """Analyse some pages of a document together.

    Args:
        pages: at most about :data:`~mineru_accel.reading.types.CHUNK`, ascending.
        images: folder for pictures of regions; None makes none.
        dpi: their resolution.
        first: whether the document's first page is among them; a title on a later chunk's page is a heading.
    """
    started = time.perf_counter()
    sources = Sources(key, pages)
    results = []
    try:
        analysed = PdfModel().predict(sources)  # type: ignore[arg-type]  # only the protocol is used
        for number, blocks in enumerate(analysed):
            mended, warnings = repair(sources.page(number), blocks)
            status = PageStatus.FALLBACK if warnings else PageStatus.OK
            results.append(PageContent(pages[number].index, mended, status=status, warnings=warnings))
    finally:
        sources.close()
    share = (time.perf_counter() - started) / len(pages)
    for page, content in zip(pages, results, strict=True):
        started = time.perf_counter()
        if not first:
            _demote_titles(content.blocks)
        with open_page(key, page.index) as raw:
            save_crops(raw, page.index, content.blocks, images, dpi, page.ocr.angle if page.ocr else 0.0)
            size = raw.get_size()
        text = Source.OCR if page.ocr else Source.TEXT_LAYER
        content.sources = [_source(block, text) for block in content.blocks]
        finish(content, page, size)
        content.timings = {"extract": share, "crop": time.perf_counter() - started}
    return results


def _demote_titles(blocks: list[Block]) -> None:
    for block in blocks:
        if block["type"] == "doc_title":
            block.update(type="paragraph_title", level=2)


def _source(block: Block, text: Source) -> Source:
    return text if block.get("content") else Source.IMAGE
