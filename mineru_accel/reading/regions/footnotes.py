"""Finds footnotes, which detectors label as text or furniture: at the foot of a column, starting with a mark."""

from __future__ import annotations

import re
import statistics
from collections.abc import Iterable

from ...document import BBox
from ...layout.classes import Label
from ..geometry import horizontal_overlap
from ..text.lines import Line
from ..text.scripts import SUPER
from .areas import Area

_SIGNS = "∗*†‡§¶"
"""Signs that are used as marks instead of numbers."""
MAX_NOTE_SIZE = 0.95
"""Maximum type size of a footnote, relative to that of the text."""
_MIN_TOP = 0.5
"""Share of the page's height below which footnotes begin."""
_RULE_GAP = 15
"""Maximum points between a footnote and the rule or footnote above it."""
_RULE_THICKNESS = 3
"""Points; thicker boxes are no rules."""
_RULE_WIDTH = (0.05, 0.45)
"""Width of the rule above footnotes, as shares of the page's width: longer rules are borders."""
_MIN_LETTERS = 2
"""Letters beside the mark: "Id." is a note; a number with an exponent has none, a formula seldom more than one."""


def find_footnotes(areas: list[Area], rules: Iterable[BBox], size: tuple[float, float]) -> None:
    """Relabel footnotes as furniture with ``is_footnote`` set, in place, one area for each.

    Furniture with a mark at its start is a footnote. Text is one if it is also set in smaller type, and its mark stands
    raised in the text above it, or a short rule or another footnote right above it.

    Args:
        rules: the page's ruled lines as boxes in points.
        size: width and height of the page in points.
    """
    marked = [a for a in areas if a.region.label in (Label.PLAIN_TEXT, Label.ABANDON) and _footnote_mark(a)]
    if not marked:
        return
    narrowest, widest = (share * size[0] for share in _RULE_WIDTH)
    short = [r for r in rules if r[3] - r[1] < _RULE_THICKNESS and narrowest < r[2] - r[0] < widest]
    candidates = _candidates(marked, areas, _MIN_TOP * size[1])
    for area in reversed(candidates):
        area.is_footnote = area.region.label == Label.ABANDON or _is_confirmed(area, areas, short)
    for area in [a for a in candidates if a.is_footnote]:
        area.region.label = Label.ABANDON
        areas[areas.index(area) : areas.index(area) + 1] = area.split_before(_footnote_starts(area))


def _candidates(marked: list[Area], areas: list[Area], min_top: float) -> list[Area]:
    """Areas with a mark at the foot of their column in small type or furniture, from the lowest up."""
    body = median_type_size(a for a in areas if a.region.label == Label.PLAIN_TEXT and len(a.lines) > 2)
    candidates: list[Area] = []
    for area in sorted(marked, key=lambda a: -a.box[1]):
        below = [a for a in areas if a.box[1] > area.box[1] and a is not area and _share_column(a, area)]
        text_below = any(a not in candidates and a.region.label != Label.ABANDON for a in below)
        if area.box[1] < min_top or text_below:
            continue
        if area.region.label == Label.ABANDON or (body and median_type_size([area]) <= MAX_NOTE_SIZE * body):
            candidates.append(area)
    return candidates


def _is_confirmed(area: Area, areas: list[Area], rules: list[BBox]) -> bool:
    """Whether a rule or another footnote is right above a candidate, or its mark stands in the text above."""
    x0, top, x1, _ = area.box
    above = [a for a in areas if a.box[1] < top and a.lines]
    ruled = any(-_RULE_THICKNESS < top - r[3] < _RULE_GAP and r[0] < x1 and x0 < r[2] for r in rules)
    follows = any(a.is_footnote and _share_column(a, area) and a.box[3] > top - _RULE_GAP for a in above)
    return ruled or follows or _footnote_mark(area) in _reference_marks(above)


def _footnote_starts(area: Area) -> list[int]:
    """Indices of the lines of an area that begin a footnote."""
    return [i for i, line in enumerate(area.lines) if i == 0 or line.scripts.startswith(SUPER)]


def _footnote_mark(area: Area) -> str:
    """The mark with which an area begins: a raised number or letter, or a sign; empty without one."""
    if not area.lines or area.rotation:
        return ""
    line = area.lines[0]
    raised = _superscripts(line)[0] if line.scripts.startswith(SUPER) else ""
    mark = raised or line.text[0]
    letters = sum(c.isalpha() for each in area.lines for c in each.text) - mark.isalpha()
    known = re.fullmatch(rf"\d{{1,3}}|[a-z]|[{re.escape(_SIGNS)}]+", mark) if raised else mark in _SIGNS
    return mark if known and letters >= _MIN_LETTERS else ""


def _reference_marks(areas: Iterable[Area]) -> set[str]:
    """Everything that stands raised in some text, and all signs in it."""
    found: set[str] = set()
    for line in (line for area in areas for line in area.lines):
        found.update(re.split(r"[,;]", ",".join(_superscripts(line))))
        found.update(set(line.text) & set(_SIGNS))
    return found


def _superscripts(line: Line) -> list[str]:
    """The superscripts of a line, each as one string."""
    letters = "".join(line.text.split())
    return [letters[m.start() : m.end()] for m in re.finditer(re.escape(SUPER) + "+", line.scripts)]


def _share_column(one: Area, other: Area) -> bool:
    return horizontal_overlap(one.box, other.box) > 0


def median_type_size(areas: Iterable[Area]) -> float:
    """The median font size of the characters of some areas in points; 0 without characters."""
    sizes = [float(c["font"]["size"]) for a in areas for f in a.fragments for c in f.chars if not c["char"].isspace()]
    return statistics.median(sizes) if sizes else 0.0
