"""Text of regions from a page's text layer: every character goes to the region it stands in."""

from __future__ import annotations

import itertools
import math
import re
import statistics
import unicodedata
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from typing import Any, cast

import numpy as np

from ...document import BBox
from ...pdf.docvortex.characters import Char, is_guessed_cjk_space, is_word_gap, merge_lines
from ...pdf.docvortex.pages import TextLine
from ..geometry import area, union
from .accents import compose
from .scripts import scripts_of

_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "ft", "ﬆ": "st"})
_BRACKETS = dict(zip(range(0xF8EB, 0xF8FF), "⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪⎮⎞⎟⎠⎤⎥⎦⎫⎬⎭", strict=True))
"""Adobe's private characters for the pieces of tall brackets."""
_HYPHEN = "\x02"
"""pdfium's mark for a hyphen at a line's end."""
_LETTERS = _LIGATURES | _BRACKETS
_CONTROL = re.compile("[\x00\x01\x03-\x1f\x7f\ufffe\uffff]")
_SPACE = 0.16
"""A gap wider than this many line heights parts two words of turned text, whose spaces pdfium does not know."""


@dataclass(slots=True)
class Line:
    """One line of text; ``bbox`` in points, origin top left."""

    bbox: BBox
    text: str
    marks: str = ""
    """For each character that is no white space whether it is a script, see :mod:`.scripts`; empty if none is."""
    chars: list[Char] = field(default_factory=list, repr=False, compare=False)
    """From left to right; none of turned text."""


@dataclass(slots=True, eq=False)
class Fragment:
    """Characters of one text-layer line that fell into one region.

    ``bbox`` is theirs as displayed; ``upright`` with the text turned upright by ``turn`` degrees (0, 90, 180, 270).
    """

    chars: list[Char]
    turn: int
    bbox: BBox
    upright: BBox


def assign(lines: list[TextLine], regions: list[BBox]) -> tuple[dict[int, list[Fragment]], list[Fragment]]:
    """Give each character of each line to the smallest region that holds its centre.

    Args:
        lines: of a page; their characters are the fragments' from now on, with loose boxes as ``bbox``.
        regions: bboxes in points.

    Returns:
        Fragments by region, and the fragments that no region holds, both in text-layer order.
    """
    inside: dict[int, list[Fragment]] = defaultdict(list)
    outside: list[Fragment] = []
    chars = [line.chars for line in lines]
    for char in chain.from_iterable(chars):
        # Loose boxes have the advance as width and the font's height: gaps and rows are told by them.
        char["bbox"] = char.get("loose_bbox") or cast(BBox, tuple(char["bbox"][:]))
    owners = iter(_owners([c["bbox"] for line in chars for c in line], regions))
    for line in chars:
        runs: list[tuple[list[Char], int | None]] = []
        for char in line:
            owner = next(owners)
            if char["char"].isspace() and runs:
                runs[-1][0].append(char)  # a space goes with what stands before it
                continue
            if not runs or runs[-1][1] != owner:
                runs.append(([], owner))
            runs[-1][0].append(char)
        for run, owner in _adopted(runs):
            fragment = make_fragment(run)
            if fragment:
                (outside if owner is None else inside[owner]).append(fragment)
    return inside, outside


def _owners(boxes: list[BBox], regions: list[BBox]) -> list[int | None]:
    """For each box the smallest region that holds its centre."""
    if not boxes or not regions:
        return [None] * len(boxes)
    flat = np.fromiter(chain.from_iterable(boxes), float, 4 * len(boxes)).reshape(-1, 4)
    x, y = ((flat[:, :2] + flat[:, 2:]) / 2).T[:, :, None]
    by_size = sorted(range(len(regions)), key=lambda i: area(regions[i]))
    x0, y0, x1, y1 = np.array([regions[i] for i in by_size]).T[:, None, :]
    held = (x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)
    first, any_ = held.argmax(axis=1).tolist(), held.any(axis=1).tolist()
    return [by_size[i] if found else None for i, found in zip(first, any_, strict=True)]


