"""Finds sub- and superscripts by size and baseline: ``H2O``, ``10-3``, references to footnotes.

docvortex's own evidence leaves out lines with many scripts, and signs within scripts (the ``,j`` of ``y_i,j``).
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import Any

from ...pdf.docvortex.characters import Char
from ..geometry import horizontal_overlap

BODY, SUPER, SUB = " ", "^", "_"
"""Codes of a character: on the baseline, superscript, subscript."""
_MIN_FREQUENCY = 0.3
"""A line's type size is the largest that occurs at least this often, relative to its most frequent size."""
_MAX_SIZE = 0.86
"""Maximum size of a script, relative to the line's type size."""
_SHIFT_RANGE = (0.08, 0.8)
"""Distance of a script's baseline from the line's, in type sizes: less is noise, more is another line."""
_MIN_FRACTION_SHIFT = 0.3
"""Minimum distance of a numerator's or denominator's baseline; TeX sets subscripts under superscripts at 0.25."""
_MAX_GAP = 0.35
"""Maximum gap between a script and its neighbour, in type sizes; 1 after a footnote's mark at the start of a line."""


def scripts_of(chars: Sequence[Char]) -> str:
    """A string of codes, one for each character of a line of upright text.

    Args:
        chars: left to right, without white space.
    """
    given = [c["font"]["size"] for c in chars]
    known = {size: round(float(size), 1) for size in set(given)}
    sizes = [known[size] for size in given]
    if len(set(known.values())) == 1:  # a transformation matrix scales the type: only the boxes show it
        sizes = [round(c["bbox"][3] - c["bbox"][1], 1) for c in chars]
    counts = Counter(sizes)
    main = max(size for size, n in counts.items() if n >= _MIN_FREQUENCY * max(counts.values()))
    if main <= 0 or min(counts) > _MAX_SIZE * main or not all(c.get("origin") for c in chars):
        return BODY * len(chars)
    origins = [float(c["origin"][1]) for c in chars]
    base = statistics.median(y for y, size in zip(origins, sizes, strict=True) if size == main)
    codes, shifts = [], [(y - base) / main for y in origins]
    for shift, size in zip(shifts, sizes, strict=True):
        script = size <= _MAX_SIZE * main and _SHIFT_RANGE[0] < abs(shift) < _SHIFT_RANGE[1]
        codes.append((SUB if shift > 0 else SUPER) if script else BODY)
    if codes.count(BODY) == len(codes):
        return BODY * len(chars)
    for place in _places_in_fractions(shifts, codes, chars):
        codes[place] = BODY
    return _without_detached("".join(codes), chars, main)


def _places_in_fractions(shifts: Sequence[float], codes: Sequence[str], chars: Sequence[Char]) -> set[int]:
    """Indices of the numerators and denominators: small characters far above the baseline and others far below them."""
    high = [i for i, code in enumerate(codes) if code == SUPER and shifts[i] < -_MIN_FRACTION_SHIFT]
    deep = [i for i, code in enumerate(codes) if code == SUB and shifts[i] > _MIN_FRACTION_SHIFT]
    pairs = [(i, j) for i in high for j in deep if _stands_over(chars[i]["bbox"], chars[j]["bbox"])]
    return {place for pair in pairs for place in pair}


def _stands_over(above: Any, below: Any) -> bool:
    """Whether two boxes share more than half of the narrower one's width."""
    narrower = min(above[2] - above[0], below[2] - below[0])
    return horizontal_overlap(above, below) > 0.5 * narrower


def _without_detached(codes: str, chars: Sequence[Char], size: float) -> str:
    """Codes where runs of scripts with a gap on either side are body: they belong to no character."""
    out, start = list(codes), 0
    while start < len(codes):
        stop = start + 1
        if codes[start] != BODY:
            while stop < len(codes) and codes[stop] != BODY and _gap_before(chars, stop) < _MAX_GAP * size:
                stop += 1
            before = start > 0 and _gap_before(chars, start) < _MAX_GAP * size
            after = stop < len(codes) and _gap_before(chars, stop) < (_MAX_GAP if start else 1) * size
            if not before and not after:
                out[start:stop] = BODY * (stop - start)
        start = stop
    return "".join(out)


def _gap_before(chars: Sequence[Char], place: int) -> float:
    """Distance in points between a character and the one before it."""
    return float(chars[place]["bbox"][0] - chars[place - 1]["bbox"][2])
