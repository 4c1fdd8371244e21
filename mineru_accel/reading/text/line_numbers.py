"""Line numbers in the margins of manuscripts, transcripts and bills."""

from __future__ import annotations

import re
import statistics
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from ...document import BBox
from ...pdf.docvortex.characters import Char
from ...pdf.docvortex.pages import TextLine
from ..geometry import union

_MIN_NUMBERS = 5
"""Numbers in a column; fewer agree by chance."""
_STEPS = (1, 2, 5, 10)
"""Lines from one number to the next."""
_MAX_DIGITS = 4
_ALIGNED = 2.0
"""Points by which left or right ends of a column's numbers differ."""
_MIN_GAP = 0.4
"""Distance of a number from its line, in heights of the number."""
_MIN_SHARE = 0.8
"""Share of the numbers in a column that count on, and share of them that stand beside text."""
_MIN_WORDS = 5
"""Words in a line of prose; rows of a table and items of a list are shorter."""
_MIN_WORDS_ON_RULED_PAPER = 3
"""The same where rows without text have numbers, too."""
_MIN_RULED_ROWS = 10
"""Rows of ruled paper."""
_MAX_UNEVEN = 0.05
"""Difference of two distances between rows, as a share of one."""
_MIN_CONTINUED = 0.3
"""Share of lines that begin within a sentence; items of a list begin with capitals."""
_MIN_SENTENCE_ENDS = 0.1
"""Share of lines in which a sentence ends before the line does; an item of a list is one sentence or none."""
_SENTENCE_END = re.compile(r"[.!?][\"')\]\u201d\u2019]*\s+\S|[\u3002\uff01\uff1f]\S")
_MAX_ROWS = 1.3
"""Rows of text for each number where every line has one; an item of a list has several."""
_SAME_ROW = 0.3
"""Share of the lower of two heights that a number, which may stand raised, shares with its line."""


@dataclass(slots=True, eq=False)
class _Number:
    """A number at the beginning or end of a line of the text layer."""

    line: int
    start: int
    end: int
    value: int
    box: BBox


def find_line_numbers(lines: Sequence[TextLine]) -> list[tuple[int, int, int]]:
    """Line numbers as (number of the line, first character, end).

    They count on in a column. They stand beside lines of prose, whose sentences run on from line to line and end within
    lines; or there are as many lines as they count, where only every fifth line or so has one; or they stand at even
    distances, beside text and empty rows alike, as on the ruled paper of courts.
    """
    found: list[tuple[int, int, int]] = []
    for at_end in (False, True):
        numbers = [number for place, line in enumerate(lines) if (number := _number(place, line, at_end))]
        if len(numbers) < _MIN_NUMBERS:
            continue
        taken: set[int] = set()
        for column in sorted(_columns(numbers), key=len, reverse=True):
            chain, step = _counting(column)
            if len(chain) < max(_MIN_NUMBERS, _MIN_SHARE * len(column)) or taken & {n.line for n in chain}:
                continue
            if _number_lines(chain, step, lines, at_end):
                taken |= {n.line for n in chain}
                found += [(n.line, n.start, n.end) for n in chain]
    return found


def _number(place: int, line: TextLine, at_end: bool) -> _Number | None:
    """The number apart from the rest of a line at its beginning or end."""
    chars = line.chars
    order = range(len(chars) - 1, -1, -1) if at_end else range(len(chars))
    digits: list[int] = []
    for i in order:
        letter = chars[i]["char"]
        if letter.isspace():
            if digits:
                break
        elif letter.isascii() and letter.isdigit() and len(digits) < _MAX_DIGITS:
            digits.append(i)
        else:
            break
    if not digits:
        return None
    start, end = min(digits), max(digits) + 1
    box = union([char["bbox"] for char in chars[start:end]])
    if rest := _visible(chars[:start] if at_end else chars[end:]):
        gap = box[0] - rest[-1]["bbox"][2] if at_end else rest[0]["bbox"][0] - box[2]
        if gap < _MIN_GAP * (box[3] - box[1]):
            return None
    return _Number(place, start, end, int("".join(char["char"] for char in chars[start:end])), box)


def _visible(chars: Sequence[Char]) -> list[Char]:
    return [char for char in chars if not char["char"].isspace()]