def _adopted(runs: list[tuple[list[Char], int | None]]) -> list[tuple[list[Char], int | None]]:
    """Runs of a line where those in no region went to the neighbour they touch: detected boxes cut lines short."""
    out: list[tuple[list[Char], int | None]] = []
    for i, (run, owner) in enumerate(runs):
        if owner is None:
            if out and out[-1][1] is not None and _touch(out[-1][0], run):
                owner = out[-1][1]
            elif i + 1 < len(runs) and _touch(run, runs[i + 1][0]):
                owner = runs[i + 1][1]
        if out and out[-1][1] == owner:
            out[-1] = (out[-1][0] + run, owner)
        else:
            out.append((run, owner))
    return out


def _touch(left: list[Char], right: list[Char]) -> bool:
    """Is there no more than a line height between the ink of two runs?"""
    before = [c["bbox"] for c in left if not c["char"].isspace()]
    after = [c["bbox"] for c in right if not c["char"].isspace()]
    if not before or not after:
        return True
    a, b = before[-1], after[0]
    reach = max(a[3] - a[1], b[3] - b[1])
    return max(b[0] - a[2], a[0] - b[2], 0) < reach and max(b[1] - a[3], a[1] - b[3], 0) < reach


def make_fragment(chars: list[Char]) -> Fragment | None:
    """A fragment of some characters, None if they are all white space."""
    ink = [c for c in chars if not c["char"].isspace()]
    if not ink:
        return None
    angles = [c.get("writing_angle") or 0.0 for c in ink]
    turn = _turn(angles[0]) if len(set(angles)) == 1 else Counter(map(_turn, angles)).most_common(1)[0][0]
    box = union([c["bbox"] for c in ink])
    return Fragment(chars, turn, box, turned(box, turn))


@lru_cache(maxsize=1024)
def _turn(angle: float) -> int:
    return round(math.degrees(angle) / 90) * 90 % 360


def turned(box: Any, turn: int) -> BBox:
    """A box as seen when text that is turned clockwise by ``turn`` degrees stands upright (coordinates may be < 0)."""
    x0, y0, x1, y1 = box[0], box[1], box[2], box[3]
    return {0: (x0, y0, x1, y1), 90: (y0, -x1, y1, -x0), 180: (-x1, -y1, -x0, -y0), 270: (-y1, x0, -y0, x1)}[turn]


def rows_of(fragments: list[Fragment]) -> list[list[Fragment]]:
    """Fragments by row, top to bottom: those on one baseline together, left to right; turned text as if upright."""
    rows: list[list[Fragment]] = []
    for fragment in sorted(fragments, key=lambda f: f.upright[1] + f.upright[3]):
        row = next((r for r in rows if _same_row(r, fragment)), None)
        if row is None:
            rows.append([fragment])
        else:
            row.append(fragment)
    rows.sort(key=lambda r: statistics.fmean(f.upright[1] + f.upright[3] for f in r))
    for row in rows:
        row.sort(key=lambda f: f.upright[0])
    return rows


def _same_row(row: list[Fragment], fragment: Fragment) -> bool:
    """Does it overlap each of them by half the smaller height?"""
    top, bottom = fragment.upright[1], fragment.upright[3]
    return all(
        f.turn == fragment.turn
        and min(f.upright[3], bottom) - max(f.upright[1], top) >= 0.5 * min(f.upright[3] - f.upright[1], bottom - top)
        for f in row
    )


def to_lines(fragments: list[Fragment], *, split: bool = False) -> list[Line]:
    """Fragments of one region as lines in reading order.

    Args:
        split: also cut lines at gaps wider than a line is high, for text of which no one knows the columns.
    """
    lines = []
    for row in rows_of(fragments):
        groups: list[list[Fragment]] = [[row[0]]]
        for fragment in row[1:]:
            before = groups[-1][-1]
            height = max(before.upright[3] - before.upright[1], fragment.upright[3] - fragment.upright[1])
            if split and fragment.upright[0] - before.upright[2] > height:
                groups.append([])
            groups[-1].append(fragment)
        for group in groups:
            text, composed = "", [compose(f.chars) for f in group]
            for number, (fragment, chars) in enumerate(zip(group, composed, strict=True)):
                if number and _apart(group[number - 1], fragment):
                    text += " "
                text += _text(chars, fragment.turn)
            if text := text.strip():
                upright = [] if group[0].turn else list(chain.from_iterable(composed))
                lines.append(Line(union([f.bbox for f in group]), text, _marks(upright), upright))
    return lines


