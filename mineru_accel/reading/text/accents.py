"""Composes accents that a PDF draws as separate characters: TeX draws ``\\'e`` as an acute over an e."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import Any

from ...pdf.docvortex.characters import Char
from ..geometry import horizontal_overlap

_COMBINING = {
    "`": "\u0300",
    "´": "\u0301",
    "ˆ": "\u0302",
    "˜": "\u0303",
    "¯": "\u0304",
    "˘": "\u0306",
    "˙": "\u0307",
    "¨": "\u0308",
    "˚": "\u030a",
    "˝": "\u030b",
    "ˇ": "\u030c",
    "¸": "\u0327",
    "˛": "\u0328",
}
_DOTLESS = str.maketrans("ıȷ", "ij")
_ACCENT = "[" + re.escape("".join(_COMBINING)) + "]"
_LETTER = r"[^\W\d_]"
_PAIR = re.compile(rf"{_ACCENT}{_LETTER}|{_LETTER}{_ACCENT}")
_LIKELY_PAIR = re.compile(rf"A˚|{_ACCENT}{_LETTER}|{_LETTER}{_ACCENT}(?!{_LETTER})")
"""For text without positions: TeX sets the accent first, except for Å."""
_MIN_OVERLAP = 0.6
"""Minimum overlap of accent and letter, as a share of the smaller box's side: neighbours overlap by less."""


def composed_letter(pair: str) -> str | None:
    """The letter that an accent and a letter (in either order) make; None if Unicode has none."""
    accent, letter = (pair[0], pair[1]) if pair[0] in _COMBINING else (pair[1], pair[0])
    one = unicodedata.normalize("NFC", letter.translate(_DOTLESS) + _COMBINING[accent])
    return one if len(one) == 1 else None


def compose_accents(chars: list[Char]) -> list[Char]:
    """Characters of a line with each accent composed with the letter that it is drawn over or under."""
    if _COMBINING.keys().isdisjoint([c["char"] for c in chars]):
        return chars
    out: list[Char] = []
    for char in chars:
        before = out[-1] if out else None
        if before and _PAIR.fullmatch(before["char"] + char["char"]) and _are_drawn_over(before["bbox"], char["bbox"]):
            letter = composed_letter(before["char"] + char["char"])
            if letter:
                out[-1] = {**(before if char["char"] in _COMBINING else char), "char": letter}
                continue
        out.append(char)
    return _attach_stray_accents(out)


def _attach_stray_accents(chars: list[Char]) -> list[Char]:
    """Compose accents that come at another place of the line than the letters that they are drawn over."""
    out = list(chars)
    for accent in [c for c in chars if c["char"] in _COMBINING]:
        for place, char in enumerate(out):
            letter = composed_letter(accent["char"] + char["char"]) if char["char"].isalpha() else None
            if letter and _are_drawn_over(char["bbox"], accent["bbox"]):
                out[place] = {**char, "char": letter}
                at = next(i for i, c in enumerate(out) if c is accent)
                spaces = [i for i in (at - 1, at + 1) if 0 <= i < len(out) and out[i]["char"] == " "]
                guessed = {i for i in spaces if out[i].get("is_generated")}  # pdfium adds spaces where the pen jumps
                out = [c for i, c in enumerate(out) if i != at and i not in guessed]
                break
    return out


def _are_drawn_over(a: Any, b: Any) -> bool:
    """Whether two characters overlap in both directions; neighbours overlap in one only, rotated or not."""
    wide = horizontal_overlap(a, b) > _MIN_OVERLAP * min(a[2] - a[0], b[2] - b[0])
    high = min(a[3], b[3]) - max(a[1], b[1]) > _MIN_OVERLAP * min(a[3] - a[1], b[3] - b[1])
    return wide and high


def compose_evidence_line(line: Any, field: str) -> Any:
    """A line of docvortex's style evidence with its accents composed.

    Args:
        line: has ``text`` (without spaces) and, in ``field``, ranges of that text.
    """
    if _COMBINING.keys().isdisjoint(line.text):
        return line
    new_index, text, end = [], "", 0  # new_index: for each old index of the text
    while end < len(line.text):
        pair = _LIKELY_PAIR.match(line.text, end)
        letter = composed_letter(pair[0]) if pair else None
        width = 2 if letter else 1
        new_index += [len(text)] * width
        text += letter or line.text[end]
        end += width
    if len(text) == len(line.text):
        return line
    new_index.append(len(text))
    ranges = (replace(r, start=new_index[r.start], end=new_index[r.end]) for r in getattr(line, field))
    return replace(line, text=text, **{field: tuple(r for r in ranges if r.start < r.end)})
