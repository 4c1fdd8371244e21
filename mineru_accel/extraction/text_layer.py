"""Text of regions from a page's text layer: every character goes to the region it stands in."""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

from docvortex.analyzers.pdf import is_generated_cjk_space, needs_tight_space
from docvortex.content.text import merge_text_line_contents

from ..document import BBox

Char = dict[str, Any]
"""docvortex's record of a character: ``char``, ``bbox`` (points, origin top left), ``rotation``, ``char_idx``, ..."""

_LIGATURES = str.maketrans({"ﬀ": "ff", "ﬁ": "fi", "ﬂ": "fl", "ﬃ": "ffi", "ﬄ": "ffl", "ﬅ": "ft", "ﬆ": "st"})
_HYPHEN = "\x02"
"""pdfium's mark for a hyphen at a line's end."""
_CONTROL = re.compile("[\x00\x01\x03-\x1f\x7f\ufffe\uffff]")


@dataclass(slots=True)
class Line:
    """One line of text; ``bbox`` in points, origin top left."""

    bbox: BBox
    text: str


@dataclass(slots=True)
class Fragment:
    """Characters of one text-layer line that fell into one region."""

    chars: list[Char]
    bbox: BBox = field(init=False)
    vertical: bool = False

    def __post_init__(self) -> None:
        boxes = [c["bbox"] for c in self.chars if not c["char"].isspace()] or [c["bbox"] for c in self.chars]
        self.bbox = (
            min(b[0] for b in boxes),
            min(b[1] for b in boxes),
            max(b[2] for b in boxes),
            max(b[3] for b in boxes),
        )


def assign(lines: list[dict[str, Any]], regions: list[BBox]) -> tuple[dict[int, list[Fragment]], list[Fragment]]:
    """Give each character of each line to the smallest region that holds its centre.

    Args:
        lines: docvortex's lines of a page (``spans`` with ``chars``).
        regions: bboxes in points.

    Returns:
        Fragments by region, and the fragments that no region holds, both in text-layer order.
    """
    by_size = sorted(range(len(regions)), key=lambda i: _area(regions[i]))
    inside: dict[int, list[Fragment]] = defaultdict(list)
    outside: list[Fragment] = []
    for line in lines:
        run: list[Char] = []
        owner: int | None = None
        for char in (c for span in line["spans"] for c in span["chars"]):
            if char["char"].isspace() and run:
                run.append(char)  # a space goes with what stands before it
                continue
            x, y = (char["bbox"][0] + char["bbox"][2]) / 2, (char["bbox"][1] + char["bbox"][3]) / 2
            found = next((i for i in by_size if _holds(regions[i], x, y)), None)
            if run and found != owner:
                _close(run, owner, inside, outside, line)
                run = []
            owner = found
            run.append(char)
        if run:
            _close(run, owner, inside, outside, line)
    return inside, outside


def _close(
    run: list[Char], owner: int | None, inside: dict[int, list[Fragment]], outside: list[Fragment], line: dict[str, Any]
) -> None:
    if all(c["char"].isspace() for c in run):
        return
    fragment = Fragment(run, vertical=_is_vertical(run))
    (outside if owner is None else inside[owner]).append(fragment)


def _is_vertical(chars: list[Char]) -> bool:
    return statistics.median(float(c.get("rotation") or 0) % 180 for c in chars) > 45


def rows_of(fragments: list[Fragment]) -> list[list[Fragment]]:
    """Fragments by row, top to bottom: those on one baseline together, left to right."""
    rows: list[list[Fragment]] = []
    for fragment in sorted(fragments, key=lambda f: (f.bbox[1] + f.bbox[3]) / 2):
        row = next((r for r in rows if _same_row(r, fragment)), None)
        if row is None:
            rows.append([fragment])
        else:
            row.append(fragment)
    rows.sort(key=lambda r: statistics.fmean((f.bbox[1] + f.bbox[3]) / 2 for f in r))
    for row in rows:
        row.sort(key=lambda f: f.bbox[0])
    return rows


def to_lines(
    fragments: list[Fragment], tight_bboxes: dict[int, BBox] | None = None, origins: dict[int, Any] | None = None
) -> list[Line]:
    """Fragments of one region as lines in reading order."""
    lines = []
    for row in rows_of(fragments):
        text = " ".join(filter(None, (chars_to_text(f.chars, tight_bboxes, origins) for f in row)))
        if text:
            lines.append(Line(_union([f.bbox for f in row]), text))
    return lines


def _same_row(row: list[Fragment], fragment: Fragment) -> bool:
    """Do they overlap by half the smaller height, without overlapping sideways?"""
    for other in row:
        overlap = min(other.bbox[3], fragment.bbox[3]) - max(other.bbox[1], fragment.bbox[1])
        smaller = min(other.bbox[3] - other.bbox[1], fragment.bbox[3] - fragment.bbox[1])
        if overlap < 0.5 * smaller:
            return False
    return True


def chars_to_text(
    chars: list[Char], tight_bboxes: dict[int, BBox] | None = None, origins: dict[int, Any] | None = None
) -> str:
    """Characters of a line as text: gaps become spaces, ligatures letters, soft hyphens hyphens, controls nothing."""
    width = statistics.median(c["bbox"][2] - c["bbox"][0] for c in chars)
    out: list[str] = []
    for i, char in enumerate(chars):
        letter = char["char"]
        following = chars[i + 1] if i + 1 < len(chars) else None
        if letter in "\r\n":
            continue
        if i > 0 and following and is_generated_cjk_space(chars[i - 1], char, following, origins=origins):
            continue
        out.append(letter)
        if following and not letter.isspace() and not following["char"].isspace():
            gap = following["bbox"][0] - char["bbox"][2]
            if gap > 0.25 * width or needs_tight_space(char, following, tight_bboxes=tight_bboxes, origins=origins):
                out.append(" ")
    text = "".join(out).replace(_HYPHEN, "-").translate(_LIGATURES)
    return unicodedata.normalize("NFC", _CONTROL.sub("", text)).strip()


def join_lines(lines: list[Line]) -> str:
    """One paragraph of several lines: words split by a hyphen are mended, CJK is joined without spaces."""
    return merge_text_line_contents([line.text for line in lines])


def _area(box: BBox) -> float:
    return (box[2] - box[0]) * (box[3] - box[1])


def _holds(box: BBox, x: float, y: float) -> bool:
    return box[0] <= x <= box[2] and box[1] <= y <= box[3]


def _union(boxes: list[BBox]) -> BBox:
    return (min(b[0] for b in boxes), min(b[1] for b in boxes), max(b[2] for b in boxes), max(b[3] for b in boxes))
