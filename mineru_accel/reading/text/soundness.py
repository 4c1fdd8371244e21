"""Whether a page's text layer is sound: in each region, and as a whole by comparison with the pixels."""

from __future__ import annotations

import difflib
import unicodedata
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from ...document import BBox, Source
from ...layout.classes import Label
from ...pdf.text_quality import MAX_ABNORMAL, abnormal_share
from ..geometry import centre, holds, union
from ..regions.areas import Area
from ..source_policy import KIND_OF_LABEL, LayerQuality, SourcePolicy
from .lines import Char, Line


@dataclass(frozen=True, slots=True)
class SourceChoice:
    """The source of a region's content."""

    source: Source
    quality: LayerQuality
    """Of the text layer in the region."""
    reason: str = ""
    """Why the source is not the one for a sound text layer; empty if it is."""


_MIN_LINE_COVERAGE = 0.35
"""Share of a region's height that its lines cover; with less, part of its text is missing from the text layer."""


def choose_source(
    policy: SourcePolicy,
    area: Area,
    why_unsound: str | None,
    origin: Source = Source.TEXT_LAYER,
    areas: Sequence[Area] = (),
) -> SourceChoice:
    """Decide on the source of one region.

    Args:
        why_unsound: the reason, if the page's text layer is unsound as a whole.
        origin: of the page's text layer; one that OCR made is always sound.
        areas: all areas of the page.
    """
    kind = KIND_OF_LABEL[Label(area.region.label)]
    if why_unsound:
        quality, reason = LayerQuality.NONE, why_unsound
    elif origin is Source.OCR:
        quality, reason = LayerQuality.SOUND if area.lines else LayerQuality.NONE, ""
    else:
        quality, reason = assess_text_layer(area, areas)
    source = policy.source(kind, quality)
    if source is policy.source(kind, LayerQuality.SOUND):
        reason = ""
    return SourceChoice(source, quality, reason)


def is_garbage(area: Area) -> bool:
    """Whether the text layer of an area is no text: characters that fonts map to nothing or to symbols."""
    return abnormal_share(area.text) > MAX_ABNORMAL


def ocr_says_more(ocr_text: str, area: Area) -> bool:
    """Whether OCR's text of a region is to replace its text layer, which is garbage or has fewer letters."""
    if is_garbage(area):
        return bool(ocr_text)
    return len(_normalized(ocr_text)) > len(_normalized(area.text)) or (bool(ocr_text) and not area.text)


def assess_text_layer(area: Area, areas: Sequence[Area] = ()) -> tuple[LayerQuality, str]:
    """The quality of the text layer in a region, and the reason if it is not sound.

    Args:
        areas: all areas of the page: lines that belong to an overlapping area also cover this one.
    """
    if not area.lines:
        return LayerQuality.NONE, "no text layer here"
    if (share := abnormal_share(area.text)) > MAX_ABNORMAL:
        return LayerQuality.DOUBTFUL, f"{share:.0%} of its characters are no text"
    height = area.box[3] - area.box[1]
    others = [line for a in areas if a is not area for line in a.lines if holds(area.box, *centre(line.bbox))]
    heights = [line.bbox[3] - line.bbox[1] for line in others + area.lines]
    prose = area.region.label != Label.TABLE and area.rotation == 0
    if prose and height > 3 * max(heights) and sum(heights) < _MIN_LINE_COVERAGE * height:
        return LayerQuality.DOUBTFUL, "the text layer has less text than the region"
    return LayerQuality.SOUND, ""


_ENOUGH_LETTERS = 60
"""Letters; lines with more are no better as samples."""
_SAMPLE_LETTERS = 18
"""Letters of a line that OCR reads: its time grows with their width."""
_MIN_LETTERS = 12
"""Letters; shorter lines prove nothing."""
_MIN_SIMILARITY = 0.6
"""Similarity from which text layer and pixels agree. 352 samples of sound pages were all above 0.8; unrelated English
samples reach 0.6 once in 1000 times (whole lines 0.5), text with shifted letters at most 0.42."""


def find_contradiction(areas: list[Area], read: Callable[[BBox], str]) -> str | None:
    """Compare the text layer with the pixels: a sample of one line, and if that differs, one of a second line.

    Args:
        read: OCR of a box (points) around a line or a part of one.

    Returns:
        The reason why the page's text layer is unsound, or None.
    """
    lines = sorted((line for a in areas if a.rotation == 0 for line in a.lines), key=_readable_letters, reverse=True)
    samples = [comparison_sample(line) for line in lines[:2] if _readable_letters(line) >= _MIN_LETTERS]
    if not samples or any(similarity(text, read(box)) >= _MIN_SIMILARITY for box, text in samples):
        return None
    return "the text layer says other things than the page"


def comparison_sample(line: Line) -> tuple[BBox, str]:
    """The words of a line that are compared: their box in points, and their text in the text layer.

    They are the first words with the largest share of letters in the line's most frequent font: words in another font,
    which may have another encoding, prove nothing about the line.
    """
    words = _words(line.chars)
    if not words:
        return line.bbox, line.text
    fonts = Counter(_font_name(c) for word in words for c in word if c["char"].isalpha())
    usual = fonts.most_common(1)[0][0] if fonts else None
    best, best_share = words, -1.0
    for start in range(len(words)):
        stop, letters = start, 0
        while stop < len(words) and letters < _SAMPLE_LETTERS:
            letters += sum(c["char"].isalpha() for c in words[stop])
            stop += 1
        if letters < _SAMPLE_LETTERS and start:
            break
        in_usual = sum(c["char"].isalpha() and _font_name(c) == usual for word in words[start:stop] for c in word)
        if in_usual > best_share * letters:
            best, best_share = words[start:stop], in_usual / max(letters, 1)
    chars = [c for word in best for c in word]
    return union([c["bbox"] for c in chars]), "".join(c["char"] for c in chars)


def _words(chars: list[Char]) -> list[list[Char]]:
    """Characters split at white space, and very long words (lines of Chinese) into pieces."""
    words: list[list[Char]] = [[]]
    for char in chars:
        if char["char"].isspace() or len(words[-1]) == _SAMPLE_LETTERS // 2:
            words.append([])
        if not char["char"].isspace():
            words[-1].append(char)
    return [word for word in words if word]


def _font_name(char: Char) -> Any:
    return (char.get("font") or {}).get("name")


def similarity(one: str, other: str) -> float:
    """Similarity of two readings of a line, 0..1; white space, case and forms of letters don't count."""
    a, b = (_normalized(text)[: 2 * _ENOUGH_LETTERS] for text in (one, other))
    return difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()


def _normalized(text: str) -> str:
    """Letters and digits alone, without case, accents and ligatures."""
    return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if c.isalnum())


def _readable_letters(line: Line) -> float:
    """Number of letters of a line that the OCR model can read; 0 for a line that is mostly something else."""
    letters = [c for c in line.text if c.isalpha()]
    known = sum(_is_readable(c) for c in letters)
    if known < 0.9 * len(letters) or known < 0.6 * len(line.text.replace(" ", "")):
        return 0.0
    return min(known, _ENOUGH_LETTERS)


@lru_cache(maxsize=4096)
def _is_readable(char: str) -> bool:
    name = unicodedata.name(char, "")
    return name.startswith(("LATIN", "CJK UNIFIED", "HIRAGANA", "KATAKANA"))
