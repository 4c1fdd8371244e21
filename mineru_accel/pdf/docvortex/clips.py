"""Texts of which a clipping path leaves nothing, as docvortex's quick look at a page's objects finds them."""

from __future__ import annotations

import pypdfium2 as pdfium
from docvortex.document.pdf._object_bridge import read_text_visibility

_MAX_DEPTH = 8
"""Forms in forms; deeper ones are not looked into."""


def clipped_texts(page: pdfium.PdfPage) -> set[int]:
    """Addresses of the text objects whose box lies outside their clipping path; none where docvortex can't tell."""
    try:
        records, _, boxes = read_text_visibility(
            page, tuple(page.get_bbox()), page.get_rotation(), _MAX_DEPTH, with_roots=True
        )
    except (RuntimeError, ValueError, TypeError):  # a page or library that it does not take
        return set()
    clips = {address: clip for address, _, clip in records if clip is not None}
    if not clips:
        return set()
    return {address for _, address, box in boxes if address in clips and _apart(box, clips[address])}


def _apart(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[2] <= other[0] or other[2] <= one[0] or one[3] <= other[1] or other[3] <= one[1]
