"""A page's picture and content, made by a worker of the pipeline: pdfium never runs in the server's own process."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from loguru import logger

from ..export import jobs as export
from ..export.types import PageView
from ..pdf import jobs as pdf
from ..pdf.types import Key
from .conversion import File, Job

_SIDE = 1500
"""Pixels of a page's long side: sharp at the width of half a screen."""


async def look_at(job: Job, file: File, index: int) -> tuple[bytes | None, PageView]:
    """A page's picture (WebP), and its regions and Markdown; where there is none, None and an empty view.

    Args:
        index: 0-based page number.
    """
    picture, shown = await asyncio.gather(
        _ask(job, pdf.picture, key=Key(str(file.path), job.password), index=index, side=_SIDE),
        _ask(job, export.page, folder=str(file.kept), index=index),
    )
    return picture, shown or PageView()


async def _ask(job: Job, function: Callable[..., Any], **kwargs: Any) -> Any:
    pipeline = job.pipeline()
    if pipeline is None:
        return None
    try:
        return await asyncio.wrap_future(pipeline.ask(function, **kwargs))
    except Exception as error:  # a page that can't be drawn is told by its own error already
        logger.debug("{}: {}", function.__qualname__, error)
        return None
