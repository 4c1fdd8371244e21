"""Running heads, feet, page numbers and side notes told apart."""

from __future__ import annotations

from ...document import BBox

_ROMAN = frozenset("ivxlc")
_FOOT = 0.93
"""Share of the page's height below which a foot ends."""
_SHORT = 60
"""Characters below which text in the lower half is a foot rather than a note."""
_SIDE = 0.12
"""Share of the page's width on each side where side notes stand."""


def furniture_type(bbox: BBox, text: str, is_note: bool = False) -> str:
    """MinerU's type of an ``abandon`` region, by where it stands and what it says.

    Args:
        bbox: as fractions of the page.
        is_note: whether it is known for a footnote.
    """
    if is_note:
        return "page_footnote"
    digits = text.strip(" -–—·.|/").replace(" ", "")
    if (digits.isdigit() and len(digits) <= 4) or (digits and set(digits.lower()) <= _ROMAN):
        return "page_number"
    if bbox[1] > 0.5:
        return "footer" if bbox[3] > _FOOT or len(text) < _SHORT else "page_footnote"
    if bbox[2] < _SIDE or bbox[0] > 1 - _SIDE:
        return "aside_text"
    return "header"
