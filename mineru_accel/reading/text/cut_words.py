"""Words that the edge of a detected region cuts: each stays whole, in the region that has most of it."""

from __future__ import annotations

from itertools import pairwise

from ...pdf.docvortex.characters import Char

_MAX_GAP = 0.12
"""Distance of two letters of a word, in heights of a letter; words are further apart."""

Run = tuple[list[Char], int | None]
"""Characters of a line that lie in one region, and its index."""


def mend_cut_words(runs: list[Run]) -> list[Run]:
    """Runs of a line from left to right, words at their ends whole. A run may be left empty and is dropped."""
    for (left, one), (right, other) in pairwise(runs):
        if one == other or not left or not right or not _belong_together(left[-1], right[0]):
            continue
        head = _word_length(left[::-1])
        tail = _word_length(right)
        if head >= tail:
            left += right[:tail]
            del right[:tail]
        else:
            right[:0] = left[-head:]
            del left[-head:]
    return [run for run in runs if run[0]]


def _word_length(chars: list[Char]) -> int:
    """Number of characters at the beginning of some, in either direction, that are one word."""
    if not chars or not _is_of_word(chars[0]):
        return 0
    for i in range(1, len(chars)):
        if not _belong_together(chars[i - 1], chars[i]):
            return i
    return len(chars)


def _belong_together(one: Char, other: Char) -> bool:
    if not (_is_of_word(one) and _is_of_word(other)) or _font(one) != _font(other):
        return False
    a, b = one["bbox"], other["bbox"]
    gap = max(a[0], b[0]) - min(a[2], b[2])
    drop = abs(a[3] - b[3])
    return max(gap, drop) < _MAX_GAP * max(a[3] - a[1], b[3] - b[1])


def _is_of_word(char: Char) -> bool:
    """Whether a character is a letter of a script with capitals, whose words have spaces between them, or a digit."""
    letter = char["char"]
    return letter.isdigit() or letter.lower() != letter.upper()


def _font(char: Char) -> object:
    """Name of a character's font; formulas have others than the text around them."""
    return char.get("font", {}).get("name")
