"""Finds the document's title among the headings of its first page, and headings that are only its authors."""

from __future__ import annotations

import math
import re

from ...layout.classes import Label
from .areas import Area

_SECTION = re.compile(
    r"^\W*((\d{1,2}|[ivx]{1,4})[.:)]?\s+)?"
    r"(abstract|summary|introduction|contents|table of contents|keywords|key words|acknowledge?ments?|references"
    r"|bibliography|zusammenfassung|kurzfassung|einleitung|inhalt|inhaltsverzeichnis|résumé|resumen|introducción"
    r"|sommaire|摘要|目录|目錄|引言|前言|要旨|はじめに)\W*$",
    re.IGNORECASE,
)
_FIRST_SECTION = re.compile(r"^(1|I)(\.\s*|\s+)[^\W\d_]")
"""Start of a first section's heading; titles rarely begin with that number."""
_NUMBERED = re.compile(r"^(\d{1,2}|[IVX]+)[.\s]")
_SAME_SIZE = 0.93
"""Type size relative to the largest from which headings count as equally large: boxes vary by some per cent."""
_SMALLER_SIZE = 0.9
"""Type size relative to the title's below which a heading is not a second line of it."""
_ABSTRACT = re.compile(r"^\W*(abstract|summary|zusammenfassung|résumé|resumen|摘要)\b", re.IGNORECASE)


def is_section(text: str) -> bool:
    """Whether a heading is a section's rather than a document's title."""
    return bool(_SECTION.match(text) or _FIRST_SECTION.match(text))


def document_title(areas: list[Area]) -> Area | None:
    """The first page's heading in the largest type, the uppermost of several; None if all are sections' headings."""
    headings = [a for a in areas if a.region.label == Label.TITLE and a.lines]
    sections = [a for a in headings if is_section(a.text)]
    first = min((a.box[1] for a in sections), default=math.inf)
    titles = [
        a for a in headings if a not in sections and a.box[1] < first and not (sections and _NUMBERED.match(a.text))
    ]
    if not titles:
        return None
    largest = max(map(_line_height, titles))
    return min((a for a in titles if _line_height(a) > _SAME_SIZE * largest), key=lambda a: a.box[1])


def demote_authors(areas: list[Area], title: Area | None) -> None:
    """Relabel headings in smaller type between the title and the abstract (or the first section) as text, in place."""
    if title is None:
        return
    sections = [
        a.box[1]
        for a in areas
        if a.lines and a.box[1] > title.box[1] and (is_section(a.text) or _ABSTRACT.match(a.text))
    ]
    if not sections:
        return
    headings = [a for a in areas if a.region.label == Label.TITLE and a.lines and a is not title]
    for area in headings:
        between = title.box[3] <= area.box[3] <= min(sections)
        if between and _line_height(area) < _SMALLER_SIZE * _line_height(title):
            area.region.label = Label.PLAIN_TEXT


def _line_height(area: Area) -> float:
    """Height of an area's highest line in points, as a measure of its type size."""
    return max(line.bbox[3] - line.bbox[1] for line in area.lines)
