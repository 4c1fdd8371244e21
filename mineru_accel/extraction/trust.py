"""What a page's text layer is worth, region by region, and on the whole: does it say what the pixels say?"""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

from ..document import BBox, Source
from ..layout.classes import Label
from ..pdf.text_quality import MAX_ABNORMAL, abnormal_share
from .areas import Area
from .rules import KINDS, Layer, Rule
from .text_layer import Line


@dataclass(frozen=True, slots=True)
class Choice:
    """A region's source, and why where there is something to say."""

    source: Source
    layer: Layer
    reason: str = ""


_LITTLE = 0.35
"""Share of a region's height that its lines must cover."""


def choose(rule: Rule, area: Area, page_reason: str | None) -> Choice:
    """Decide on one region.

    Args:
        page_reason: why the page's text layer is not to be used at all, if so.
    """
    kind = KINDS[Label(area.region.label)]
    layer, reason = (Layer.NONE, page_reason) if page_reason else judge(area)
    source = rule[kind][list(Layer).index(layer)]
    if source is rule[kind][0]:  # as for a sound text layer
        reason = ""
    return Choice(source, layer, reason or "")


def judge(area: Area) -> tuple[Layer, str]:
    """What the text layer is worth in a region of a page where it is sound on the whole."""
    if not area.lines:
        return Layer.NONE, "no text layer here"
    if (share := abnormal_share(area.text)) > MAX_ABNORMAL:
        return Layer.DOUBTFUL, f"{share:.0%} of its characters are no text"
    height = area.box[3] - area.box[1]
    heights = [line.bbox[3] - line.bbox[1] for line in area.lines]
    prose = area.region.label != Label.TABLE and area.turn == 0
    if prose and height > 3 * max(heights) and sum(heights) < _LITTLE * height:
        return Layer.DOUBTFUL, "the text layer has less text than the region"
    return Layer.SOUND, ""


_SAMPLE = 60
"""Characters of a line that are compared."""
_LEAST = 12
_ALIKE = 0.5


def disagrees(areas: list[Area], read: Callable[[BBox], str]) -> str | None:
    """Does the text layer say something else than the pixels? One line is read to tell, a second one to be sure.

    Args:
        read: OCR of a line's box (points).

    Returns:
        The reason not to trust the page's text layer, or None.
    """
    lines = sorted((line for a in areas if a.turn == 0 for line in a.lines), key=_worth, reverse=True)
    tried = [line for line in lines[:2] if _worth(line) >= _LEAST]
    if not tried:
        return None
    for line in tried:
        if alike(line.text, read(line.bbox)) >= _ALIKE:
            return None
    return "the text layer says other things than the page"


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


def _known(char: str) -> bool:
    name = unicodedata.name(char, "")
    return name.startswith(("LATIN", "CJK UNIFIED", "HIRAGANA", "KATAKANA"))
