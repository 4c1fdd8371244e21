"""Words that no block holds become paragraphs at their place in reading order."""

from __future__ import annotations

from collections.abc import Sequence

from ..document import Region, Source
from ..layout.classes import Label
from .geometry import centre, clamped, horizontal_overlap, rounded, scaled, union
from .text.inline_styles import make_literal_spans
from .text.lines import Line, join_lines
from .text.paragraphs import group_paragraphs
from .types import PageBlock, SeenWord

_REASON = "no region held it"
_WORD_GAP = 1.5
"""Line heights between two words of one line, at most: wider gaps part columns."""


def rescued_blocks(lost: Sequence[SeenWord], size: tuple[float, float]) -> list[PageBlock]:
    """Paragraphs of words that are in no block.

    Args:
        lost: in the order of the text layer.
        size: width and height of the page in points.
    """
    return [_paragraph(lines, size) for lines in group_paragraphs(_lines_of(lost))]


def insert_in_order(block: PageBlock, blocks: list[PageBlock]) -> None:
    """Put a block behind the last one that stands above it in its column, else before the first one below it."""
    x0, top, x1, bottom = block.raw["bbox"]
    column = [n for n, b in enumerate(blocks) if horizontal_overlap((x0, top, x1, bottom), b.raw["bbox"]) > 0]
    above = [n for n in column if centre(blocks[n].raw["bbox"])[1] <= (top + bottom) / 2]
    place = above[-1] + 1 if above else column[0] if column else len(blocks)
    blocks.insert(place, block)


def _lines_of(words: Sequence[SeenWord]) -> list[Line]:
    """Words that follow each other on one line are one."""
    lines: list[Line] = []
    for word in words:
        last = lines[-1] if lines else None
        if last is not None and _continues(last, word):
            last.text += f" {word.text}"
            last.bbox = union([last.bbox, word.bbox])
        else:
            lines.append(Line(word.bbox, word.text))
    return sorted(lines, key=lambda line: (line.bbox[1], line.bbox[0]))


def _continues(line: Line, word: SeenWord) -> bool:
    height = line.bbox[3] - line.bbox[1]
    level = line.bbox[1] < centre(word.bbox)[1] < line.bbox[3]
    return level and -height < word.bbox[0] - line.bbox[2] < _WORD_GAP * height


def _paragraph(lines: list[Line], size: tuple[float, float]) -> PageBlock:
    x, y = 1 / size[0], 1 / size[1]
    box = clamped(scaled(union([line.bbox for line in lines]), x, y))
    raw = {"type": "text", "bbox": rounded(box), "angle": 0, "content": join_lines(lines)}
    raw["lines"] = [{"bbox": rounded(clamped(scaled(line.bbox, x, y)))} for line in lines]
    make_literal_spans([raw])
    return PageBlock(raw, Source.TEXT_LAYER, _REASON, Region(Label.PLAIN_TEXT, box, 0.0))