def _marks(chars: list[Char]) -> str:
    """An upright line's marks of scripts, one for each letter of its text."""
    chars = [c for c in chars if not c["char"].isspace()]
    marks = scripts_of(chars) if chars else ""
    if not marks or marks.isspace():
        return ""
    return "".join(mark * len("".join(_letters(c["char"]).split())) for c, mark in zip(chars, marks, strict=True))


def _apart(left: Fragment, right: Fragment) -> bool:
    """Is there a space between two pieces of a row? pdfium also breaks a line where a superscript ends."""
    ends = [turned(f.chars[i]["bbox"], f.turn) for f, i in ((left, _ink(left)[-1]), (right, _ink(right)[0]))]
    height = max(box[3] - box[1] for box in ends)  # a piece with scripts is higher than its letters
    return abs(right.upright[0] - left.upright[2]) > _SPACE * height


def _ink(fragment: Fragment) -> list[int]:
    """Places of its characters that are no white space."""
    return [i for i, c in enumerate(fragment.chars) if not c["char"].isspace()]


def fragment_text(chars: list[Char], turn: int = 0) -> str:
    """Characters of a line as text: gaps become spaces, ligatures letters, soft hyphens hyphens, controls nothing."""
    return _text(compose(chars), turn)


def _text(chars: list[Char], turn: int) -> str:
    out = _upright_text(chars) if turn == 0 else _turned_text(chars, turn)
    return unicodedata.normalize("NFC", _letters("".join(out))).strip()


def _letters(text: str) -> str:
    return _CONTROL.sub("", text.replace(_HYPHEN, "-").translate(_LETTERS))


def _upright_text(chars: list[Char]) -> list[str]:
    letters = [c["char"] for c in chars]
    boxes = [c["bbox"] for c in chars]
    wide = 0.25 * statistics.median([box[2] - box[0] for box in boxes])
    last = len(chars) - 1
    out: list[str] = []
    for i, letter in enumerate(letters):
        if letter in "\r\n":
            continue
        if (
            letter == " "  # the call's first test, here for speed
            and 0 < i < last
            and is_guessed_cjk_space(chars[i - 1], chars[i], chars[i + 1])
        ):
            continue
        out.append(letter)
        if i < last and not letter.isspace() and not letters[i + 1].isspace():
            gap = boxes[i + 1][0] - boxes[i][2]
            if gap > wide or _tight_space(chars[i], chars[i + 1]):
                out.append(" ")
    return out


def _tight_space(left: Char, right: Char) -> bool:
    """docvortex's test for a word gap between inks that touch by their advances; its costly part only where it can say
    yes, which is not one pair in a hundred.

    That is at a gap, and where ink is no larger than its type, as it is where a page scales type of size 1.
    """
    a, b = left.get("tight_bbox"), right.get("tight_bbox")
    if a is None or b is None:
        return False
    size = left["font"]["size"]
    if b[0] - a[2] <= 0.25 * size or min(a[2] - a[0], a[3] - a[1]) > 1.5 * size:
        return False
    return is_word_gap(left, right)


def _turned_text(chars: list[Char], turn: int) -> list[str]:
    """As :func:`_upright_text`; white space that pdfium guessed is along the wrong axis, so gaps decide."""
    ink = [(c["char"], turned(c["bbox"], turn)) for c in chars if not c["char"].isspace()]
    height = statistics.median(box[3] - box[1] for _, box in ink)
    out = [ink[0][0]]
    for (_, before), (letter, box) in itertools.pairwise(ink):
        out.append((" " if box[0] - before[2] > _SPACE * height else "") + letter)
    return out


def join_lines(lines: list[Line]) -> str:
    """One paragraph of several lines: words split by a hyphen are mended, CJK is joined without spaces."""
    return join_texts([line.text for line in lines])


def join_texts(texts: list[str]) -> str:
    """:func:`join_lines` for lines of which only the text is known."""
    return _joined(tuple(texts))


@lru_cache(maxsize=256)  # a paragraph is asked for three times, and takes as long as its lines squared
def _joined(texts: tuple[str, ...]) -> str:
    return merge_lines(texts)
