"""Text of regions from a page's text layer: characters are assigned to regions and joined to lines and text."""

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
from ..geometry import box_area, union
from .accents import compose_accents
from .cut_words import mend_cut_words
from .scripts import scripts_of

_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "ft", "ﬆ": "st"})
_BRACKETS = dict(zip(range(0xF8EB, 0xF8FF), "⎛⎜⎝⎡⎢⎣⎧⎨⎩⎪⎮⎞⎟⎠⎤⎥⎦⎫⎬⎭", strict=True))
"""Adobe's private-use characters for the pieces of tall brackets, as Unicode characters."""
_HYPHEN = "\x02"
"""pdfium's character for a hyphen at a line's end."""
_REPLACEMENTS = _LIGATURES | _BRACKETS
_CONTROL = re.compile("[\x00\x01\x03-\x1f\x7f\ufffe\uffff]")
_WORD_GAP = 0.16
"""Minimum gap between two words in line heights, where pdfium gives no spaces: in rotated text, between fragments."""


@dataclass(slots=True)
class Line:
    """One line of text; ``bbox`` in points, origin top left."""

    bbox: BBox
    text: str
    scripts: str = ""
    """One code of :mod:`.scripts` for each character of ``text`` that is no white space; empty without any script."""
    chars: list[Char] = field(default_factory=list, repr=False, compare=False)
    """Left to right; empty for rotated text."""


@dataclass(slots=True, eq=False)
class Fragment:
    """Characters of one line of the text layer that lie in one region."""

    chars: list[Char]
    rotation: int
    """Clockwise rotation of the text in degrees: 0, 90, 180 or 270."""
    bbox: BBox
    """In points, as displayed."""
    upright: BBox
    """In points, after the text was rotated upright, see :func:`upright_box`."""


def assign_to_regions(lines: list[TextLine], regions: list[BBox]) -> tuple[dict[int, list[Fragment]], list[Fragment]]:
    """Assign each character of each line to the smallest region that holds its centre; words stay whole.

    Args:
        lines: of a page. Their characters become those of the fragments, with loose boxes as ``bbox``.
        regions: boxes in points.

    Returns:
        Fragments by index of their region, and the fragments in no region, both in the order of the text layer.
    """
    inside: dict[int, list[Fragment]] = defaultdict(list)
    outside: list[Fragment] = []
    chars = [line.chars for line in lines]
    for char in chain.from_iterable(chars):
        # Loose boxes are as wide as the advance and as high as the font: gaps and rows are measured by them.
        char["bbox"] = char.get("loose_bbox") or cast(BBox, tuple(char["bbox"][:]))
    owners = iter(_smallest_holding([c["bbox"] for line in chars for c in line], regions))
    for line in chars:
        runs: list[tuple[list[Char], int | None]] = []
        for char in line:
            owner = next(owners)
            if char["char"].isspace() and runs:
                runs[-1][0].append(char)  # a space belongs to the character before it
                continue
            if not runs or runs[-1][1] != owner:
                runs.append(([], owner))
            runs[-1][0].append(char)
        for run, owner in mend_cut_words(_join_cut_ends(runs)):
            fragment = make_fragment(run)
            if fragment:
                (outside if owner is None else inside[owner]).append(fragment)
    return inside, outside


def _smallest_holding(boxes: list[BBox], regions: list[BBox]) -> list[int | None]:
    """For each box the index of the smallest region that holds its centre, or None."""
    if not boxes or not regions:
        return [None] * len(boxes)
    flat = np.fromiter(chain.from_iterable(boxes), float, 4 * len(boxes)).reshape(-1, 4)
    x, y = ((flat[:, :2] + flat[:, 2:]) / 2).T[:, :, None]
    by_size = sorted(range(len(regions)), key=lambda i: box_area(regions[i]))
    x0, y0, x1, y1 = np.array([regions[i] for i in by_size]).T[:, None, :]
    held = (x0 <= x) & (x <= x1) & (y0 <= y) & (y <= y1)
    first, any_ = held.argmax(axis=1).tolist(), held.any(axis=1).tolist()
    return [by_size[i] if found else None for i, found in zip(first, any_, strict=True)]


