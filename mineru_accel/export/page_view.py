"""The preview of a page: its regions, and the Markdown of each. Runs in a worker."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from PIL import Image

from ..document import BBox
from ..storage import page_store
from . import mineru
from .types import PageView, RegionView

_MAX_SIDE = 1100
"""Pixels of a picture in the Markdown."""


def page(folder: str, index: int) -> PageView:
    """The preview of a stored page; an empty one for a page that failed.

    Args:
        folder: with ``pages/`` and ``images/``, as :mod:`mineru_accel.storage.page_store` makes it.
        index: 0-based page number.
    """
    place = Path(folder)
    blocks, found = page_store.read_page(place, index), page_store.read_found(place, index)
    regions = [
        RegionView(b["type"], f.label, f.score, f.source, tuple(b["bbox"])) for b, f in zip(blocks, found, strict=True)
    ]
    formulas: dict[str, str] = {}
    for block, how in zip(blocks, found, strict=True):
        if picture := block.pop("image_path", None):
            block["image_base64"] = _data_uri(place / picture)
            if block["image_base64"] and how.formula_text:
                formulas[block["image_base64"]] = how.formula_text
    passages: list[str] = []
    for block in mineru.page_blocks(blocks):
        text = mineru.render_block(block, formulas)
        if not text.strip():
            continue
        boxes = {_rounded(box) for box in _boxes(block)}
        for region in regions:
            if region.passage is None and _rounded(region.bbox) in boxes:
                region.passage = len(passages)
        passages.append(text)
    return PageView(regions, passages)


def _boxes(block: Any) -> Iterator[BBox]:
    """The bboxes of a block and of what it holds."""
    if getattr(block, "bbox", None):
        yield block.bbox
    content = getattr(block, "content", None)
    for child in content if isinstance(content, list) else ():
        yield from _boxes(child)


def _rounded(bbox: BBox) -> tuple[float, ...]:
    return tuple(round(v, 3) for v in bbox)


def _data_uri(path: Path) -> str | None:
    """A picture as a data URI, at most ``_MAX_SIDE`` pixels a side; None if it can't be read."""
    try:
        with Image.open(path) as image:
            image.thumbnail((_MAX_SIDE, _MAX_SIDE))
            out = io.BytesIO()
            image.save(out, "JPEG", quality=85)
    except OSError:
        return None
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode()
