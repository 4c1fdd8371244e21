"""Telling generations that went wrong by their text: loops."""

from __future__ import annotations

import re

_TAIL = 4000
"""Characters at the end that are looked at."""
_LEAST = 240
"""Characters that must be repetition: MinerU bans 100-grams of tokens, so that a loop comes to at least as many."""
_UNIT = 400
"""The longest repeated unit."""
_REPEATS = 4
_EMPTY_CELLS = re.compile(r"(?:<(?:ecel|lcel|ucel|xcel|nl)>|\s|[.·…_\-—=*|&\\~]|\\quad|\\hspace\{[^}]*\})+")
"""What may repeat for good reasons: empty cells, dot leaders, ruled lines."""
_TABLE_REPEATS = 30
"""Rows of equal cells are common in tables, up to this many."""


def loops(text: str, kind: str = "text") -> str | None:
    """Why a generation is a loop, or None.

    Args:
        kind: of the region; tables may repeat more.
    """
    text = _EMPTY_CELLS.sub(" ", text[-_TAIL:])
    if len(text) < _LEAST:
        return None
    allowed = _TABLE_REPEATS if kind == "table" else _REPEATS
    for start in _ends(text):
        unit, times = _period(text[:start])
        if times > allowed and unit * times >= _LEAST:
            return f"the VLM's answer repeats itself ({times:.0f} times)"
    return None


def _ends(text: str) -> range:
    """Where the repetition may end: a loop that MinerU's ban broke off is followed by some other text."""
    return range(len(text), max(len(text) // 2, _LEAST), -64)


def _period(text: str) -> tuple[int, float]:
    """The smallest unit that the end of a text consists of, and how many times it stands there."""
    best = (0, 0.0)
    probe = text[-24:]
    at = text.rfind(probe, 0, len(text) - 1)
    while at >= 0 and (unit := len(text) - 24 - at) <= _UNIT:
        length = unit
        while length + unit <= len(text) and text[-length - unit : -length] == text[-unit:]:
            length += unit
        if length // unit > best[1]:
            best = (unit, length / unit)
        if best[1] > 1:
            break
        at = text.rfind(probe, 0, at + 23)
    return best