def _join_cut_ends(runs: list[tuple[list[Char], int | None]]) -> list[tuple[list[Char], int | None]]:
    """Runs of a line, those in no region joined to an adjacent run in one: detected boxes cut lines short."""
    out: list[tuple[list[Char], int | None]] = []
    for i, (run, owner) in enumerate(runs):
        if owner is None:
            if out and out[-1][1] is not None and _are_adjacent(out[-1][0], run):
                owner = out[-1][1]
            elif i + 1 < len(runs) and _are_adjacent(run, runs[i + 1][0]):
                owner = runs[i + 1][1]
        if out and out[-1][1] == owner:
            out[-1] = (out[-1][0] + run, owner)
        else:
            out.append((run, owner))
    return out


def _are_adjacent(left: list[Char], right: list[Char]) -> bool:
    """Whether the gap between the visible characters of two runs is less than a line height."""
    before = [c["bbox"] for c in left if not c["char"].isspace()]
    after = [c["bbox"] for c in right if not c["char"].isspace()]
    if not before or not after:
        return True
    a, b = before[-1], after[0]
    reach = max(a[3] - a[1], b[3] - b[1])
    return max(b[0] - a[2], a[0] - b[2], 0) < reach and max(b[1] - a[3], a[1] - b[3], 0) < reach


def make_fragment(chars: list[Char]) -> Fragment | None:
    """A fragment of some characters but leader dots; None if all are white space."""
    chars = [c for c in chars if "is_leader" not in c]
    ink = [c for c in chars if not c["char"].isspace()]
    if not ink:
        return None
    angles = [c.get("writing_angle") or 0.0 for c in ink]
    rotation = (
        quarter_turn(angles[0]) if len(set(angles)) == 1 else Counter(map(quarter_turn, angles)).most_common(1)[0][0]
    )
    box = union([c["bbox"] for c in ink])
    if rotation in (90, 270) and _runs_backwards(ink, rotation):
        chars = chars[::-1]
    return Fragment(chars, rotation, box, upright_box(box, rotation))


def _runs_backwards(ink: list[Char], rotation: int) -> bool:
    """Whether most steps between sideways characters lead back: pdfium may list them from the page's top down."""
    starts = [upright_box(c["bbox"], rotation)[0] for c in ink]
    forward = sum(b > a for a, b in itertools.pairwise(starts))
    return 2 * forward < len(starts) - 1


@lru_cache(maxsize=1024)
def quarter_turn(angle: float) -> int:
    """The multiple of 90 degrees nearest to an angle in radians."""
    return round(math.degrees(angle) / 90) * 90 % 360


def upright_box(box: Any, rotation: int) -> BBox:
    """The box of text after undoing its clockwise ``rotation`` in degrees; coordinates may be negative."""
    x0, y0, x1, y1 = box[0], box[1], box[2], box[3]
    return {0: (x0, y0, x1, y1), 90: (y0, -x1, y1, -x0), 180: (-x1, -y1, -x0, -y0), 270: (-y1, x0, -y0, x1)}[rotation]


def group_rows(fragments: list[Fragment]) -> list[list[Fragment]]:
    """Fragments by row, top to bottom, each row from left to right; rotated text as if upright."""
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
    """Whether a fragment overlaps all of a row by half the smaller height."""
    top, bottom = fragment.upright[1], fragment.upright[3]
    return all(
        f.rotation == fragment.rotation
        and min(f.upright[3], bottom) - max(f.upright[1], top) >= 0.5 * min(f.upright[3] - f.upright[1], bottom - top)
        for f in row
    )


def to_lines(fragments: list[Fragment], *, split: bool = False) -> list[Line]:
    """Fragments of one region as lines in reading order.

    Args:
        split: whether to split lines at gaps wider than a line height, for text whose columns are unknown.
    """
    rows = group_rows(fragments)
    parts = [part for row in rows for part in _split_at_wide_gaps(row)] if split else rows
    lines = map(_line_of, parts)
    return [line for line in lines if line.text]


def _split_at_wide_gaps(row: list[Fragment]) -> list[list[Fragment]]:
    parts = [[row[0]]]
    for before, fragment in itertools.pairwise(row):
        height = max(before.upright[3] - before.upright[1], fragment.upright[3] - fragment.upright[1])
        if fragment.upright[0] - before.upright[2] > height:
            parts.append([])
        parts[-1].append(fragment)
    return parts


