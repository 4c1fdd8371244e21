"""Characters of a text layer, and docvortex's rules for the spaces between them and for joining lines."""

from __future__ import annotations

from typing import Any, TypedDict

from docvortex.analyzers.pdf import is_generated_cjk_space, needs_tight_space
from docvortex.content.text import merge_text_line_contents

from ...document import BBox


class Char(TypedDict, total=False):
    """One character; boxes in points, origin top left."""

    char: str
    bbox: BBox
    loose_bbox: BBox
    """As wide as its advance, as high as its font."""
    tight_bbox: BBox
    """Around its ink."""
    origin: tuple[float, float]
    """Where the pen starts: on the baseline."""
    writing_angle: float
    """Radians, clockwise, as displayed."""
    is_generated: bool
    """Whether it is pdfium's guess at a space."""
    font: dict[str, Any]
    """``name``, ``size`` in points, ..."""


def is_guessed_cjk_space(before: Char, space: Char, after: Char) -> bool:
    """Whether a space between two CJK characters is only pdfium's guess."""
    return bool(is_generated_cjk_space(before, space, after, origins=None))


def is_word_gap(left: Char, right: Char) -> bool:
    """Whether two characters whose advances touch are so far apart in ink that a space belongs between them."""
    return bool(needs_tight_space(left, right, tight_bboxes=None, origins=None))


def merge_lines(texts: tuple[str, ...]) -> str:
    """One paragraph of lines: words split by a hyphen are mended, CJK is joined without spaces."""
    return merge_text_line_contents(texts)
