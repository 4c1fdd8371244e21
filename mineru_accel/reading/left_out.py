"""What of a text layer is not part of what the page says: hidden text, watermarks, line numbers, leader dots."""

from __future__ import annotations

from collections.abc import Iterable

from ..pdf.docvortex.pages import TextLine
from ..pdf.types import HiddenText
from .geometry import union
from .text.leaders import find_leaders
from .text.line_numbers import find_line_numbers
from .types import Reason, SeenWord
from .word_account import letters_of

LeftOut = tuple[SeenWord, Reason]


def hidden_words(texts: Iterable[HiddenText]) -> list[LeftOut]:
    """The words of text objects that the text layer was freed of; each with the box of its whole object."""
    return [
        (SeenWord(word, letters, text.bbox), Reason(text.why))
        for text in texts
        for word in text.text.split()
        if (letters := letters_of(word))
    ]


def leave_out_marks(lines: list[TextLine]) -> tuple[list[TextLine], list[LeftOut]]:
    """Lines without line numbers, and with leader dots marked as such; and both, with the reason.

    Leader dots only go when regions have their characters: until then they hold the two ends of a line together.
    """
    left_out: list[LeftOut] = []
    for number, start, end in find_leaders(lines):
        left_out.append(_left_out(lines[number], start, end, Reason.LEADER))
        for char in lines[number].chars[start:end]:
            char["is_leader"] = True
    numbers = find_line_numbers(lines)
    for number, start, end in numbers:
        chars = lines[number].chars
        left_out.append(_left_out(lines[number], start, end, Reason.LINE_NUMBER))
        while end < len(chars) and chars[end]["char"].isspace():
            end += 1
        chars[start:end] = []
    if numbers:
        lines = [line for line in lines if any(not char["char"].isspace() for char in line.chars)]
    return lines, left_out


def _left_out(line: TextLine, start: int, end: int, reason: Reason) -> LeftOut:
    chars = line.chars[start:end]
    text = "".join(char["char"] for char in chars)
    box = union([char["bbox"] for char in chars if not char["char"].isspace()])
    return SeenWord(text, letters_of(text), box), reason
