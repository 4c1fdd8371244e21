"""Corrections of single detected regions: nested ones, tables and their ruled lines, captions."""

from __future__ import annotations

import re

from ...document import BBox, Region
from ...layout.classes import Label
from ..geometry import box_area, centre, holds, share_inside

TEXT = frozenset(
    {Label.TITLE, Label.PLAIN_TEXT, Label.ABANDON, Label.FIGURE_CAPTION, Label.TABLE_CAPTION, Label.TABLE_FOOTNOTE}
)
"""Labels of running text."""
_VISUAL = frozenset({Label.FIGURE, Label.TABLE})
MIN_NESTED_SHARE = 0.8
"""Share of a region inside another; above it the region is nested."""

CAPTION = re.compile(
    r"^\s*(?i:figure|fig\.|table|tab\.|tabelle|tableau|abbildung|abb\.|chart|图|表|圖|図)"
    r"(\s*\d|\s+[IVX]+\b|\s+[A-Z]\d*\b)(?![\d.]*\s+[a-z]{2})"
)
"""Start of a caption: a word for figure or table and a number, but no sentence as in "Table 1 compares"."""
TABLE_CAPTION = re.compile(r"^\s*(tab|表)", re.IGNORECASE)
_MAX_CAPTION_LENGTH = 400
"""Characters; longer paragraphs only begin like a caption."""
_MAX_CAPTION_GAP = 0.05
"""Share of the page's height between a caption and its figure or table."""


def without_nested(regions: list[Region]) -> list[Region]:
    """Regions that are not nested: text in text or in a table, or anything in a figure or table of higher score."""

    def is_nested(inner: Region) -> bool:
        return any(
            other is not inner
            and box_area(other.bbox) >= box_area(inner.bbox)
            and share_inside(inner.bbox, other.bbox) > MIN_NESTED_SHARE
            and (
                (other.label == Label.TABLE and inner.label in TEXT)
                or (other.label in TEXT and inner.label in TEXT and other.score > 0.5 * inner.score)
                or (other.label in _VISUAL and other.score > inner.score)
            )
            for other in regions
        )

    return [r for r in regions if not is_nested(r)]


def snap_table(bbox: BBox, rules: list[BBox], others: list[BBox]) -> BBox:
    """A table's box, widened to the ends of its ruled lines. All boxes are in points.

    Args:
        bbox: of the table.
        rules: ruled lines of both directions.
        others: the other regions; the table never grows over the centre of one.
    """
    x0, y0, x1, y1 = bbox
    width, height = x1 - x0, y1 - y0
    grown = list(bbox)
    for a0, b0, a1, b1 in rules:
        if a1 - a0 > b1 - b0:  # horizontal
            if y0 - 2 <= b0 <= y1 + 2 and min(a1, x1) - max(a0, x0) > 0.5 * width:
                grown[0], grown[2] = min(grown[0], a0), max(grown[2], a1)
        elif x0 - 2 <= a0 <= x1 + 2 and min(b1, y1) - max(b0, y0) > 0.5 * height:
            grown[1], grown[3] = min(grown[1], b0), max(grown[3], b1)
    new = (grown[0], grown[1], grown[2], grown[3])
    if any(holds(new, *centre(other)) and not holds(bbox, *centre(other)) for other in others):
        return bbox
    return new


def caption_label(text: str, bbox: BBox, regions: list[Region]) -> Label | None:
    """The caption's label for text that starts as one and stands near a figure or table; None for other text.

    Args:
        bbox: of the text; as those of ``regions`` in fractions of the page.
        regions: all regions of the page.
    """
    if len(text) > _MAX_CAPTION_LENGTH or not CAPTION.match(text):
        return None
    x0, y0, x1, y1 = bbox
    for other in regions:
        a0, b0, a1, b1 = other.bbox
        near = min(abs(b0 - y1), abs(y0 - b1)) < _MAX_CAPTION_GAP or b0 < (y0 + y1) / 2 < b1
        if other.label in _VISUAL and near and min(x1, a1) > max(x0, a0):
            return Label.TABLE_CAPTION if TABLE_CAPTION.match(text) else Label.FIGURE_CAPTION
    return None
