"""Jobs of a worker process that read pages and store their blocks, after :mod:`mineru_accel.pdf.jobs`.

Imports nothing heavy: the main process names these functions, too.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ..document import Found, Region
from ..errors import OutputError
from ..pdf.types import Key, PageSource
from ..storage import page_store
from .source_policy import SourcePolicy
from .types import Draft, PageBlock, PageContent, PageSummary, Prepared

if TYPE_CHECKING:
    from ..patches.image_patches import Cutter
    from ..vlm.types import Answer


def native(key: Key, pages: list[PageSource], staging: str, dpi: int, images: bool, first: bool) -> list[PageSummary]:
    """Analyse pages together with docvortex, see :func:`mineru_accel.reading.native.analyze`."""
    from .native import analyze
    from .plain_reading import read_again

    folder = _folder(staging, images)
    if len(pages) > 1:  # if one of them can't be read, they come again one by one
        return [_store(content, staging) for content in analyze(key, pages, folder, dpi, first)]
    contents = read_again(key, pages[0], dpi, lambda page, why: analyze(key, [page], folder, dpi, first, why))
    return [_store(content, staging) for content in contents]


def regions(
    key: Key,
    page: PageSource,
    regions: list[Region],
    policy: SourcePolicy,
    staging: str,
    dpi: int,
    images: bool,
    first: bool,
) -> list[PageSummary]:
    """Read the regions of one page without a VLM, see :func:`mineru_accel.reading.blocks.build_draft`."""
    from .blocks import build_draft
    from .page_end import complete_page
    from .plain_reading import read_again

    started = time.perf_counter()

    def read(source: PageSource, warnings: list[str]) -> PageContent:
        draft = build_draft(key, source, regions, policy, dpi, first)
        draft.warnings += warnings
        return complete_page(key, source, draft, _folder(staging, images), dpi, started)

    return [_store(read_again(key, page, dpi, read), staging)]


def prepare(
    key: Key,
    page: PageSource,
    regions: list[Region] | None,
    policy: SourcePolicy,
    describe: bool,
    dpi: int,
    png: bool,
    cutter: Cutter | None,
    first: bool,
    slot: int,
    slot_bytes: int,
    draft: Draft | None = None,
    answers: Sequence[Answer] = (),
) -> Prepared:
    """Build a page's blocks, and write the crops for the VLM into the page's arena slot.

    Args:
        regions: a detector's; None lets the VLM find them, in two calls: the second passes ``draft`` and ``answers``.
        describe: whether the VLM describes pictures and charts.
        dpi: resolution at which single regions are rendered for OCR.
        png: whether the engine takes PNG files.
        cutter: settings for cutting crops into patches, if the engine takes patches.
        first: whether this is the document's first page.
        slot, slot_bytes: number of the page's arena slot, and the size of a slot in bytes.
        draft, answers: result of the first call, and what the VLM said to its crop.

    Raises:
        InputError: if the page can't be loaded.
    """
    from . import vlm_requests

    started = time.perf_counter()
    crop_slot = vlm_requests.Slot(slot, slot_bytes, png, cutter)
    if regions is not None:
        from .blocks import build_draft
        from .plain_reading import read_again

        def read(source: PageSource, warnings: list[str]) -> Draft:
            built = build_draft(key, source, regions, policy, dpi, first)
            built.warnings += warnings
            return built

        draft = read_again(key, page, dpi, read)
    elif draft is None:
        crops = vlm_requests.layout_crops(key, page.index, crop_slot)
        return Prepared(Draft(page.index, asks_layout=True), crops, {"prepare": time.perf_counter() - started})
    else:
        from .vlm_layout import draft_from_answer

        draft = draft_from_answer(key, page.index, answers[0], first)
    crops = vlm_requests.content_crops(key, draft, describe, crop_slot)
    return Prepared(draft, crops, {"prepare": time.perf_counter() - started})


def finish(
    key: Key,
    page: PageSource,
    draft: Draft,
    answers: Sequence[Answer],
    describe: bool,
    staging: str,
    dpi: int,
    images: bool,
) -> list[PageSummary]:
    """Fill the blocks of a page from the VLM's answers, and store them.

    Raises:
        OutputError: if the blocks can't be written.
    """
    from .page_end import complete_page
    from .vlm_answers import apply_answers

    started = time.perf_counter()
    apply_answers(key, draft, answers, describe)
    return [_store(complete_page(key, page, draft, _folder(staging, images), dpi, started), staging)]


def _folder(staging: str, wanted: bool) -> Path | None:
    """The folder of a document's pictures, if they are wanted."""
    return Path(staging) / "images" if wanted else None


def _store(content: PageContent, staging: str) -> PageSummary:
    """Write a page's blocks to the page store.

    Raises:
        OutputError: if the blocks can't be written.
    """
    try:
        page_store.write_page(Path(staging), content.index, content.raws, map(_found, content.blocks), content.turn)
    except OSError as error:
        raise OutputError(f"can't write results: {error.strerror or error}") from error
    return PageSummary(
        content.index,
        content.status,
        len(content.blocks),
        [str(block.source) for block in content.blocks],
        content.warnings,
        content.timings,
        [block.reason for block in content.blocks],
        content.words,
    )


def _found(block: PageBlock) -> Found:
    region = block.region
    label, score = (region.label, region.score) if region else (block.raw["type"], None)
    return Found(label, score, str(block.source), block.formula_text)
