"""Content among what detectors label as furniture: notes beside and below the text, letterheads, titles.

Only running heads, page numbers and page feet are furniture: MinerU's Markdown leaves out all its types but footnotes.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from ...document import BBox
from ...layout.classes import Label
from ..geometry import horizontal_overlap
from .areas import Area
from .footnotes import MAX_NOTE_SIZE, median_type_size
from .furniture import furniture_type, is_page_number
from .running_heads import TITLE_SIZE, NeighbourText, is_repeated

_HEADS = 0.2
"""Share of the page's height at its top and bottom where running heads and feet stand, if no text is beyond them."""
_MIN_LETTERS = 3
"""Letters; what has fewer is a number, a rule or an ornament."""
_MIN_HEAD_LINES = 3
"""Lines at the top of a page; running heads have one or two, letterheads more."""
_MIN_NOTE_LENGTH = 60
"""Characters of a note at the very foot of a page; page feet are shorter, or of one line."""


def restore_content(areas: list[Area], size: tuple[float, float], text_of: NeighbourText) -> None:
    """Relabel furniture that is content as text or footnotes, in place, unless a neighbouring page repeats it.

    Furniture beside and between text is content, numbers there if there are several. So is, above all text, what has
    many lines or large type, and below it what has other furniture below it, and long notes.

    Args:
        size: width and height of the page in points.
    """
    flow = [area for area in areas if area.region.label != Label.ABANDON and area.lines]
    furniture = [a for a in areas if a.region.label == Label.ABANDON and not a.is_footnote]
    numbers = [a for a in furniture if is_page_number(a.text)]
    inner = [a for a in numbers if _HEADS < a.region.bbox[1] < 1 - _HEADS]
    if len(inner) > 1:  # a page has one page number
        for area in numbers:
            if any(horizontal_overlap(area.box, other.box) > 0 for other in inner):
                area.region.label = Label.PLAIN_TEXT
    for area in [a for a in furniture if a.region.label == Label.ABANDON]:
        is_out = furniture_type(area.region.bbox, area.text) != "page_footnote"
        if is_out and _may_be_content(area, flow, areas) and not is_repeated(area.text, area.box, text_of):
            if _is_note(area, flow, size):
                area.is_footnote = True
            else:
                area.region.label = Label.PLAIN_TEXT


def _may_be_content(area: Area, flow: Sequence[Area], areas: Sequence[Area]) -> bool:
    if any(fragment.rotation for fragment in area.fragments) or sum(map(str.isalpha, area.text)) < _MIN_LETTERS:
        return False
    if is_page_number(area.text):
        return False
    _, top, _, bottom = area.region.bbox
    if bottom < _HEADS and not any(other.box[1] < area.box[1] for other in flow):
        return len(area.lines) >= _MIN_HEAD_LINES or _line_height([area]) > TITLE_SIZE * _line_height(flow)
    if top > 1 - _HEADS and not any(_is_below(other.box, area.box) for other in flow):
        below = (a for a in areas if a is not area and _is_below(a.box, area.box))
        is_last = not any(a.lines and not is_page_number(a.text) for a in below)
        return not is_last or (len(area.lines) > 1 and len(area.text) >= _MIN_NOTE_LENGTH)
    return True


def _line_height(areas: Sequence[Area]) -> float:
    """The median height of lines in points; infinite without lines."""
    heights = [line.bbox[3] - line.bbox[1] for area in areas for line in area.lines]
    return statistics.median(heights) if heights else float("inf")


def _is_below(one: BBox, other: BBox) -> bool:
    """Whether a box lies below another in the same column."""
    return one[1] >= (other[1] + other[3]) / 2 and one[3] > other[3] and horizontal_overlap(one, other) > 0


def _is_note(area: Area, flow: Sequence[Area], size: tuple[float, float]) -> bool:
    """Whether an area stands below the text of its column in smaller type."""
    if area.box[1] < size[1] / 2 or any(_is_below(other.box, area.box) for other in flow):
        return False
    if not any(_is_below(area.box, other.box) for other in flow):  # beside the text
        return False
    usual = median_type_size(a for a in flow if a.region.label == Label.PLAIN_TEXT)
    return median_type_size([area]) <= MAX_NOTE_SIZE * usual
