"""Tells text from labels: whether the text in a region found as a figure is a table, running text, or part of it."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from html import unescape
from itertools import pairwise

from ...document import BBox
from ..geometry import centre, holds, share_inside
from ..text.lines import Fragment, Line

_MIN_SENTENCE = 4
"""Words of a line of running text; labels in drawings have fewer."""
_MIN_SENTENCES = 3
"""Such lines; a chart's title and the names of its axes are fewer."""
_MIN_PAIRS = 3
"""``label: value`` lines of a form."""
_MIN_SHARE = 0.5
"""Share of the words that must be such text, or of the text that must lie over a picture: the greater part decides."""
_MIN_FILLED = 0.4
"""Share of a ruled table's cells with text; gridlines of a chart enclose empty cells."""
_MIN_HELD = 0.9
"""Share of a region's letters that are in the cells of its ruled table; ticks of a chart stand outside the rules."""
_MIN_BEHIND = 0.1
"""Share of a region that lies on an image; less is a neighbour that touches it."""
_MIN_TICKS = 4
"""Numbers at equal steps and distances that make an axis: three may be chance."""
_MIN_BARS = 3
"""Bars of different length; two may be cells of a table with a span."""
_THIN = 3.0
"""Points; a path that is no thicker is a ruled line."""
_IDEOGRAPHS = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]{2}")
_WORD = re.compile(r"[^\W\d_]{2,}")
_NUMBER = re.compile(r"[-\u2212+]?\d[\d,]*(?:\.\d+)?%?")
_PAIR = re.compile(r"[^\W\d_]{2,}[^:]{0,40}[:\uff1a]\s*\S")


class TextKind(StrEnum):
    """What the text in a figure's box is."""

    TABLE = "table"
    TEXT = "text"
    """Running text or the fields of a form."""
    LABELS = "labels"
    """Part of a drawing, a chart or a photograph."""


