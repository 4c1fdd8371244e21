"""A page's regions with the text that stands in them."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from itertools import pairwise

from ...document import BBox, Region
from ...layout.classes import Label
from ...pdf.docvortex.pages import TextLine
from ..geometry import centre, holds, scaled, share_inside, union
from ..text.lines import Fragment, Line, assign, join_lines, to_lines
from ..text.paragraphs import follows, group
from .cleanup import TEXT, caption_label, snap_table, without_nested

_MARGIN = 0.12
"""Share of the page on each side where running heads, page numbers and side notes stand."""
_LARGE = 0.04
"""Height of a line, of the page's, from which it is no text of a form."""
_SIDEWAYS = 20
"""So many pieces of turned text are more than a figure's axis labels."""


@dataclass(slots=True, eq=False)
class Area:
    """A region, its box in points, and its text."""

    region: Region
    box: BBox
    fragments: list[Fragment] = field(default_factory=list)
    lines: list[Line] = field(default_factory=list)
    note: bool = False
    """Whether it is furniture as a note to the text is."""

    @property
    def text(self) -> str:
        """Its lines as one paragraph."""
        return join_lines(self.lines)

    @property
    def turn(self) -> int:
        """How far most of its text is turned clockwise: 0, 90, 180 or 270 degrees."""
        turns = Counter(f.turn for f in self.fragments)
        return turns.most_common(1)[0][0] if turns else 0

    def parts(self, starts: list[int]) -> list[Area]:
        """The area cut before some of its lines."""
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
            out.append(Area(region, box, fragments, lines, self.note))
        return out


def find_areas(
    regions: list[Region], text_lines: list[TextLine], rules: list[BBox], size: tuple[float, float]
) -> list[Area]:
    """Regions put right, with their text; text in none of them becomes regions of its own, so that nothing is lost.

    Args:
        regions: a detector's, unordered.
        text_lines: of the page's text layer.
        rules: the page's ruled lines as boxes in points.
        size: of the page in points.
    """
    width, height = size
    areas = [Area(r, scaled(r.bbox, width, height)) for r in without_nested(regions)]
    for area in areas:
        if area.region.label == Label.TABLE:
            area.box = snap_table(area.box, rules, [a.box for a in areas if a is not area])
    inside, outside = assign(text_lines, [a.box for a in areas])
    for number, area in enumerate(areas):
        area.fragments = inside.get(number, [])
        area.lines = to_lines(area.fragments)
    everything = [f for area in areas for f in area.fragments] + outside
    _give_labels_to_figures(areas, width, height)
    areas = [a for a in areas if a.fragments or not _is_void(a, areas, everything, size)]
    outside = _sideways_table(outside, areas)
    for lines in group(to_lines(outside, split=True)):
        if not _adopt(lines, areas):
            areas.append(Area(Region(Label.PLAIN_TEXT, (0, 0, 0, 0), 0.0), union([x.bbox for x in lines]), [], lines))
    for area in areas:
        area.region = Region(area.region.label, scaled(area.box, 1 / width, 1 / height), area.region.score)
    _keep_fields(areas)
    known = [a.region for a in areas]
    for area in areas:
        if area.region.label in (Label.TITLE, Label.PLAIN_TEXT) and area.lines:
            area.region.label = caption_label(area.text, area.region.bbox, known) or area.region.label
    return areas


def _keep_fields(areas: list[Area]) -> None:
    """What stands in the middle of a page, alone or right of a one-line label, is no furniture but a form's field.

    Margins, side notes, and large or turned type (watermarks) stay as they are.
    """
    flow = [a for a in areas if a.region.label != Label.ABANDON]
    for area in areas:
        if area.region.label == Label.ABANDON and _in_body(area):
            labels = (a for a in flow if a.region.label == Label.PLAIN_TEXT and len(a.lines) == 1)
            if not flow or (len(area.lines) == 1 and any(_beside(label, area) for label in labels)):
                area.region.label = Label.PLAIN_TEXT


def _in_body(area: Area) -> bool:
    """Is it upright text of common size away from the margins?"""
    x0, y0, x1, y1 = area.region.bbox
    upright = bool(area.lines) and all(f.turn == 0 for f in area.fragments)
    return upright and min(x1, y0, 1 - x0, 1 - y1) > _MARGIN and y1 - y0 < _LARGE * len(area.lines)


