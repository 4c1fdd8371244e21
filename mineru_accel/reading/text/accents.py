"""Accents that a PDF draws as signs of their own: TeX's ``\\'e`` is an acute and an e on top of each other."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import replace
from typing import Any

from ...pdf.docvortex.characters import Char
from ..geometry import across

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
_SIGNS = "[" + re.escape("".join(_COMBINING)) + "]"
_LETTER = r"[^\W\d_]"
_PAIR = re.compile(rf"{_SIGNS}{_LETTER}|{_LETTER}{_SIGNS}")
_LIKELY_PAIR = re.compile(rf"A˚|{_SIGNS}{_LETTER}|{_LETTER}{_SIGNS}(?!{_LETTER})")
"""Where only the order is known: TeX sets the accent first, but for Å."""
_OVER = 0.6
"""Share of the narrower box by which accent and letter overlap."""


def composed(pair: str) -> str | None:
    """An accent and a letter, in either order, as one letter; None if there is no such letter."""
    accent, letter = (pair[0], pair[1]) if pair[0] in _COMBINING else (pair[1], pair[0])
    one = unicodedata.normalize("NFC", letter.translate(_DOTLESS) + _COMBINING[accent])
    return one if len(one) == 1 else None


def compose(chars: list[Char]) -> list[Char]:
    """Characters of a line, where an accent over (or under) a letter is one character with it."""
    if _COMBINING.keys().isdisjoint([c["char"] for c in chars]):
        return chars
    out: list[Char] = []
    for char in chars:
        before = out[-1] if out else None
        if before and _PAIR.fullmatch(before["char"] + char["char"]) and _over(before["bbox"], char["bbox"]):
            letter = composed(before["char"] + char["char"])
            if letter:
                out[-1] = {**(before if char["char"] in _COMBINING else char), "char": letter}
                continue
        out.append(char)
    return _with_strays(out)


def _with_strays(chars: list[Char]) -> list[Char]:
    """Characters of a line, where accents that stand elsewhere in it are with the letters they are drawn over."""
    out = list(chars)
    for accent in [c for c in chars if c["char"] in _COMBINING]:
        for place, char in enumerate(out):
            letter = composed(accent["char"] + char["char"]) if char["char"].isalpha() else None
            if letter and _over(char["bbox"], accent["bbox"]):
                out[place] = {**char, "char": letter}
                at = next(i for i, c in enumerate(out) if c is accent)
                spaces = [i for i in (at - 1, at + 1) if 0 <= i < len(out) and out[i]["char"] == " "]
                guessed = {i for i in spaces if out[i].get("is_generated")}  # by pdfium, for the jump to and fro
                out = [c for i, c in enumerate(out) if i != at and i not in guessed]
                break
    return out


def _over(a: Any, b: Any) -> bool:
    """Do two boxes stand on each other, rather than side by side, whichever way the text runs?"""
    wide = across(a, b) > _OVER * min(a[2] - a[0], b[2] - b[0])
    high = min(a[3], b[3]) - max(a[1], b[1]) > _OVER * min(a[3] - a[1], b[3] - b[1])
    return wide and high


def compose_line(line: Any, field: str) -> Any:
    """A line of docvortex's evidence (``text`` without spaces, ranges of it in ``field``) with the same letters."""
    if _COMBINING.keys().isdisjoint(line.text):
        return line
    places, text, end = [], "", 0
    while end < len(line.text):
        pair = _LIKELY_PAIR.match(line.text, end)
        letter = composed(pair[0]) if pair else None
        width = 2 if letter else 1
        places += [len(text)] * width
        text += letter or line.text[end]
        end += width
    if len(text) == len(line.text):
        return line
    places.append(len(text))
    ranges = (replace(r, start=places[r.start], end=places[r.end]) for r in getattr(line, field))
    return replace(line, text=text, **{field: tuple(r for r in ranges if r.start < r.end)})
