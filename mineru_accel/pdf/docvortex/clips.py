"""Clipping paths of a page's texts, by docvortex's quick look at its objects."""

from __future__ import annotations

import pypdfium2 as pdfium
from docvortex.document.pdf._object_bridge import read_text_visibility

from ...document import BBox

_MAX_DEPTH = 8
"""Forms in forms; deeper ones are not looked into."""


def text_clips(page: pdfium.PdfPage) -> dict[int, BBox]:
    """What clipping leaves of the page for each clipped text object, by its address; points, origin top left.

    Empty where docvortex can't tell.
    """
    try:
        records = read_text_visibility(page, tuple(page.get_bbox()), page.get_rotation(), _MAX_DEPTH)
    except (RuntimeError, ValueError, TypeError):  # a page or library that it does not take
        return {}
    return {address: clip for address, _, clip in records if clip is not None}
