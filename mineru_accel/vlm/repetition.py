"""Finds generations that have gone wrong and repeat themselves (loops), by their text."""

from __future__ import annotations

import re

_TAIL = 4000
"""Characters at a text's end that are examined."""
_MIN_LENGTH = 240
"""Minimum characters of repetition. MinerU bans repeated 100-grams of tokens, so that a loop is at least that long."""
_MAX_UNIT = 400
"""Maximum characters of the repeated unit."""
_MAX_REPEATS = 4
"""Repetitions that are no loop yet."""
_EMPTY_CELLS = re.compile(r"(?:<(?:ecel|lcel|ucel|xcel|nl)>|\s|[.·…_\-—=*|&\\~]|\\quad|\\hspace\{[^}]*\})+")
"""Text that may repeat for good reasons: empty cells, dot leaders, ruled lines."""
_MAX_TABLE_REPEATS = 30
"""The same in tables, where rows of equal cells are common."""


def loop_reason(text: str, kind: str = "text") -> str | None:
    """Why a generation is a loop, in one line; None if it is none.

    Args:
        kind: type of the region; tables may repeat more.
    """
    text = _EMPTY_CELLS.sub(" ", text[-_TAIL:])
    if len(text) < _MIN_LENGTH:
        return None
    allowed = _MAX_TABLE_REPEATS if kind == "table" else _MAX_REPEATS
    for start in _ends(text):
        unit, times = _period(text[:start])
        if times > allowed and unit * times >= _MIN_LENGTH:
            return f"the VLM's answer repeats itself ({times:.0f} times)"
    return None


def _ends(text: str) -> range:
    """Lengths at which a repetition may end, longest first: MinerU's ban ends a loop, and other text follows."""
    return range(len(text), max(len(text) // 2, _MIN_LENGTH), -64)


def _period(text: str) -> tuple[int, float]:
    """Length of the smallest unit that a text's end repeats, and the number of repetitions."""
    best = (0, 0.0)
    probe = text[-24:]
    at = text.rfind(probe, 0, len(text) - 1)
    while at >= 0 and (unit := len(text) - 24 - at) <= _MAX_UNIT:
        length = unit
        while length + unit <= len(text) and text[-length - unit : -length] == text[-unit:]:
            length += unit
        if length // unit > best[1]:
            best = (unit, length / unit)
        if best[1] > 1:
            break
        at = text.rfind(probe, 0, at + 23)
    return best
