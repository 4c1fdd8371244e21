"""What becomes of the text in figures and tables: no text is given up for a picture."""

from __future__ import annotations

from collections.abc import Callable

from ..document import BBox, Region, Source
from ..layout.classes import Label
from ..pdf.docvortex.pages import TextPage
from .geometry import centre, holds, scaled, union
from .page_text import PageText
from .regions.areas import Area
from .regions.field_values import join_values
from .regions.figure_text import Drawing, TextKind, has_axis, is_prose, look_at_drawing, text_in_figure
from .regions.table_overlaps import separate_tables
from .tables.grid import Grid, build_grid
from .tables.recover import DOUBTFUL, looks_like_table, read_table, rules_within
from .text.lines import Line, to_lines
from .text.paragraphs import group_paragraphs
from .text.wide_gaps import cut_at_wide_gaps

TABLE_AS_TEXT = "a table's rows and columns were not found: its lines are written as text"
FIGURE_AS_TEXT = "a region that looks like a figure holds text: it is written as text"


def resolve_visual_text(
    text: PageText, source_of: Callable[[Area], Source], images: Callable[[], list[BBox]]
) -> list[str]:
    """Read tables, and turn figures and tables into what their text is; changes the areas in place.

    A figure becomes a table where it is one. Text that is no label of a drawing stands in areas of its own: beside the
    picture, if there is more to see than the text. A table whose cells can't be told becomes text likewise.

    Args:
        source_of: the source of an area's content; tables from other sources than the text layer are left alone.
        images: finds the raster images of the page, in points.

    Returns:
        Warnings.
    """
    layer = text.layer
    if layer is None:
        return []
    text.areas = separate_tables(text.areas, text.size)
    resolver = _Resolver(layer, text.size, source_of, images)
    resolved = [(area, resolver.resolve(area)) for area in text.areas]
    kept = [area for area, result in resolved if result == [area]]
    for area, result in resolved:
        if area.region.label == Label.TABLE and area not in result:
            join_values(kept, result)
    text.areas = kept + [one for area, result in resolved for one in result if one is not area]
    return resolver.warnings


class _Resolver:
    """Decides for the figures and tables of one page."""

    def __init__(
        self,
        layer: TextPage,
        size: tuple[float, float],
        source_of: Callable[[Area], Source],
        images: Callable[[], list[BBox]],
    ) -> None:
        self._layer, self._size, self._source_of = layer, size, source_of
        self._find_images = images
        self._images: list[BBox] | None = None
        self.warnings: list[str] = []

    def resolve(self, area: Area) -> list[Area]:
        """The areas that take the place of one."""
        if area.region.label == Label.FIGURE and area.fragments:
            return self._resolve_figure(area)
        if area.region.label == Label.TABLE and self._source_of(area) is Source.TEXT_LAYER:
            return self._resolve_table(area)
        return [area]

    def _resolve_figure(self, area: Area) -> list[Area]:
        lines = _pieces(area)
        if has_axis(lines, both=False) and not is_prose(lines):
            return [area]
        drawing = self._drawing(area)
        if len(lines) < 2 and not drawing.is_empty:
            return [area]
        ruled, has_grid = None, False
        if drawing.is_plain:
            ruled = self._layer.recover_table(area.box, 0)
            has_grid = looks_like_table(self._grid(area))
        kind = text_in_figure(lines, drawing, ruled, has_grid)
        if kind is TextKind.LABELS:
            return [area]
        if kind is TextKind.TABLE:
            area.region = Region(Label.TABLE, area.region.bbox, area.region.score)
            return self._resolve_table(area) if self._source_of(area) is Source.TEXT_LAYER else [area]
        self.warnings.append(FIGURE_AS_TEXT)
        return self._as_text(area, keep_picture=not drawing.is_plain)

    def _resolve_table(self, area: Area) -> list[Area]:
        area.table = read_table(self._layer, area.box, area.fragments)
        if area.table is not None and area.table[1] != DOUBTFUL:
            self._widen(area)
            return [area]
        drawing = self._drawing(area)
        lines = _pieces(area)
        if drawing.over_picture > 0.5 or has_axis(lines, both=True):  # a chart or a map, whose labels they are
            area.region = Region(Label.FIGURE, area.region.bbox, area.region.score)
            return self._resolve_figure(area)
        if area.table is not None:
            self._widen(area)
            return [area]
        self.warnings.append(TABLE_AS_TEXT)
        return self._as_text(area, keep_picture=not drawing.is_plain or self._grid(area) is not None)

    def _widen(self, area: Area) -> None:
        """Grow a table over its text: lines may run on over the edge of the detected box."""
        if any(not holds(area.box, *centre(f.bbox)) for f in area.fragments):
            area.box = union([area.box, *(f.bbox for f in area.fragments)])
            bbox = scaled(area.box, 1 / self._size[0], 1 / self._size[1])
            area.region = Region(area.region.label, bbox, area.region.score)

    def _as_text(self, area: Area, *, keep_picture: bool) -> list[Area]:
        """Areas of a region's paragraphs, or the region as a figure that holds them."""
        x, y = 1 / self._size[0], 1 / self._size[1]
        paragraphs = []
        pieces = cut_at_wide_gaps(area.fragments)
        for lines in group_paragraphs(to_lines(pieces, split=True)):
            box = union([line.bbox for line in lines])
            fragments = [f for f in pieces if holds(box, *centre(f.bbox))]
            region = Region(Label.PLAIN_TEXT, scaled(box, x, y), area.region.score)
            paragraphs.append(Area(region, box, fragments, lines))
        if not keep_picture:
            return paragraphs
        figure = Region(Label.FIGURE, area.region.bbox, area.region.score)
        return [Area(figure, area.box, beside=paragraphs)]

    def _grid(self, area: Area) -> Grid | None:
        return build_grid(area.fragments, rules_within(self._layer.horizontal_rules_of_tables(), area.box))

    def _drawing(self, area: Area) -> Drawing:
        if self._images is None:
            self._images = self._find_images()
        pieces = cut_at_wide_gaps(area.fragments)
        return look_at_drawing(area.box, pieces, self._images, self._layer.paths())


def _pieces(area: Area) -> list[Line]:
    """Lines of an area's text, of each column for itself."""
    return to_lines(cut_at_wide_gaps(area.fragments), split=True)