def _line_of(fragments: list[Fragment]) -> Line:
    """The line that the fragments of a row make."""
    text, composed = "", [compose_accents(f.chars) for f in fragments]
    for number, (fragment, chars) in enumerate(zip(fragments, composed, strict=True)):
        if number and _are_separate_words(fragments[number - 1], fragment):
            text += " "
        text += _plain_text(chars, fragment.rotation)
    upright = [] if fragments[0].rotation else list(chain.from_iterable(composed))
    return Line(union([f.bbox for f in fragments]), text.strip(), _script_codes(upright), upright)


def _script_codes(chars: list[Char]) -> str:
    """Codes of an upright line's scripts, one for each visible character of its text; empty without any script."""
    chars = [c for c in chars if not c["char"].isspace()]
    codes = scripts_of(chars) if chars else ""
    if not codes or codes.isspace():
        return ""
    return "".join(mark * len("".join(_normalized(c["char"]).split())) for c, mark in zip(chars, codes, strict=True))


def _are_separate_words(left: Fragment, right: Fragment) -> bool:
    """Whether there is a space between two fragments of a row: pdfium also breaks a line where a superscript ends."""
    ends = [
        upright_box(f.chars[i]["bbox"], f.rotation)
        for f, i in ((left, _visible_indices(left)[-1]), (right, _visible_indices(right)[0]))
    ]
    height = max(box[3] - box[1] for box in ends)  # a fragment with scripts is higher than its letters
    return abs(right.upright[0] - left.upright[2]) > _WORD_GAP * height


def _visible_indices(fragment: Fragment) -> list[int]:
    """Indices of the characters that are no white space."""
    return [i for i, c in enumerate(fragment.chars) if not c["char"].isspace()]


def join_chars(chars: list[Char], rotation: int = 0) -> str:
    """The text of a line's characters: gaps become spaces, ligatures letters; control characters are dropped.

    Args:
        rotation: of the text, clockwise in degrees.
    """
    return _plain_text(compose_accents(chars), rotation)


def _plain_text(chars: list[Char], rotation: int) -> str:
    out = _upright_text(chars) if rotation == 0 else _rotated_text(chars, rotation)
    return unicodedata.normalize("NFC", _normalized("".join(out))).strip()


def _normalized(text: str) -> str:
    return _CONTROL.sub("", text.replace(_HYPHEN, "-").translate(_REPLACEMENTS))


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
            letter == " "  # also the first test of the call: tested here for speed
            and 0 < i < last
            and is_guessed_cjk_space(chars[i - 1], chars[i], chars[i + 1])
        ):
            continue
        out.append(letter)
        if i < last and not letter.isspace() and not letters[i + 1].isspace():
            gap = boxes[i + 1][0] - boxes[i][2]
            if gap > wide or has_tight_word_gap(chars[i], chars[i + 1]):
                out.append(" ")
    return out


def has_tight_word_gap(left: Char, right: Char) -> bool:
    """:func:`is_word_gap`, after quick tests that rule out 99 of 100 pairs.

    A pair needs a gap between its inks, and ink no larger than the font size: it is larger where a page scales type of
    size 1.
    """
    a, b = left.get("tight_bbox"), right.get("tight_bbox")
    if a is None or b is None:
        return False
    size = left["font"]["size"]
    if b[0] - a[2] <= 0.25 * size or min(a[2] - a[0], a[3] - a[1]) > 1.5 * size:
        return False
    return is_word_gap(left, right)


def _rotated_text(chars: list[Char], rotation: int) -> list[str]:
    """As :func:`_upright_text`, with spaces from gaps alone: pdfium guesses them along the wrong axis."""
    ink = [(c["char"], upright_box(c["bbox"], rotation)) for c in chars if not c["char"].isspace()]
    height = statistics.median(box[3] - box[1] for _, box in ink)
    out = [ink[0][0]]
    for (_, before), (letter, box) in itertools.pairwise(ink):
        out.append((" " if box[0] - before[2] > _WORD_GAP * height else "") + letter)
    return out


def join_lines(lines: list[Line]) -> str:
    """The paragraph that several lines make: hyphenated words are joined, CJK text is joined without spaces."""
    return join_texts([line.text for line in lines])


def join_texts(texts: list[str]) -> str:
    """:func:`join_lines` for the texts of lines."""
    return _join_cached(tuple(texts))


@lru_cache(maxsize=256)  # each paragraph is joined three times, in time quadratic in its lines
def _join_cached(texts: tuple[str, ...]) -> str:
    return merge_lines(texts)