def _columns(numbers: list[_Number]) -> list[list[_Number]]:
    """Numbers whose left ends, or whose right ends, stand below each other; from the top down."""
    columns = []
    for side in (0, 2):
        by_place = sorted(numbers, key=lambda n: n.box[side])
        column = [by_place[0]]
        for number in by_place[1:]:
            if number.box[side] - column[0].box[side] > _ALIGNED:
                columns.append(column)
                column = []
            column.append(number)
        columns.append(column)
    return [sorted(column, key=lambda n: n.box[1]) for column in columns if len(column) >= _MIN_NUMBERS]


def _counting(column: list[_Number]) -> tuple[list[_Number], int]:
    """The longest chain of numbers that count on in equal steps, and the step."""
    best: list[_Number] = []
    best_step = 1
    for step in _STEPS:
        chains: defaultdict[int, list[_Number]] = defaultdict(list)
        for number in column:
            chain = [*chains[number.value - step], number]
            if len(chain) > len(chains[number.value]):
                chains[number.value] = chain
        longest = max(chains.values(), key=len)
        if len(longest) > len(best):
            best, best_step = longest, step
    return best, best_step


def _number_lines(chain: list[_Number], step: int, lines: Sequence[TextLine], at_end: bool) -> bool:
    """Whether numbers that count on are those of lines, not of a table's rows or a list's items."""
    found = [body for number in chain if (body := _body(number, lines, at_end))]
    bodies = [_text(body) for body in found]
    if not bodies:
        return False
    words = statistics.median(len(body.split()) for body in bodies)
    if len(bodies) < len(chain) and step == 1 and _are_even(chain):
        return len(bodies) >= 0.5 * len(chain) and words >= _MIN_WORDS_ON_RULED_PAPER
    if len(bodies) < _MIN_SHARE * len(chain):
        return False
    if step > 1:
        return _count_rows(chain, lines) >= _MIN_SHARE * step * (len(chain) - 1)
    continued = sum(body[0].isalpha() and not body[0].isupper() for body in bodies)
    if words < _MIN_WORDS or continued < _MIN_CONTINUED * len(bodies):
        return False
    if sum(bool(_SENTENCE_END.search(body)) for body in bodies) < max(1, _MIN_SENTENCE_ENDS * len(bodies)):
        return False
    column = union([char["bbox"] for body in found for char in body])
    return _count_rows(chain, lines, column) <= _MAX_ROWS * len(chain)


def _are_even(chain: list[_Number]) -> bool:
    """Whether a column counts every row of a page from 1 on: many numbers at even distances."""
    gaps = [below.box[1] - above.box[1] for above, below in pairwise(chain)]
    usual = statistics.median(gaps)
    even = sum(abs(gap - usual) < _MAX_UNEVEN * usual for gap in gaps)
    return chain[0].value == 1 and len(chain) >= _MIN_RULED_ROWS and even >= _MIN_SHARE * len(gaps)


def _body(number: _Number, lines: Sequence[TextLine], at_end: bool) -> list[Char]:
    """The visible characters and spaces beside a number: the rest of its line, or the nearest line in its row."""
    chars = lines[number.line].chars
    rest = chars[: number.start] if at_end else chars[number.end :]
    if _text(rest):
        return rest
    nearest, found = float("inf"), list[Char]()
    for place, line in enumerate(lines):
        ink = _visible(line.chars)
        if place == number.line or not ink:
            continue
        first = ink[-1 if at_end else 0]["bbox"]
        distance = number.box[0] - first[2] if at_end else first[0] - number.box[2]
        if 0 <= distance < nearest and _in_row(first, number.box):
            nearest, found = distance, line.chars
    return found


def _count_rows(chain: list[_Number], lines: Sequence[TextLine], column: BBox | None = None) -> int:
    """Rows of text between the first and the last number; of a column, those that begin within it."""
    top, bottom = chain[0].box[1], chain[-1].box[3]
    own = {number.line for number in chain if not _text(lines[number.line].chars[number.end :])}
    rows: list[BBox] = []
    for place, line in enumerate(lines):
        ink = _visible(line.chars)
        box = ink[0]["bbox"] if ink else None
        if (
            box
            and place not in own
            and (column is None or column[0] - _ALIGNED <= box[0] < column[2])
            and top <= (box[1] + box[3]) / 2 <= bottom
            and not any(_in_row(box, r) for r in rows)
        ):
            rows.append(box)
    return len(rows)


def _in_row(one: Sequence[float], other: Sequence[float]) -> bool:
    shared = min(one[3], other[3]) - max(one[1], other[1])
    return shared > _SAME_ROW * min(one[3] - one[1], other[3] - other[1])


def _text(chars: Sequence[Char]) -> str:
    return "".join(char["char"] for char in chars).strip()
