"""Finds watermarks: text over or under the text of a page that is slanted, pale, large or repeated."""

from __future__ import annotations

import math
import statistics
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pypdfium2 as pdfium

from ..document import BBox
from .page_letters import PageLetters
from .page_objects import Colour, PageObject

_SLANT = 8.0
"""Degrees from the horizontal and the vertical; less is the tilt of a scan, or of a line set by hand."""
_PALE = 0.45
"""Contrast with the ground in red, green or blue, 1 for black on white; text in grey or in a full colour has more."""
_TALL = 2.0
"""Height of a text's box, relative to the page's median, from which it may be large or slanted."""
_LARGE = 2.0
"""Type size, relative to the page's median."""
_SAMPLES = 50
"""Texts whose type sizes give the median."""
_MIN_TILES = 3
"""Times that a word is repeated to make a pattern."""
_MIN_LETTERS = 3
"""Letters and digits of a watermark; signs and single letters are parts of drawings and formulas."""
_MIN_OVERLAP = 0.2
"""Share of a text's box that lies over or under a watermark: neighbouring lines touch each other."""
_MIN_ROWS = 3
"""Rows of text that an upright watermark lies over; a headline's box reaches into the rows next to it."""
_SPAN = 0.3
"""Length of a watermark that stands beside the text, as a share of the page's shorter side; a label is shorter."""


@dataclass(slots=True)
class TextFacts:
    """A text object with what is known of its look."""

    item: PageObject
    bounds: BBox
    colour: Colour | None
    """None where it is unknown, or the text is not filled."""
    ground: tuple[int, int, int]
    """Colour below it; negative where that is unknown."""


def find_watermarks(page: pdfium.PdfPage, texts: Sequence[TextFacts]) -> list[int]:
    """Places, in a sequence of all text objects that a page shows, of those that belong to watermarks.

    Marked content that calls itself a watermark is one. Else it is two of slanted, pale, large and repeated, and lies
    over or under other text, over several rows if it is upright; what is slanted, pale, large and long may also stand
    beside it, and so may what is slanted, pale and repeated in rows and columns. So slanted labels of a chart,
    large titles in grey and pale small print stay.
    """
    if len(texts) < 2:
        return []
    bounds = np.array([text.bounds for text in texts])
    heights = bounds[:, 3] - bounds[:, 1]
    pale, tall = _pale(texts), heights > _TALL * np.median(heights)
    candidates = np.flatnonzero(pale | tall).tolist()
    if not candidates:
        return []
    sizes = [text.item.font_size() for text in texts[:: max(1, len(texts) // _SAMPLES)]]
    large_from = _LARGE * statistics.median(sizes)
    found: list[int] = []
    groups: defaultdict[tuple[Any, ...], list[int]] = defaultdict(list)
    for place in candidates:
        text = texts[place]
        size = text.item.font_size()
        look = _is_slanted(text.item), bool(pale[place]), size > large_from
        if not any(look):
            continue
        if any(name == "Artifact" and subtype == "Watermark" for name, subtype in text.item.marks()):
            found.append(place)
        else:
            groups[(*look, text.colour, round(size))].append(place)
    every = [place for look, places in groups.items() if look[0] or look[1] for place in places]
    word_of = dict(zip(every, _words(page, [texts[place].item for place in every]), strict=True))
    for (slanted, is_pale, large, *_), places in groups.items():
        words = [word_of.get(place, "") for place in places]
        if len("".join(words)) < _MIN_LETTERS:
            continue
        tiled = any(n >= _MIN_TILES and len(word) >= _MIN_LETTERS for word, n in Counter(words).items())
        if slanted + is_pale + large + tiled < 2:
            continue
        own = bounds[places]
        alone = slanted and is_pale and ((large and _spans_page(page, own)) or (tiled and _is_lattice(own)))
        if alone or _lies_over_text(bounds, places, 1 if slanted or tiled else _MIN_ROWS):
            found.extend(places)
    return found


def _is_slanted(item: PageObject) -> bool:
    a, b, *_ = item.matrix()
    if b == 0 or a == 0:
        return False
    tilt = math.degrees(math.atan2(b, a)) % 90
    return min(tilt, 90 - tilt) > _SLANT


def _pale(texts: Sequence[TextFacts]) -> np.ndarray:
    """(N,) whether texts stand out little from their ground; on a picture only transparent text does."""
    colours = np.array([text.colour or (0, 0, 0, 255) for text in texts])
    grounds = np.array([text.ground for text in texts])
    contrast = np.abs(colours[:, :3] - grounds).max(axis=1) / 255
    contrast[grounds[:, 0] < 0] = 1.0
    return contrast * colours[:, 3] / 255 < _PALE


def _words(page: pdfium.PdfPage, items: list[PageObject]) -> list[str]:
    """The letters and digits of each text."""
    if not items:
        return []
    textpage = page.get_textpage()
    try:
        letters = PageLetters(textpage)
        return ["".join(filter(str.isalnum, letters.text(item))) for item in items]
    finally:
        textpage.close()


def _spans_page(page: pdfium.PdfPage, bounds: np.ndarray) -> bool:
    """Whether some text is long, measured by the page."""
    sides = (bounds[:, 2:] - bounds[:, :2]).max()
    return bool(sides >= _SPAN * min(page.get_size()))


def _lies_over_text(bounds: np.ndarray, places: list[int], min_rows: int) -> bool:
    """Whether texts lie over or under others, which stand in at least so many rows.

    Args:
        bounds: (N, 4) of all texts.
    """
    others = np.delete(bounds, places, axis=0)
    areas = (others[:, 2] - others[:, 0]) * (others[:, 3] - others[:, 1])
    covered = np.zeros(len(others), bool)
    for x0, y0, x1, y1 in bounds[places]:
        width = np.minimum(others[:, 2], x1) - np.maximum(others[:, 0], x0)
        height = np.minimum(others[:, 3], y1) - np.maximum(others[:, 1], y0)
        covered |= width.clip(0) * height.clip(0) > _MIN_OVERLAP * areas.clip(1e-6)
    return _count_rows(others[covered, 1], others[covered, 3]) >= min_rows


def _is_lattice(bounds: np.ndarray) -> bool:
    """Whether boxes (N, 4) stand in several rows and several columns."""
    x0, y0, x1, y1 = bounds.T
    return min(_count_rows(x0, x1), _count_rows(y0, y1)) >= 2


def _count_rows(starts: np.ndarray, ends: np.ndarray) -> int:
    """Number of rows that boxes stand in, given by their sides, each with its middle outside the row before it."""
    rows, last = 0, -math.inf
    for start, end in sorted(zip(starts.tolist(), ends.tolist(), strict=True)):
        if (start + end) / 2 > last:
            rows, last = rows + 1, end
    return rows
