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
from .conversion import Conversion, File

_PICTURE_SIDE = 1500
"""Pixels of a page's long side: sharp at the width of half a screen."""


async def preview_page(conversion: Conversion, file: File, index: int) -> tuple[bytes | None, PageView]:
    """A page's picture (WebP), and its regions and Markdown; where there is none, None and an empty view.

    Args:
        conversion: Its pipeline makes them.
        file: The page's file.
        index: 0-based page number.
    """
    key = Key(str(file.path), conversion.password)
    picture, view = await asyncio.gather(
        _ask(conversion, pdf.picture, key=key, index=index, side=_PICTURE_SIDE),
        _ask(conversion, export.page, folder=str(file.kept_pages), index=index),
    )
    return picture, view or PageView()


async def _ask(conversion: Conversion, function: Callable[..., Any], **kwargs: Any) -> Any:
    pipeline = conversion.pipeline()
    if pipeline is None:
        return None
    try:
        return await asyncio.wrap_future(pipeline.ask(function, **kwargs))
    except Exception as error:  # the page's own error says so already
        logger.debug("{}: {}", function.__qualname__, error)
        return None
