"""Types of furniture: running heads, feet, page numbers, side notes, footnotes."""

from __future__ import annotations

from ...document import BBox

_ROMAN_DIGITS = frozenset("ivxlc")
_FOOTER_BOTTOM = 0.93
"""Share of the page's height; furniture that reaches below it is a running foot."""
_MAX_FOOTER_LENGTH = 60
"""Characters; shorter furniture in the lower half of a page is a running foot, longer is a footnote."""
_SIDE_MARGIN = 0.12
"""Width of the side margins, where side notes stand, as a share of the page's width."""
_MAX_PAGE_DIGITS = 4
"""Longer numbers are dates or identifiers."""


def furniture_type(bbox: BBox, text: str, is_footnote: bool = False) -> str:
    """MinerU's type of an ``abandon`` region, by its place and text.

    Args:
        bbox: as fractions of the page.
        is_footnote: whether it was found to be a footnote.
    """
    if is_footnote:
        return "page_footnote"
    if is_page_number(text):
        return "page_number"
    if bbox[1] > 0.5:
        return "footer" if bbox[3] > _FOOTER_BOTTOM or len(text) < _MAX_FOOTER_LENGTH else "page_footnote"
    if bbox[2] < _SIDE_MARGIN or bbox[0] > 1 - _SIDE_MARGIN:
        return "aside_text"
    return "header"


def is_page_number(text: str) -> bool:
    """Whether a text is but an Arabic or Roman number."""
    digits = text.strip(" -–—·.|/").replace(" ", "")
    is_roman = bool(digits) and set(digits.lower()) <= _ROMAN_DIGITS
    return is_roman or (digits.isdigit() and len(digits) <= _MAX_PAGE_DIGITS)
