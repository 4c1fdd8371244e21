"""Leader dots, which lead the eye from a title to its page number, or from a name to its price."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from ...document import BBox
from ...pdf.docvortex.characters import Char
from ...pdf.docvortex.pages import TextLine
from ..geometry import union

_LEADER = re.compile(r"(?:[.·․⋅•‧∙]\s*){5,}|(?:[.…]\s*)*(?:…\s*){2,}(?:[.…]\s*)*")
"""Five dots: an ellipsis has three, or four at the end of a sentence."""
_SIGNS = ("..", ". .", "·", "․", "⋅", "•", "‧", "∙", "…")
"""One of these is in every leader."""
_MIN_ROW = 0.5
"""Share of the lower of two heights that lines of a row have in common."""


def find_leaders(lines: Sequence[TextLine]) -> Iterator[tuple[int, int, int]]:
    """Runs of leader dots as (number of the line, first character, end): those with text before and after in their row.

    Dots at the end of a row are kept: a form's field to be filled in.
    """
    for number, line in enumerate(lines):
        text = "".join([char["char"] for char in line.chars])
        if not any(sign in text for sign in _SIGNS):
            continue
        if len(text) != len(line.chars):  # a character of several letters is none of the dots
            text = "".join([char["char"][:1] or " " for char in line.chars])
        for match in _LEADER.finditer(text):
            start, end = match.start(), match.start() + len(match.group().rstrip())
            box = union([char["bbox"] for char in line.chars[start:end] if not char["char"].isspace()])
            before = text[:start].strip() or _has_neighbour(lines, number, box, left=True)
            after = text[end:].strip() or _has_neighbour(lines, number, box, left=False)
            if before and after:
                yield number, start, match.end() if text[start - 1 : start].isspace() else end


def _has_neighbour(lines: Sequence[TextLine], number: int, box: BBox, *, left: bool) -> bool:
    """Whether another line has a letter or digit beside a box."""
    for place, line in enumerate(lines):
        if place == number:
            continue
        for char in _ends(line, left):
            x0, y0, x1, y1 = char["bbox"]
            shared = min(y1, box[3]) - max(y0, box[1])
            beside = x1 <= box[0] + 1 if left else x0 >= box[2] - 1
            if beside and shared > _MIN_ROW * min(y1 - y0, box[3] - box[1]):
                return True
    return False


def _ends(line: TextLine, last: bool) -> list[Char]:
    """The last or first character of a line that is a letter or digit."""
    chars = reversed(line.chars) if last else iter(line.chars)
    return [char for char in chars if char["char"].isalnum()][:1]
