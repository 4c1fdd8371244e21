"""Finds running heads that were detected as headings or text: neighbouring pages have the same text at their place."""

from __future__ import annotations

import re
import statistics
import unicodedata
from collections.abc import Callable

from ...document import BBox
from ...layout.classes import Label
from ...pdf.opening import open_document
from ...pdf.plain_text import text_in_box
from ...pdf.types import Key
from .areas import Area

_MARGIN = 0.12
"""Height of the top and bottom margins, where running heads stand, as a share of the page's height."""
TITLE_SIZE = 1.35
"""Height of a line, relative to the page's text, from which it is a title: slides repeat theirs."""
_MIN_LETTERS = 4
"""Letters; shorter texts agree by chance."""
_NEIGHBOURS = (-1, 1, -2, 2)
"""Offsets of the pages that are compared: left and right pages may have heads of their own."""
_MARGIN_AROUND = (3, 1)
"""Points by which a line's box is widened to the sides, and up and down: neighbours differ by a little."""
_NOT_LETTERS = re.compile(r"[\W\d_]+")
_TEXT_LABELS = frozenset({Label.TITLE, Label.PLAIN_TEXT})

NeighbourText = Callable[[int, BBox], str]
"""(offset, box in points) -> text in that box on the page ``offset`` pages further."""


def relabel_running_heads(areas: list[Area], size: tuple[float, float], text_of: NeighbourText) -> None:
    """Relabel running heads as furniture, in place: lines in a page's first or last row that a neighbour repeats.

    Page numbers, which count on from page to page, are relabelled as well.

    Args:
        size: width and height of the page in points.
    """
    width, height = size
    flow = [a for a in areas if a.region.label != Label.ABANDON]
    sizes = [line.bbox[3] - line.bbox[1] for a in flow if a.rotation == 0 for line in a.lines]
    if not sizes:
        return
    usual = statistics.median(sizes)
    for area in flow:
        _, top, _, bottom = area.box
        if area.region.label not in _TEXT_LABELS or len(area.lines) != 1 or area.rotation or bottom - top > 3 * usual:
            continue
        others = [a.box for a in flow if a is not area]
        first = bottom < _MARGIN * height and all(box[3] > top for box in others)
        last = top > (1 - _MARGIN) * height and all(box[1] < bottom for box in others)
        line = area.lines[0]
        large = line.bbox[3] - line.bbox[1] > TITLE_SIZE * usual
        if (first or last) and _repeats(line.text, line.bbox, width, large, text_of):
            area.region.label = Label.ABANDON


def _repeats(text: str, box: BBox, width: float, large: bool, text_of: NeighbourText) -> bool:
    """Whether a neighbouring page has the same text in a box, or the next number in its row."""
    number = text.strip(" -–—·.|/")
    if number.isdecimal() and len(number) <= 4:
        row = (0.0, box[1] - _MARGIN_AROUND[1], width, box[3] + _MARGIN_AROUND[1])
        return any(str(int(number) + offset) in re.findall(r"\d+", text_of(offset, row)) for offset in (-1, 1))
    return not large and is_repeated(text, box, text_of)


def is_repeated(text: str, box: BBox, text_of: NeighbourText) -> bool:
    """Whether a neighbouring page has the same letters in a box."""
    x0, y0, x1, y1 = box
    dx, dy = _MARGIN_AROUND
    letters, around = _only_letters(text), (x0 - dx, y0 - dy, x1 + dx, y1 + dy)
    return len(letters) >= _MIN_LETTERS and any(
        letters == _only_letters(text_of(offset, around)) for offset in _NEIGHBOURS
    )


def _only_letters(text: str) -> str:
    return _NOT_LETTERS.sub("", unicodedata.normalize("NFKD", text)).casefold()


def neighbour_text_reader(key: Key, index: int) -> NeighbourText:
    """A reader of the text layers of the pages around one; rotated and damaged pages give no text."""

    turn = key.turn(index)  # a turned page's neighbours are mostly turned as it is

    def text_of(offset: int, box: BBox) -> str:
        if not 0 <= index + offset < open_document(key).page_count:
            return ""
        return text_in_box(key, index + offset, box, turn)

    return text_of
