"""Sub- and superscripts, told by size and baseline: ``H2O``, ``10-3``, references to notes.

docvortex's own evidence leaves out lines with many of them and parts of those with signs (the ``,j`` of ``y_i,j``).
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from ...document import Block
from ...pdf.docvortex.characters import Char
from ...pdf.docvortex.spans import append_text_span, plain_text_of_spans
from ..geometry import across

if TYPE_CHECKING:
    from .lines import Line

BODY, SUPER, SUB = " ", "^", "_"
_STYLES = {SUPER: "superscript", SUB: "subscript"}
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


def set_scripts(block: Block, lines: Sequence[Line]) -> None:
    """Give a block of spans the scripts of its lines, in place of those it has; nothing where its text is another."""
    if not any(line.marks for line in lines):
        return
    letters = [c for line in lines for c in line.text if not c.isspace()]
    marks = "".join(line.marks or BODY * len("".join(line.text.split())) for line in lines)
    content = block["content"]
    if len(letters) != len(marks) or not isinstance(content, list):
        return
    aligned: list[str] = []
    place = 0
    for char in plain_text_of_spans(content):
        if char.isspace():
            aligned.append(" ")
            continue
        while place < len(letters) and letters[place] != char and letters[place] in "-\u00ad":
            place += 1  # a hyphen at a line's end
        if place == len(letters) or letters[place] != char:
            return
        aligned.append(marks[place])
        place += 1
    block["content"] = _styled(content, iter(aligned))


def _styled(spans: list[dict[str, Any]], marks: Any) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for span in spans:
        if isinstance(span.get("content"), list):
            out.append({**span, "content": _styled(span["content"], marks)})
        elif span["type"] != "text":
            out.append(span)
            for _ in span["content"]:
                next(marks)
        else:
            others = [style for style in span.get("styles", ()) if style not in _STYLES.values()]
            for char in span["content"]:
                mark = next(marks)
                append_text_span(out, char, [*others, _STYLES[mark]] if mark in _STYLES else others)
    return out
