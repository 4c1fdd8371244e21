"""MinerU's documents from stored blocks. Runs in a worker."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Sequence
from pathlib import Path

from mineru.types import MiddleJson, ModelJson

from ..document import VISUAL_TYPES, Block
from ..options import Images
from ..storage import page_store
from . import mineru
from .inactive_text import deactivate_blocks
from .types import Writing


def assemble(
    document: Writing, indices: Sequence[int], pdf: bytes, whole: bool = False
) -> tuple[ModelJson, MiddleJson, dict[int, list[str]]]:
    """Some pages as MinerU's documents, and warnings on the blocks that its types refuse, by page.

    Args:
        indices: 0-based numbers of the pages.
        pdf: the file, for title, author and dates.
        whole: whether these are all pages of the file.
    """
    map_ = None if whole else list(indices)
    warnings: dict[int, list[str]] = {}
    pages = read_pages(document, indices)
    try:
        model = mineru.build_model(pages, map_, document.effort, document.parse_mode, pdf)
        return model, mineru.to_middle(model), warnings
    except ValueError:
        pages = read_pages(document, indices)
        for number, reason in mineru.drop_invalid(pages):
            warnings.setdefault(indices[number], []).append(reason)
        model = mineru.build_model(pages, map_, document.effort, document.parse_mode, pdf)
        return model, mineru.to_middle(model), warnings


def read_pages(document: Writing, indices: Sequence[int]) -> list[list[Block]]:
    """Stored blocks without active content, with their pictures as the options say."""
    staging = Path(document.staging)
    pages = [deactivate_blocks(page_store.read_page(staging, index)) for index in indices]
    if document.images is Images.EMBED:
        _embed(pages, staging)
    if document.images is Images.NONE:  # a block that is only a picture is left out then
        pages = [[b for b in page if b.get("content") or b["type"] not in VISUAL_TYPES] for page in pages]
    return pages


def _embed(pages: list[list[Block]], staging: Path) -> None:
    for block in (b for page in pages for b in page if b.get("image_path")):
        with contextlib.suppress(OSError):
            data = base64.b64encode((staging / block["image_path"]).read_bytes()).decode()
            block["image_base64"] = f"data:image/jpeg;base64,{data}"
            del block["image_path"]
