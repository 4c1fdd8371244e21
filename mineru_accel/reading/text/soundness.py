"""What a page's text layer is worth, region by region, and on the whole: does it say what the pixels say?"""

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
from ..source_policy import KINDS, Layer, SourcePolicy
from .lines import Char, Line


@dataclass(frozen=True, slots=True)
class Choice:
    """A region's source, and why where there is something to say."""

    source: Source
    layer: Layer
    reason: str = ""


_LITTLE = 0.35
"""Share of a region's height that its lines must cover."""


def choose(
    policy: SourcePolicy,
    area: Area,
    why_unsound: str | None,
    origin: Source = Source.TEXT_LAYER,
    areas: Sequence[Area] = (),
) -> Choice:
    """Decide on the source of one region.

    Args:
        why_unsound: why the page's text layer is not to be used at all, if so.
        origin: where the page's text layer comes from; one that OCR made is not judged again.
        areas: all of the page.
    """
    kind = KINDS[Label(area.region.label)]
    if why_unsound:
        layer, reason = Layer.NONE, why_unsound
    elif origin is Source.OCR:
        layer, reason = Layer.SOUND if area.lines else Layer.NONE, ""
    else:
        layer, reason = judge(area, areas)
    source = policy.source(kind, layer)
    if source is policy.source(kind, Layer.SOUND):
        reason = ""
    return Choice(source, layer, reason)


def says_more(read: str, area: Area) -> bool:
    """Whether what OCR read in a region is to replace its text layer: that is garbage, or has fewer letters."""
    if abnormal_share(area.text) > MAX_ABNORMAL:
        return bool(read)
    return len(_plain(read)) > len(_plain(area.text)) or (bool(read) and not area.text)


def judge(area: Area, areas: Sequence[Area] = ()) -> tuple[Layer, str]:
    """What the text layer is worth in a region of a page where it is sound on the whole.

    Args:
        areas: all of the page: a region is not empty where the text in its box belongs to a region that overlaps it.
    """
    if not area.lines:
        return Layer.NONE, "no text layer here"
    if (share := abnormal_share(area.text)) > MAX_ABNORMAL:
        return Layer.DOUBTFUL, f"{share:.0%} of its characters are no text"
    height = area.box[3] - area.box[1]
    lines = [x for a in areas if a is not area for x in a.lines if holds(area.box, *centre(x.bbox))] + area.lines
    heights = [line.bbox[3] - line.bbox[1] for line in lines]
    prose = area.region.label != Label.TABLE and area.turn == 0
    if prose and height > 3 * max(heights) and sum(heights) < _LITTLE * height:
        return Layer.DOUBTFUL, "the text layer has less text than the region"
    return Layer.SOUND, ""


_SAMPLE = 60
"""Letters from which a line is as good a sample as any longer one."""
_STRETCH = 18
"""Letters of it that are read: reading takes as long as they are wide."""
_LEAST = 12
_ALIKE = 0.6
"""Of 352 stretches in papers and samples none was read less than 0.8 alike. By chance two of English are 0.6 alike once
in 1000 times, as often as whole lines are 0.5; letters that were shifted are never over 0.42."""


def disagrees(areas: list[Area], read: Callable[[BBox], str]) -> str | None:
    """Does the text layer say something else than the pixels? A stretch of one line is read to tell, one of a second
    line to be sure.

    Args:
        read: OCR of a box (points) around one line or a part of it.

    Returns:
        The reason not to trust the page's text layer, or None.
    """
    lines = sorted((line for a in areas if a.turn == 0 for line in a.lines), key=_worth, reverse=True)
    tried = [stretch(line) for line in lines[:2] if _worth(line) >= _LEAST]
    if not tried or any(alike(said, read(box)) >= _ALIKE for box, said in tried):
        return None
    return "the text layer says other things than the page"


def stretch(line: Line) -> tuple[BBox, str]:
    """Some words of a line, their box in points and what the text layer has there.

    They are those with the largest share of letters in the line's usual font, of several the first: a heading or a term
    in another font, which may have another encoding, does not speak for the line.
    """
    words = _words(line.chars)
    if not words:
        return line.bbox, line.text
    fonts = Counter(_font(c) for word in words for c in word if c["char"].isalpha())
    usual = fonts.most_common(1)[0][0] if fonts else None
    best, most = words, -1.0
    for start in range(len(words)):
        stop, letters = start, 0
        while stop < len(words) and letters < _STRETCH:
            letters += sum(c["char"].isalpha() for c in words[stop])
            stop += 1
        if letters < _STRETCH and start:
            break
        own = sum(c["char"].isalpha() and _font(c) == usual for word in words[start:stop] for c in word)
        if own > most * letters:
            best, most = words[start:stop], own / max(letters, 1)
    chars = [c for word in best for c in word]
    return union([c["bbox"] for c in chars]), "".join(c["char"] for c in chars)


def _words(chars: list[Char]) -> list[list[Char]]:
    """Characters between white space; very long words, as lines of Chinese are, in pieces."""
    words: list[list[Char]] = [[]]
    for char in chars:
        if char["char"].isspace() or len(words[-1]) == _STRETCH // 2:
            words.append([])
        if not char["char"].isspace():
            words[-1].append(char)
    return [word for word in words if word]


def _font(char: Char) -> Any:
    return (char.get("font") or {}).get("name")


def alike(said: str, seen: str) -> float:
    """How much two readings of a line have in common, 0..1; white space, case and forms of letters don't count."""
    a, b = (_plain(text)[: 2 * _SAMPLE] for text in (said, seen))
    return difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()


def _plain(text: str) -> str:
    return "".join(c for c in unicodedata.normalize("NFKD", text).casefold() if c.isalnum())


def _worth(line: Line) -> float:
    """Letters of a line that the OCR model knows; lines that are mostly something else prove nothing."""
    letters = [c for c in line.text if c.isalpha()]
    known = sum(_known(c) for c in letters)
    if known < 0.9 * len(letters) or known < 0.6 * len(line.text.replace(" ", "")):
        return 0.0
    return min(known, _SAMPLE)


@lru_cache(maxsize=4096)
def _known(char: str) -> bool:
    name = unicodedata.name(char, "")
    return name.startswith(("LATIN", "CJK UNIFIED", "HIRAGANA", "KATAKANA"))
