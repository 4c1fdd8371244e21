"""Lines of a page into whose gaps other text was written: ``Member  yes  no``, and ``[x]`` and ``[ ]`` in between."""

from __future__ import annotations

from collections.abc import Sequence

from .characters import Char


def cut_at_others(lines: Sequence[list[Char]]) -> list[list[Char]]:
    """Lines cut wherever a word of another line stands between two of their words, so that rows can be put in order.

    Args:
        lines: characters of a page's lines with boxes in points, origin top left. Rotated lines are left as they are.
    """
    upright = [number for number, line in enumerate(lines) if not any(c.get("writing_angle") for c in line)]
    words = [(number, word) for number in upright for word in _words(lines[number])]
    cut: list[list[Char]] = []
    turned = set(range(len(lines))) - set(upright)
    for number, line in enumerate(lines):
        if number in turned:
            cut.append(line)
            continue
        pieces: list[list[Char]] = []
        for word in _words(line):
            if pieces and not any(other != number and _is_between(pieces[-1], w, word) for other, w in words):
                pieces[-1] += word
            else:
                pieces.append(list(word))
        cut += pieces or [line]
    return cut


def _words(line: list[Char]) -> list[list[Char]]:
    """Words of a line, each with the white space after it."""
    words: list[list[Char]] = []
    inside = False
    for char in line:
        is_space = char["char"].isspace()
        if not is_space and not inside:
            words.append([])
        if words:
            words[-1].append(char)
        inside = not is_space
    return words


def _is_between(left: list[Char], word: list[Char], right: list[Char]) -> bool:
    """Whether a word stands in the gap between two pieces of a line."""
    before = next(c["bbox"] for c in reversed(left) if not c["char"].isspace())
    after = right[0]["bbox"]
    ink = [c["bbox"] for c in word if not c["char"].isspace()]
    middle = (ink[0][0] + ink[-1][2]) / 2
    if not before[2] < middle < after[0]:
        return False
    top, bottom = ink[0][1], ink[0][3]
    overlap = min(bottom, before[3]) - max(top, before[1])
    return bool(overlap >= 0.5 * min(bottom - top, before[3] - before[1]))
