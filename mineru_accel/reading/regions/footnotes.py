"""Footnotes that the detector took for text, or for a running foot: at the foot of a column, with a raised mark."""

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
_MAX_SIZE = 0.95
"""Share of the text's type size up to which a note's is."""
_MIN_TOP = 0.5
"""Share of the page's height below which notes stand."""


def find_footnotes(areas: list[Area], rules: Iterable[BBox], size: tuple[float, float]) -> None:
    """Take notes out of the flow, in place: their areas become furniture, with ``note`` set.

    What the detector already took for furniture needs a raised mark only; text is a note if it is also set in smaller
    type and its mark stands in the text above it, or a short rule right over it or over the note before it.

    Args:
        rules: the page's ruled lines as boxes in points.
        size: of the page in points.
    """
    marked = [a for a in areas if a.region.label in (Label.PLAIN_TEXT, Label.ABANDON) and _footnote_mark(a)]
    if not marked:
        return
    body = _median_type_size(a for a in areas if a.region.label == Label.PLAIN_TEXT and len(a.lines) > 2)
    short = [r for r in rules if r[3] - r[1] < 3 and 0.05 * size[0] < r[2] - r[0] < 0.45 * size[0]]
    notes: list[Area] = []
    for area in sorted(marked, key=lambda a: -a.box[1]):
        below = [a for a in areas if a.box[1] > area.box[1] and a is not area and _share_column(a, area)]
        if area.box[1] < _MIN_TOP * size[1] or any(a not in notes and a.region.label != Label.ABANDON for a in below):
            continue
        if area.region.label == Label.ABANDON or (body and _median_type_size([area]) <= _MAX_SIZE * body):
            notes.append(area)
    for area in reversed(notes):
        above = [a for a in areas if a.box[1] < area.box[1] and a.lines]
        ruled = any(-3 < area.box[1] - r[3] < 15 and r[0] < area.box[2] and area.box[0] < r[2] for r in short)
        follows = any(a.is_footnote and _share_column(a, area) and a.box[3] > area.box[1] - 15 for a in above)
        if area.region.label == Label.ABANDON or ruled or follows or _footnote_mark(area) in _reference_marks(above):
            area.is_footnote = True
    for area in [a for a in notes if a.is_footnote]:
        area.region.label = Label.ABANDON
        areas[areas.index(area) : areas.index(area) + 1] = area.split_before(_footnote_starts(area))


def _footnote_starts(area: Area) -> list[int]:
    """Lines of an area with which notes begin."""
    return [i for i, line in enumerate(area.lines) if i == 0 or line.scripts.startswith(SUPER)]


def _footnote_mark(area: Area) -> str:
    """The sign or number, raised, with which a note begins; empty if it is none."""
    if not area.lines or area.rotation:
        return ""
    line = area.lines[0]
    raised = _superscripts(line)[0] if line.scripts.startswith(SUPER) else ""
    mark = raised or line.text[0]
    letters = sum(c.isalpha() for each in area.lines for c in each.text)
    known = re.fullmatch(rf"\d{{1,3}}|[a-z]|[{re.escape(_SIGNS)}]+", mark) if raised else mark in _SIGNS
    return mark if known and letters > 5 else ""


def _reference_marks(areas: Iterable[Area]) -> set[str]:
    """All marks that stand raised in some text, and signs that stand there anyhow."""
    found: set[str] = set()
    for line in (line for area in areas for line in area.lines):
        found.update(re.split(r"[,;]", ",".join(_superscripts(line))))
        found.update(set(line.text) & set(_SIGNS))
    return found


def _superscripts(line: Line) -> list[str]:
    """What stands raised in a line, each in one piece."""
    letters = "".join(line.text.split())
    return [letters[m.start() : m.end()] for m in re.finditer(re.escape(SUPER) + "+", line.scripts)]


def _share_column(one: Area, other: Area) -> bool:
    return horizontal_overlap(one.box, other.box) > 0


def _median_type_size(areas: Iterable[Area]) -> float:
    """The median size of their characters; 0 without any."""
    sizes = [float(c["font"]["size"]) for a in areas for f in a.fragments for c in f.chars if not c["char"].isspace()]
    return statistics.median(sizes) if sizes else 0.0
