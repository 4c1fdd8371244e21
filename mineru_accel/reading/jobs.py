"""What the pipeline asks of a worker about a page whose way is clear: read it, put its blocks away, say how it went.

Imports nothing heavy: the parent names these functions, too.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ..document import Found, Region
from ..errors import OutputError
from ..pdf.types import Key
from ..storage import page_store
from .types import PageContent, PageSource, PageSummary


def native(key: Key, pages: list[PageSource], staging: str, dpi: int, images: bool, first: bool) -> list[PageSummary]:
    """Analyse pages with docvortex, see :func:`mineru_accel.reading.native.analyze`."""
    from .native import analyze

    return [store(content, staging) for content in analyze(key, pages, images_folder(staging, images), dpi, first)]


def regions(
    key: Key, page: PageSource, regions: list[Region], staging: str, dpi: int, images: bool, first: bool
) -> list[PageSummary]:
    """Read the regions of one page, see :func:`mineru_accel.reading.blocks.extract`."""
    from .blocks import extract

    return [store(extract(key, page, regions, images_folder(staging, images), dpi, first), staging)]


def prepare(**kwargs: Any) -> Any:
    """Decide what the VLM is asked about a page, see :func:`mineru_accel.reading.vlm_jobs.prepare`."""
    from . import vlm_jobs

    return vlm_jobs.prepare(**kwargs)


def finish(**kwargs: Any) -> list[PageSummary]:
    """Give a page's blocks the VLM's answers, see :func:`mineru_accel.reading.vlm_jobs.finish`."""
    from . import vlm_jobs

    return vlm_jobs.finish(**kwargs)


def _found(content: PageContent) -> list[Found]:
    sources = map(str, content.sources)
    if content.regions:
        return [Found(r.label, r.score, s) for r, s in zip(content.regions, sources, strict=True)]
    return [Found(b["type"], None, s) for b, s in zip(content.blocks, sources, strict=True)]


def images_folder(staging: str, wanted: bool) -> Path | None:
    """Where a document's pictures go, if they are wanted."""
    return Path(staging) / "images" if wanted else None


def store(content: PageContent, staging: str) -> PageSummary:
    """Put a page's blocks away, with its lists.

    Raises:
        OutputError: if they can't be written.
    """
    from .regions.lists import gather

    gather(content)
    try:
        page_store.write_page(Path(staging), content.index, content.blocks, _found(content))
    except OSError as error:
        raise OutputError(f"can't write results: {error.strerror or error}") from error
    return PageSummary(
        content.index,
        content.status,
        len(content.blocks),
        [str(s) for s in content.sources],
        content.warnings,
        content.timings,
        content.reasons,
    )