@dataclass(frozen=True, slots=True)
class Drawing:
    """What is drawn in a region besides its text."""

    over_picture: float
    """Share of the text that lies over raster images in the region."""
    pictures: int
    """Raster images in the region."""
    shapes: int
    """Paths that are neither ruled lines nor rectangles: curves, arrows, markers."""
    boxes: int
    """Rectangles that are no ruled lines."""
    bars: bool = False
    """Whether some rectangles begin on one line and end at different places, as the bars of a chart do."""
    on_image: bool = False
    """Whether the region lies on a larger image, as on a scanned page, whose pixels may be a picture."""

    @property
    def is_plain(self) -> bool:
        """Whether there is nothing but ruled lines and the rectangles of cells."""
        return self.pictures == 0 and self.shapes == 0 and not self.bars

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing but text and, at most, ruled lines."""
        return self.is_plain and self.boxes == 0 and not self.on_image


def look_at_drawing(
    box: BBox, fragments: Sequence[Fragment], images: Sequence[BBox], paths: Sequence[tuple[BBox, bool]]
) -> Drawing:
    """What is drawn in a region.

    Args:
        box: of the region; all boxes in points.
        images: the page's raster images. One that is larger than the region is its background, as in a scan.
        paths: the page's paths, and whether each is a rectangle.
    """
    pictures = [image for image in images if share_inside(image, box) > 0.8]
    over = sum(any(holds(p, *centre(f.bbox)) for p in pictures) for f in fragments) / max(len(fragments), 1)
    thick = [
        (path, is_rectangle)
        for path, is_rectangle in paths
        if min(path[2] - path[0], path[3] - path[1]) > _THIN and holds(box, *centre(path))
    ]
    boxes = [path for path, is_rectangle in thick if is_rectangle]
    on_image = any(share_inside(box, image) > _MIN_BEHIND for image in images)
    return Drawing(over, len(pictures), len(thick) - len(boxes), len(boxes), has_bars(boxes), on_image)


def has_bars(boxes: Sequence[BBox]) -> bool:
    """Whether rectangles begin on one line and end at different places: cells of one column end together, too."""
    for start, end in ((0, 2), (3, 1)):  # from the left, from below
        ends: dict[int, set[int]] = defaultdict(set)
        for box in boxes:
            ends[round(box[start] / _THIN)].add(round(box[end] / _THIN))
        if any(len(found) >= _MIN_BARS for found in ends.values()):
            return True
    return False


def text_in_figure(lines: Sequence[Line], drawing: Drawing, ruled: str | None, has_grid: bool) -> TextKind:
    """Decide what the text of a figure is.

    Args:
        lines: split at wide gaps.
        ruled: HTML of the table that the region's ruled lines make; None where they make none.
        has_grid: whether the places of the text look like a table.
    """
    if drawing.over_picture > _MIN_SHARE:
        return TextKind.TEXT if is_prose(lines) else TextKind.LABELS
    if drawing.is_plain and not has_axis(lines, both=False):
        if ruled is not None and _is_filled(ruled, lines):
            return TextKind.TABLE
        if has_grid and drawing.boxes == 0 and len(lines) > _MIN_SENTENCES:
            return TextKind.TABLE
        if _is_form(lines) or drawing.is_empty:
            return TextKind.TEXT
    return TextKind.TEXT if is_prose(lines) else TextKind.LABELS


def has_axis(lines: Sequence[Line], *, both: bool) -> bool:
    """Whether numbers stand at equal steps and distances, as on a chart's axis.

    Args:
        both: whether there must be an axis of each direction: a table's column may also count up.
    """
    rows: dict[int, list[tuple[float, float]]] = defaultdict(list)
    columns: dict[int, list[tuple[float, float]]] = defaultdict(list)
    for text, (x0, y0, x1, y1) in _numbers(lines):
        value = float(text.replace("\u2212", "-").replace(",", "").rstrip("%"))
        rows[round((y0 + y1) / 4)].append(((x0 + x1) / 2, value))
        columns[round(x1 / 4)].append(((y0 + y1) / 2, value))
    found = [any(_is_regular(one) for one in groups.values()) for groups in (rows, columns)]
    return all(found) if both else any(found)


def _numbers(lines: Sequence[Line]) -> list[tuple[str, BBox]]:
    """The numbers of some lines with their boxes: pdfium joins the ticks of an axis to a line."""
    out = []
    for line in lines:
        tokens = list(re.finditer(r"\S+", line.text))
        if not all(_NUMBER.fullmatch(token[0]) for token in tokens):
            continue
        x0, y0, x1, y1 = line.bbox
        step = (x1 - x0) / max(len(line.text), 1)
        for token in tokens:
            out.append((token[0], (x0 + token.start() * step, y0, x0 + token.end() * step, y1)))
    return out


def _is_regular(ticks: list[tuple[float, float]]) -> bool:
    """Whether numbers (place, value) have equal steps, and roughly equal distances."""
    if len(ticks) < _MIN_TICKS:
        return False
    ticks = sorted(ticks)
    steps = [b[1] - a[1] for a, b in pairwise(ticks)]
    gaps = [b[0] - a[0] for a, b in pairwise(ticks)]
    return steps[0] != 0 and max(steps) - min(steps) < 0.01 * abs(steps[0]) and max(gaps) < 2 * max(min(gaps), 1e-6)


def _words(text: str) -> int:
    """Number of words of letters; two ideographs count as one."""
    return len(_IDEOGRAPHS.findall(text)) + len(_WORD.findall(_IDEOGRAPHS.sub(" ", text)))


def is_prose(lines: Sequence[Line]) -> bool:
    """Whether most of the words stand in lines of running text."""
    long = [line for line in lines if _words(line.text) >= _MIN_SENTENCE]
    everything = sum(len(line.text.split()) for line in lines)
    return len(long) >= _MIN_SENTENCES and sum(len(x.text.split()) for x in long) > _MIN_SHARE * everything


def _is_form(lines: Sequence[Line]) -> bool:
    """Whether there are pairs of labels and values, or most lines have several words."""
    pairs = sum(bool(_PAIR.search(line.text)) or line.text.rstrip().endswith((":", "\uff1a")) for line in lines)
    several = sum(_words(line.text) >= _MIN_SENTENCE - 1 for line in lines)
    return pairs >= _MIN_PAIRS or (several >= _MIN_SENTENCES and several > _MIN_SHARE * len(lines))


def _is_filled(html: str, lines: Sequence[Line]) -> bool:
    """Whether a ruled table has rows and columns, most of its cells text, and these the text of the region."""
    cells = [_letters(unescape(re.sub(r"<[^>]*>", "", cell))) for cell in re.findall(r"<td[^>]*>(.*?)</td>", html)]
    rows = html.count("<tr>")
    if rows < 2 or len(cells) < 2 * rows or sum(map(bool, cells)) <= _MIN_FILLED * len(cells):
        return False
    return sum(map(len, cells)) >= _MIN_HELD * sum(len(_letters(line.text)) for line in lines)


def _letters(text: str) -> str:
    return "".join(c for c in text if c.isalnum())
