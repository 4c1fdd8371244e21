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
    """As wide as the advance, as high as the font."""
    tight_bbox: BBox
    """Around the ink."""
    origin: tuple[float, float]
    """Start of the pen, on the baseline."""
    writing_angle: float
    """Clockwise rotation in radians, as displayed."""
    is_generated: bool
    """Whether pdfium inserted it as a guess: a space that the file does not contain."""
    is_leader: bool
    """Present where it is one of a row of dots that only leads the eye on, or a space between them."""
    font: dict[str, Any]
    """``name``, ``size`` in points, and more."""


def is_guessed_cjk_space(before: Char, space: Char, after: Char) -> bool:
    """Whether a space between two CJK characters was only inserted by pdfium."""
    return bool(is_generated_cjk_space(before, space, after, origins=None))


def is_word_gap(left: Char, right: Char) -> bool:
    """Whether a space belongs between two characters whose advances touch, because their inks are far apart."""
    return bool(needs_tight_space(left, right, tight_bboxes=None, origins=None))


def merge_lines(texts: tuple[str, ...]) -> str:
    """Text of a paragraph's lines: hyphenated words are joined, CJK text is joined without spaces."""
    return merge_text_line_contents(texts)