def _beside(label: Area, area: Area) -> bool:
    """Does a line go on in another area, to the right?"""
    _, y0, x1, y1 = label.region.bbox
    left, top, _, bottom = area.region.bbox
    return y0 < (top + bottom) / 2 < y1 and 0 <= left - x1 < _MARGIN


def _give_labels_to_figures(areas: list[Area], width: float, height: float) -> None:
    """A figure grows over its labels: the little regions beside it that hold no text (drawn as pixels or paths), and
    numbers that touch it and were seen as those of formulas where there is no formula."""
    formulas = [a.box for a in areas if a.region.label == Label.ISOLATE_FORMULA]
    for figure in [a for a in areas if a.region.label == Label.FIGURE]:
        x0, y0, x1, y1 = figure.box
        reach = (x0 - 0.06 * width, y0 - 0.04 * height, x1 + 0.06 * width, y1 + 0.04 * height)
        touch = (x0 - 0.01 * width, y0 - 0.01 * height, x1 + 0.01 * width, y1 + 0.01 * height)
        labels = []
        for area in areas:
            little = area.region.label not in (Label.FIGURE, Label.TABLE, Label.ISOLATE_FORMULA)
            if little and not area.fragments and share_inside(area.box, reach) > 0.8:
                figure.box = union([figure.box, area.box])
            elif (
                area.region.label == Label.FORMULA_CAPTION
                and share_inside(area.box, touch) > 0
                and not any(_level(area.box, box) for box in formulas)
            ):
                figure.box = union([figure.box, area.box])
                labels.append(area)
        for label in labels:
            figure.fragments.extend(label.fragments)
            areas.remove(label)


def _level(number: BBox, formula: BBox) -> bool:
    """Does a formula stand on the line of a number, so that it may be its?"""
    return formula[1] < centre(number)[1] < formula[3]


def _is_void(area: Area, areas: list[Area], fragments: list[Fragment], size: tuple[float, float]) -> bool:
    """Is a region of text that holds none nothing at all, rather than a picture of a paragraph that OCR can read?

    It is where the text is its neighbour's (a double), where it is part of a figure, and where it is too small.
    """
    if area.region.label not in TEXT | {Label.FORMULA_CAPTION}:
        return False
    x0, y0, x1, y1 = area.box
    if area.region.label not in (Label.PLAIN_TEXT, Label.TITLE) or x1 - x0 < 0.2 * size[0] or y1 - y0 < 0.025 * size[1]:
        return True
    figures = [a.box for a in areas if a.region.label == Label.FIGURE]
    return any(share_inside(area.box, box) > 0.5 for box in figures) or any(
        holds(area.box, *centre(f.bbox)) or holds(f.bbox, *centre(area.box)) for f in fragments
    )


def _sideways_table(stray: list[Fragment], areas: list[Area]) -> list[Fragment]:
    """Much text that stands on its side and that the detector did not see is a table printed sideways.

    It takes over what lies in it, pieces that were seen as figures and headings.

    Returns:
        The text that is still in no region.
    """
    turned = [f for f in stray if f.turn in (90, 270)]
    if len(turned) < _SIDEWAYS:
        return stray
    box = union([f.bbox for f in turned])
    inner = [a for a in areas if holds(box, *centre(a.box))]
    if any(f.turn == 0 for a in inner for f in a.fragments):
        return stray
    table = Area(Region(Label.TABLE, (0, 0, 0, 0), 0.0), box, turned + [f for a in inner for f in a.fragments])
    areas[:] = [a for a in areas if a not in inner] + [table]
    return [f for f in stray if f not in turned]


def _adopt(lines: list[Line], areas: list[Area]) -> bool:
    """Give stray lines to the paragraph that they go on: a box that ends early."""
    for area in areas:
        if area.region.label == Label.PLAIN_TEXT and area.lines and follows(area.lines[-1], lines[0]):
            area.lines.extend(lines)
            area.box = union([area.box, *(line.bbox for line in lines)])
            return True
    return False
