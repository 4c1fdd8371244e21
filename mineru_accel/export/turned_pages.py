"""Pages that were turned to be read: MinerU's document is made of their upright geometry, then moved to what is shown.

Paragraphs are joined and lists nested by where lines begin and end, which only an upright page tells.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel

from ..pdf.turns import box_as_displayed

_DIGITS = 4
"""Of coordinates as fractions of the page, as in the stored blocks."""


def make_upright(pages: Sequence[Any], turns: Sequence[int]) -> None:
    """Move the bboxes of stored blocks, in place, from the pages as displayed to the upright ones.

    Args:
        turns: degrees by which each page was turned counter-clockwise to be read.
    """
    _move(pages, [-turn for turn in turns])


def make_displayed(pages: Sequence[Any], turns: Sequence[int]) -> None:
    """Undo :func:`make_upright` in pages of blocks or of MinerU's types."""
    _move(pages, turns)


def _move(pages: Sequence[Any], turns: Sequence[int]) -> None:
    for page, turn in zip(pages, turns, strict=True):
        if turn:
            _move_all(page, turn, set())


def _move_all(value: Any, turn: int, seen: set[int]) -> None:
    """Move the bboxes of a value and of all that it holds, each object once."""
    if isinstance(value, str | bytes | int | float | None) or id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, list | tuple):
        for one in value:
            _move_all(one, turn, seen)
        return
    fields = value if isinstance(value, dict) else vars(value) if isinstance(value, BaseModel) else {}
    for name, one in list(fields.items()):
        if name != "bbox":
            _move_all(one, turn, seen)
        elif one:
            # past pydantic's checks on assignment: a block and its parts must have one box, and are moved one by one
            fields[name] = type(one)(round(v, _DIGITS) for v in box_as_displayed(one, turn))
