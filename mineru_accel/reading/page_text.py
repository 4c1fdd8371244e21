"""A page's regions with the text of its text layer, and what that layer is worth."""

from __future__ import annotations

from dataclasses import dataclass

from ..document import Region, Source
from ..pdf.docvortex.pages import TextPage, TextPages
from ..pdf.opening import open_page
from ..pdf.types import Key, PageSource
from .geometry import scaled
from .region_ocr import read_one_line
from .regions.areas import Area, find_areas
from .regions.cleanup import without_nested
from .regions.footnotes import find_notes
from .regions.running_heads import peek_from, set_aside
from .source_policy import SourcePolicy
from .text.soundness import disagrees


@dataclass(slots=True)
class PageText:
    """The regions of a page with their text."""

    areas: list[Area]
    size: tuple[float, float]
    """Width and height of the page in points."""
    layer: TextPage | None
    """The text layer; None where it is not sound on the whole."""
    origin: Source = Source.TEXT_LAYER
    """Where the layer comes from: the page itself, or OCR of the whole page."""
    why_unsound: str | None = None


def find_text(pages: TextPages, key: Key, page: PageSource, regions: list[Region], policy: SourcePolicy) -> PageText:
    """Give a detector's regions the text that stands in them.

    Args:
        pages: holds this page alone.
        regions: unordered, of the page straightened as its OCR layer says.
    """
    why = None if page.ocr else page.why_ocr
    if why is None:
        layer = pages.page(0)
        rules = layer.ruled_lines()
        areas = find_areas(regions, layer.lines(), rules, layer.size)
        if page.ocr:
            return PageText(areas, layer.size, layer, Source.OCR)
        set_aside(areas, layer.size, peek_from(key, page.index))
        find_notes(areas, rules, layer.size)
        if policy.compares_with_pixels:
            x, y = 1 / layer.size[0], 1 / layer.size[1]
            why = disagrees(areas, lambda box: read_one_line(key, page.index, scaled(box, x, y)))
        if why is None:
            return PageText(areas, layer.size, layer)
    with open_page(key, page.index) as raw:
        size = raw.get_size()
    areas = [Area(region, scaled(region.bbox, *size)) for region in without_nested(regions)]
    return PageText(areas, size, None, why_unsound=why)
