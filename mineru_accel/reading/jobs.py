"""What a worker is asked about a page once its text layer is judged: read it, put its blocks away, say how it went.

Imports nothing heavy, so that whoever asks for these jobs can import them.
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

    return [_store(content, staging) for content in analyze(key, pages, _folder(staging, images), dpi, first)]


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
    """Read the regions of one page without a VLM, see :func:`mineru_accel.reading.blocks.build`."""
    from .blocks import build
    from .page_end import complete

    started = time.perf_counter()
    draft = build(key, page, regions, policy, dpi, first)
    return [_store(complete(key, page, draft, _folder(staging, images), dpi, started), staging)]


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
    """Build a page's blocks, and put what the VLM is asked into the page's slot.

    Args:
        regions: a detector's; None lets the VLM find them, in two rounds: the second brings ``draft`` and ``answers``.
        describe: whether pictures and charts are read.
        dpi: resolution for OCR of single regions.
        png: whether the engine takes PNG files.
        cutter: how to cut pictures into patches, if the engine takes those.
        first: whether this is the document's first page.

    Raises:
        InputError: if the page can't be loaded.
    """
    from . import vlm_requests

    started = time.perf_counter()
    place = vlm_requests.Slot(slot, slot_bytes, png, cutter)
    if regions is not None:
        from .blocks import build

        draft = build(key, page, regions, policy, dpi, first)
    elif draft is None:
        crops = vlm_requests.ask_layout(key, page.index, place)
        return Prepared(Draft(page.index, asks_layout=True), crops, {"prepare": time.perf_counter() - started})
    else:
        from .vlm_layout import draft_of_answer

        draft = draft_of_answer(key, page.index, answers[0], first)
    crops = vlm_requests.ask_content(key, draft, describe, place)
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
    """Give the blocks of a page their content from the VLM's answers, and put them away.

    Raises:
        OutputError: if they can't be written.
    """
    from .page_end import complete
    from .vlm_answers import take_answers

    started = time.perf_counter()
    take_answers(key, draft, answers, describe)
    return [_store(complete(key, page, draft, _folder(staging, images), dpi, started), staging)]


def _folder(staging: str, wanted: bool) -> Path | None:
    """Where a document's pictures go, if they are wanted."""
    return Path(staging) / "images" if wanted else None


def _store(content: PageContent, staging: str) -> PageSummary:
    """Put a page's blocks away.

    Raises:
        OutputError: if they can't be written.
    """
    try:
        page_store.write_page(Path(staging), content.index, content.raws, map(_found, content.blocks))
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
    )


def _found(block: PageBlock) -> Found:
    region = block.region
    return Found(region.label if region else block.raw["type"], region.score if region else None, str(block.source))
