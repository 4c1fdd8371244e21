"""Pages that are a photograph: a detector of documents finds nothing on them, and OCR at most a stray letter."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from ..document import BBox, Region, Source
from ..layout.classes import Label
from .geometry import centre, clamped, holds, scaled
from .page_text import PageText
from .regions.areas import Area

_MIN_SIDE = 0.1
"""Share of the page's width and height; smaller images are ornaments."""
_MAX_STRAY = 2
"""Letters that OCR may see in the texture of a photograph; a word has more, and a page's number has digits."""


def add_lone_pictures(text: PageText, images: Sequence[BBox], is_blank: Callable[[BBox], bool]) -> None:
    """Add a scan's raster images as figures where nothing else was found on the page; stray letters are part of them.

    Args:
        images: of the page itself, in points.
        is_blank: tells whether a part of the page (fractions) shows nothing, as a scanned empty sheet.
    """
    if text.origin is not Source.OCR or any(area.region.score > 0 for area in text.areas):
        return
    width, height = text.size
    for box in images:
        letters = [c for a in text.areas if holds(box, *centre(a.box)) for c in a.text if not c.isspace()]
        bbox = clamped(scaled(box, 1 / width, 1 / height))
        large = bbox[2] - bbox[0] > _MIN_SIDE and bbox[3] - bbox[1] > _MIN_SIDE
        if not large or len(letters) > _MAX_STRAY or any(c.isdigit() for c in letters) or is_blank(bbox):
            continue
        text.areas = [a for a in text.areas if not holds(box, *centre(a.box))]
        text.areas.append(Area(Region(Label.FIGURE, bbox, 0.0), box))
