"""Areas: a page's regions, corrected and with their text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from ...document import BBox, Region
from ...layout.classes import Label
from ...pdf.docvortex.pages import TextLine
from ..geometry import centre, holds, scaled, share_inside, union
from ..text.lines import Fragment, Line, assign_to_regions, join_lines, to_lines
from ..text.paragraphs import continues_paragraph, group_paragraphs
from .cleanup import MIN_NESTED_SHARE, TEXT, caption_label, snap_table, without_nested
from .same_table import group_tables

_MARGIN = 0.12
"""Width of a page's margins, as a share of the page: running heads, page numbers and side notes stand there."""
_MAX_LINE_HEIGHT = 0.04
"""Share of the page's height; text with higher lines (a watermark) is not in a form's field."""
_MIN_SIDEWAYS_FRAGMENTS = 20
"""Fragments of rotated text; a figure's axis labels are fewer."""
_LABEL_REACH = (0.06, 0.04)
"""Distance within which a figure's labels without text lie, as shares of the page's width and height."""
_MIN_SHARE_IN_REACH = 0.8
"""Share of a label within that distance: larger regions that extend further are no labels."""
_MIN_SHARE_IN_FIGURE = 0.5
"""Share of a region without text in a figure; above it the region is a part of the figure."""
_TOUCH = 0.01
"""Distance within which a region touches a figure, as a share of the page's width and height."""
_MIN_PARAGRAPH = (0.2, 0.025)
"""Smallest picture of a paragraph, as shares of the page's width and height: smaller ones are specks."""


@dataclass(slots=True, eq=False)
class Area:
    """A region with its text."""

    region: Region
    box: BBox
    """In points, origin top left."""
    fragments: list[Fragment] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    is_footnote: bool = False
    """Whether it is a footnote; its label is then ``abandon``."""
    table: tuple[str, str | None] | None = None
    """A table's HTML (empty where it has no text) and a warning or None, once it was read from the text layer."""
    beside: list[Area] = field(default_factory=list)
    """Areas of text that a figure holds; they stand after its picture."""

    @property
    def text(self) -> str:
        """Its lines as one paragraph."""
        return join_lines(self.lines)

    @property
    def rotation(self) -> int:
        """Clockwise rotation of most of its text in degrees: 0, 90, 180 or 270."""
        rotations = Counter(f.rotation for f in self.fragments)
        return rotations.most_common(1)[0][0] if rotations else 0

    def split_before(self, starts: list[int]) -> list[Area]:
        """Areas that result from cutting this one before the lines with these indices."""
        cuts = [0, *(start for start in starts if start), len(self.lines)]
        if len(cuts) == 2:
            return [self]
        x0, y0, x1, y1 = self.region.bbox
        across, down = (x1 - x0) / (self.box[2] - self.box[0]), (y1 - y0) / (self.box[3] - self.box[1])
        out = []
        for start, stop in pairwise(cuts):
            lines = self.lines[start:stop]
            box = union([line.bbox for line in lines])
            region = Region(self.region.label, scaled(box, across, down), self.region.score)
            fragments = [f for f in self.fragments if holds(box, *centre(f.bbox))]
            out.append(Area(region, box, fragments, lines, self.is_footnote))
        return out


def find_areas(
    regions: list[Region], text_lines: list[TextLine], rules: list[BBox], size: tuple[float, float]
) -> list[Area]:
    """Correct regions and give them their text; text outside all regions becomes paragraphs, so that nothing is lost.

    Args:
        regions: a detector's, in any order.
        text_lines: of the page's text layer.
        rules: the page's ruled lines as boxes in points.
        size: width and height of the page in points.
    """
    width, height = size
    areas = [Area(r, scaled(r.bbox, width, height)) for r in without_nested(regions)]
    for area in areas:
        if area.region.label == Label.TABLE:
            area.box = snap_table(area.box, rules, [a.box for a in areas if a is not area])
    areas = _merge_tables(areas)
    inside, outside = assign_to_regions(text_lines, [a.box for a in areas])
    for number, area in enumerate(areas):
        area.fragments = inside.get(number, [])
        area.lines = to_lines(area.fragments)
    everything = [f for area in areas for f in area.fragments] + outside
    _grow_figures_over_labels(areas, width, height)
    areas = [a for a in areas if a.fragments or not _is_superfluous(a, areas, everything, size)]
    outside = _take_sideways_table(outside, areas)
    for lines in group_paragraphs(to_lines(outside, split=True)):
        if not _append_to_paragraph(lines, areas):
            areas.append(Area(Region(Label.PLAIN_TEXT, (0, 0, 0, 0), 0.0), union([x.bbox for x in lines]), [], lines))
    for area in areas:
        area.region = Region(area.region.label, scaled(area.box, 1 / width, 1 / height), area.region.score)
    _relabel_form_fields(areas)
    known = [a.region for a in areas]
    for area in areas:
        if area.region.label in (Label.TITLE, Label.PLAIN_TEXT) and area.lines:
            area.region.label = caption_label(area.text, area.region.bbox, known) or area.region.label
    return areas


def _merge_tables(areas: list[Area]) -> list[Area]:
    """Areas (without text yet) where tables that are the same one are one, and none of the others lies in it."""
    tables = [a for a in areas if a.region.label == Label.TABLE]
    merged: set[int] = set()
    grown: list[BBox] = []
    for box, members in group_tables([a.box for a in tables]):
        first = max((tables[i] for i in members), key=lambda a: a.region.score)
        first.box = box
        if len(members) > 1:
            grown.append(box)
            merged.update(id(tables[i]) for i in members if tables[i] is not first)
    return [
        a
        for a in areas
        if id(a) not in merged
        and not (a.region.label in TEXT and any(share_inside(a.box, box) > MIN_NESTED_SHARE for box in grown))
    ]


