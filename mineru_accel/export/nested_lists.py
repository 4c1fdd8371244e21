"""Lists in lists, recognized by the indentation of their items."""

from __future__ import annotations

from itertools import groupby

from mineru.types import ListBlock, MiddleJson, TextBlock

_INDENT = 0.015
"""Minimum indentation of an inner item, as a share of the page's width."""


def nest_lists(middle: MiddleJson) -> MiddleJson:
    """Put indented items into lists below the item above them; the document is changed in place.

    MinerU's raw blocks know one level only; its types, and its renderers, know lists in lists.
    """
    for page in middle.pages:
        for block in page.blocks:
            if isinstance(block, ListBlock) and all(isinstance(c, TextBlock) and c.bbox for c in block.content):
                block.content = _nested(list(block.content))  # type: ignore[arg-type]
    return middle


def _nested(items: list[TextBlock]) -> list[TextBlock | ListBlock]:
    """Items of one list as items and lists below them; the first item's level is the outermost."""
    out: list[TextBlock | ListBlock] = []
    for inner, run in groupby(items, lambda item: _left(item) > _left(items[0]) + _INDENT):
        members = list(run)
        if inner:
            x0, y0, x1, y1 = zip(*(item.bbox for item in members if item.bbox), strict=True)
            around = (min(x0), min(y0), max(x1), max(y1))
            out.append(ListBlock(type="list", sub_type="text", content=_nested(members), bbox=around))
        else:
            out += members
    return out


def _left(item: TextBlock) -> float:
    assert item.bbox
    return item.bbox[0]
