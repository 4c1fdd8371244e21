"""MinerU's documents from stored blocks. Runs in a worker."""

from __future__ import annotations

import base64
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from mineru.types import MiddleJson, ModelJson

from ..document import VISUAL_TYPES, Block
from ..options import Images
from ..storage import page_store
from . import mineru
from .formula_text import FormulaTexts, as_text_block
from .inactive_text import deactivate_blocks
from .types import Writing


@dataclass(slots=True)
class Assembled:
    """Some pages of a document as MinerU has them."""

    model: ModelJson
    middle: MiddleJson
    formulas: FormulaTexts
    """Characters of the formulas that are kept as pictures."""
    warnings: dict[int, list[str]]
    """On blocks that MinerU would not have, by 0-based page."""


def assemble(document: Writing, indices: Sequence[int], pdf: bytes, whole: bool = False) -> Assembled:
    """Put some pages of a document together.

    Args:
        indices: 0-based numbers of the pages.
        pdf: the file, for title, author and dates.
        whole: whether these are all pages of the file.
    """
    map_ = None if whole else list(indices)
    warnings: dict[int, list[str]] = {}
    pages, formulas = read_pages(document, indices)
    try:
        model = mineru.build_model(pages, map_, document.effort, document.parse_mode, pdf)
        return Assembled(model, mineru.to_middle(model), formulas, warnings)
    except ValueError:
        pages, _ = read_pages(document, indices)
        for number, reason in mineru.drop_invalid(pages):
            warnings.setdefault(indices[number], []).append(reason)
        model = mineru.build_model(pages, map_, document.effort, document.parse_mode, pdf)
        return Assembled(model, mineru.to_middle(model), formulas, warnings)


def read_pages(document: Writing, indices: Sequence[int]) -> tuple[list[list[Block]], FormulaTexts]:
    """Stored blocks without active content, with their pictures as the options say.

    Returns:
        The blocks of each page, and the characters of formulas that are kept as pictures; without a picture they
        become text blocks.
    """
    staging = Path(document.staging)
    pages = [deactivate_blocks(page_store.read_page(staging, index)) for index in indices]
    if document.images is Images.EMBED:
        _embed(pages, staging)
    formulas: dict[str, str] = {}
    for index, blocks in zip(indices, pages, strict=True):
        for number, found in enumerate(page_store.read_found(staging, index)):
            block = blocks[number]
            if not found.formula_text or block["type"] != "equation" or block.get("content"):
                continue
            picture = block.get("image_path") or block.get("image_base64")
            if picture and document.images is not Images.NONE:
                formulas[picture] = found.formula_text
            else:
                blocks[number] = as_text_block(block, found.formula_text)
    if document.images is Images.NONE:  # a block that is only a picture is left out then
        pages = [[b for b in page if b.get("content") or b["type"] not in VISUAL_TYPES] for page in pages]
    return pages, formulas


def _embed(pages: list[list[Block]], staging: Path) -> None:
    for block in (b for page in pages for b in page if b.get("image_path")):
        with contextlib.suppress(OSError):
            data = base64.b64encode((staging / block["image_path"]).read_bytes()).decode()
            block["image_base64"] = f"data:image/jpeg;base64,{data}"
            del block["image_path"]