def _relabel_form_fields(areas: list[Area]) -> None:
    """Relabel furniture in the middle of a page as text: alone or right of a one-line label, it is a form's field.

    Furniture in the margins, and large or rotated type (watermarks), stays as it is.
    """
    flow = [a for a in areas if a.region.label != Label.ABANDON]
    for area in areas:
        if area.region.label == Label.ABANDON and _is_body_text(area):
            labels = (a for a in flow if a.region.label == Label.PLAIN_TEXT and len(a.lines) == 1)
            if not flow or (len(area.lines) == 1 and any(_is_right_of(label, area) for label in labels)):
                area.region.label = Label.PLAIN_TEXT


def _is_body_text(area: Area) -> bool:
    """Whether an area is upright text of ordinary size outside the margins."""
    x0, y0, x1, y1 = area.region.bbox
    upright = bool(area.lines) and all(f.rotation == 0 for f in area.fragments)
    return upright and min(x1, y0, 1 - x0, 1 - y1) > _MARGIN and y1 - y0 < _MAX_LINE_HEIGHT * len(area.lines)


def _is_right_of(label: Area, area: Area) -> bool:
    """Whether ``area`` stands on the line of ``label``, closely right of it."""
    _, y0, x1, y1 = label.region.bbox
    left, top, _, bottom = area.region.bbox
    return y0 < (top + bottom) / 2 < y1 and 0 <= left - x1 < _MARGIN


def _grow_figures_over_labels(areas: list[Area], width: float, height: float) -> None:
    """Grow figures over their labels, which are then no areas of their own.

    Labels are small regions near the figure without text (drawn as pixels or paths), and numbers that touch it and were
    detected as those of formulas although no formula stands on their line.
    """
    formulas = [a.box for a in areas if a.region.label == Label.ISOLATE_FORMULA]
    for figure in [a for a in areas if a.region.label == Label.FIGURE]:
        x0, y0, x1, y1 = figure.box
        dx, dy = _LABEL_REACH[0] * width, _LABEL_REACH[1] * height
        reach = (x0 - dx, y0 - dy, x1 + dx, y1 + dy)
        dx, dy = _TOUCH * width, _TOUCH * height
        touch = (x0 - dx, y0 - dy, x1 + dx, y1 + dy)
        labels = []
        for area in areas:
            may_be_label = area.region.label not in (Label.FIGURE, Label.TABLE, Label.ISOLATE_FORMULA)
            if may_be_label and not area.fragments and share_inside(area.box, reach) > _MIN_SHARE_IN_REACH:
                figure.box = union([figure.box, area.box])
            elif (
                area.region.label == Label.FORMULA_CAPTION
                and share_inside(area.box, touch) > 0
                and not any(_is_level_with(area.box, box) for box in formulas)
            ):
                figure.box = union([figure.box, area.box])
                labels.append(area)
        for label in labels:
            figure.fragments.extend(label.fragments)
            areas.remove(label)


def _is_level_with(number: BBox, formula: BBox) -> bool:
    """Whether a formula stands on the line of a number."""
    return formula[1] < centre(number)[1] < formula[3]


def _is_superfluous(area: Area, areas: list[Area], fragments: list[Fragment], size: tuple[float, float]) -> bool:
    """Whether a region of running text without text is nothing, rather than a picture of a paragraph that OCR can read.

    It is nothing where the text in it belongs to another area, where it lies in a figure, and where it is too small.
    """
    if area.region.label not in TEXT | {Label.FORMULA_CAPTION}:
        return False
    x0, y0, x1, y1 = area.box
    least_width, least_height = _MIN_PARAGRAPH[0] * size[0], _MIN_PARAGRAPH[1] * size[1]
    if area.region.label not in (Label.PLAIN_TEXT, Label.TITLE) or x1 - x0 < least_width or y1 - y0 < least_height:
        return True
    figures = [a.box for a in areas if a.region.label == Label.FIGURE]
    return any(share_inside(area.box, box) > _MIN_SHARE_IN_FIGURE for box in figures) or any(
        holds(area.box, *centre(f.bbox)) or holds(f.bbox, *centre(area.box)) for f in fragments
    )


def _take_sideways_table(outside: list[Fragment], areas: list[Area]) -> list[Fragment]:
    """Make one table of much sideways text outside all regions, in place; it replaces the areas that lie in it.

    Returns:
        The fragments that are still outside all regions.
    """
    sideways = [f for f in outside if f.rotation in (90, 270)]
    if len(sideways) < _MIN_SIDEWAYS_FRAGMENTS:
        return outside
    box = union([f.bbox for f in sideways])
    inner = [a for a in areas if holds(box, *centre(a.box))]
    if any(f.rotation == 0 for a in inner for f in a.fragments):
        return outside
    fragments = sideways + [f for a in inner for f in a.fragments]
    table = Area(Region(Label.TABLE, (0, 0, 0, 0), 0.0), box, fragments, to_lines(fragments))
    areas[:] = [a for a in areas if a not in inner] + [table]
    return [f for f in outside if f not in sideways]


def _append_to_paragraph(lines: list[Line], areas: list[Area]) -> bool:
    """Append lines outside all regions to the paragraph that they continue, whose box ends early; False if none."""
    for area in areas:
        if area.region.label == Label.PLAIN_TEXT and area.lines and continues_paragraph(area.lines[-1], lines[0]):
            area.lines.extend(lines)
            area.box = union([area.box, *(line.bbox for line in lines)])
            return True
    return False
