"""A page's regions with the text of its text layer, unless that layer is unsound."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..document import Region, Source
from ..pdf.docvortex.pages import TextPage, TextPages
from ..pdf.opening import open_page
from ..pdf.types import Key, PageSource
from .geometry import scaled
from .left_out import hidden_words, leave_out_marks
from .region_ocr import read_one_line
from .regions.areas import Area, find_areas
from .regions.cleanup import without_nested
from .regions.footnotes import find_footnotes
from .regions.marginalia import restore_content
from .regions.running_heads import neighbour_text_reader, relabel_running_heads
from .source_policy import SourcePolicy
from .text.soundness import find_contradiction
from .types import Reason, SeenWord
from .word_account import seen_words


@dataclass(slots=True)
class PageText:
    """The regions of a page with their text."""

    areas: list[Area]
    size: tuple[float, float]
    """Width and height of the page in points."""
    layer: TextPage | None
    """The text layer; None where it is unsound as a whole."""
    origin: Source = Source.TEXT_LAYER
    """Origin of the layer: the page itself, or OCR of the whole page."""
    why_unsound: str | None = None
    """The reason, where the layer is unsound as a whole."""
    seen: list[SeenWord] | None = None
    """The words of the layer."""
    left_out: list[tuple[SeenWord, Reason]] = field(default_factory=list)
    """What was left out of the layer, with the reasons."""


def extract_page_text(
    pages: TextPages, key: Key, page: PageSource, regions: list[Region], policy: SourcePolicy
) -> PageText:
    """Correct a detector's regions and give them their text.

    Args:
        pages: holds this page alone.
        regions: in any order, fractions of the page straightened by the angle of its OCR layer.

    Raises:
        InputError: if the page can't be loaded.
    """
    why = None if page.ocr else page.why_ocr
    if why is None:
        layer = pages.page(0)
        rules = layer.ruled_lines()
        lines, left_out = leave_out_marks(layer.lines())
        left_out = hidden_words(pages.hidden(0)) + left_out
        seen = seen_words(lines)
        areas = find_areas(regions, lines, rules, layer.size)
        if page.ocr:
            return PageText(areas, layer.size, layer, page.ocr.source, seen=seen, left_out=left_out)
        neighbours = neighbour_text_reader(key, page.index)
        relabel_running_heads(areas, layer.size, neighbours)
        find_footnotes(areas, rules, layer.size)
        restore_content(areas, layer.size, neighbours)
        if policy.compares_with_pixels:
            x, y = 1 / layer.size[0], 1 / layer.size[1]
            why = find_contradiction(areas, lambda box: read_one_line(key, page.index, scaled(box, x, y)))
        if why is None:
            return PageText(areas, layer.size, layer, seen=seen, left_out=left_out)
    with open_page(key, page.index) as raw:
        size = raw.get_size()
    areas = [Area(region, scaled(region.bbox, *size)) for region in without_nested(regions)]
    return PageText(areas, size, None, why_unsound=why)
