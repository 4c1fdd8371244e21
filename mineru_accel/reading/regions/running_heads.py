"""Running heads that the detector took for headings or text: the pages before and after say the same at that place."""

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
"""Share of a page's height at its top and bottom where running heads stand."""
_LARGE = 1.35
"""Type so much larger than the page's text is a title: slides repeat theirs."""
_LEAST = 4
"""Letters that must agree."""
_NO_LETTER = re.compile(r"[\W\d_]+")
_FLOW = frozenset({Label.TITLE, Label.PLAIN_TEXT})

Peek = Callable[[int, BBox], str]
"""What stands so many pages further in a box (points)."""


def set_aside(areas: list[Area], size: tuple[float, float], peek: Peek) -> None:
    """Make running heads ``abandon``: lines of the page's first or last row that a page one or two away has as well.

    Also their page numbers, which count on from page to page.
    """
    width, height = size
    flow = [a for a in areas if a.region.label != Label.ABANDON]
    sizes = [line.bbox[3] - line.bbox[1] for a in flow if a.turn == 0 for line in a.lines]
    if not sizes:
        return
    usual = statistics.median(sizes)
    for area in flow:
        _, top, _, bottom = area.box
        if area.region.label not in _FLOW or len(area.lines) != 1 or area.turn or bottom - top > 3 * usual:
            continue
        others = [a.box for a in flow if a is not area]
        first = bottom < _MARGIN * height and all(box[3] > top for box in others)
        last = top > (1 - _MARGIN) * height and all(box[1] < bottom for box in others)
        line = area.lines[0]
        large = line.bbox[3] - line.bbox[1] > _LARGE * usual
        if (first or last) and _repeats(line.text, line.bbox, width, large, peek):
            area.region.label = Label.ABANDON


def _repeats(text: str, box: BBox, width: float, large: bool, peek: Peek) -> bool:
    x0, y0, x1, y1 = box
    number = text.strip(" -–—·.|/")
    if number.isdecimal() and len(number) <= 4:
        row = (0.0, y0 - 1, width, y1 + 1)
        return any(str(int(number) + away) in re.findall(r"\d+", peek(away, row)) for away in (-1, 1))
    letters = _letters(text)
    return (
        not large
        and len(letters) >= _LEAST
        and any(letters == _letters(peek(away, (x0 - 3, y0 - 1, x1 + 3, y1 + 1))) for away in (-1, 1, -2, 2))
    )


def _letters(text: str) -> str:
    return _NO_LETTER.sub("", unicodedata.normalize("NFKD", text)).casefold()


def peek_from(key: Key, index: int) -> Peek:
    """How to look at the text layers of the pages around one; those that are turned or damaged say nothing."""

    def peek(away: int, box: BBox) -> str:
        if not 0 <= index + away < open_document(key).page_count:
            return ""
        return text_in_box(key, index + away, box)

    return peek
