"""Sub- and superscripts, told by size and baseline: ``H2O``, ``10-3``, references to notes.

docvortex's own evidence leaves out lines with many of them and parts of those with signs (the ``,j`` of ``y_i,j``).
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...pdf.docvortex.characters import Char
from ..geometry import across

BODY, SUPER, SUB = " ", "^", "_"
_MANY = 0.3
"""Of the most frequent size's characters a line has so many of its type size, at least."""
_SMALL = 0.86
"""Share of the line's type size up to which a character is a script."""
_SHIFT = (0.08, 0.8)
"""How far its baseline is from the line's, in type sizes."""
_FRACTION = 0.3
"""How far numerator and denominator are from it, at least; TeX's subscripts under superscripts are 0.25."""
_ATTACHED = 0.35
"""Type sizes between a script and what it stands at, at most; one after a note's mark, which begins its line."""


def scripts_of(chars: Sequence[Char]) -> str:
    """A mark for each character of a line of upright text: body, super- or subscript.

    Args:
        chars: docvortex's records, left to right, without white space.
    """
    given = [c["font"]["size"] for c in chars]
    known = {size: round(float(size), 1) for size in set(given)}
    sizes = [known[size] for size in given]
    if len(set(known.values())) == 1:  # a matrix makes the type small, not its size
        sizes = [round(c["bbox"][3] - c["bbox"][1], 1) for c in chars]
    counts = Counter(sizes)
    main = max(size for size, n in counts.items() if n >= _MANY * max(counts.values()))
    if main <= 0 or min(counts) > _SMALL * main or not all(c.get("origin") for c in chars):
        return BODY * len(chars)
    origins = [float(c["origin"][1]) for c in chars]
    base = statistics.median(y for y, size in zip(origins, sizes, strict=True) if size == main)
    marks, shifts = [], [(y - base) / main for y in origins]
    for shift, size in zip(shifts, sizes, strict=True):
        script = size <= _SMALL * main and _SHIFT[0] < abs(shift) < _SHIFT[1]
        marks.append((SUB if shift > 0 else SUPER) if script else BODY)
    if marks.count(BODY) == len(marks):
        return BODY * len(chars)
    for place in _fractions(shifts, marks, chars):
        marks[place] = BODY
    return _attached("".join(marks), chars, main)


def _fractions(shifts: Sequence[float], marks: Sequence[str], chars: Sequence[Char]) -> set[int]:
    """Places of small characters far above and far below the baseline, one over the other: no scripts are so far."""
    high = [i for i, mark in enumerate(marks) if mark == SUPER and shifts[i] < -_FRACTION]
    deep = [i for i, mark in enumerate(marks) if mark == SUB and shifts[i] > _FRACTION]
    pairs = [(i, j) for i in high for j in deep if _over(chars[i]["bbox"], chars[j]["bbox"])]
    return {place for pair in pairs for place in pair}


def _over(above: Any, below: Any) -> bool:
    narrower = min(above[2] - above[0], below[2] - below[0])
    return across(above, below) > 0.5 * narrower


def _attached(marks: str, chars: Sequence[Char], size: float) -> str:
    """Without the scripts that stand at nothing: runs of them with a gap on either side."""
    out, start = list(marks), 0
    while start < len(marks):
        stop = start + 1
        if marks[start] != BODY:
            while stop < len(marks) and marks[stop] != BODY and _gap(chars, stop) < _ATTACHED * size:
                stop += 1
            before = start > 0 and _gap(chars, start) < _ATTACHED * size
            after = stop < len(marks) and _gap(chars, stop) < (_ATTACHED if start else 1) * size
            if not before and not after:
                out[start:stop] = BODY * (stop - start)
        start = stop
    return "".join(out)


def _gap(chars: Sequence[Char], place: int) -> float:
    """Between a character and the one before it, in points."""
    return float(chars[place]["bbox"][0] - chars[place - 1]["bbox"][2])
