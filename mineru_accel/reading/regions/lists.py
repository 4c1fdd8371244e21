"""Lists: a region of several items becomes a block an item, and runs of items a list as MinerU has them.

A raw ``list`` block stands before the text blocks inside its bbox; MinerU's types then hold them as its children, whose
text begins with ``- `` or their number. Letters (``(a)``, ``iv.``) and references (``[7]``) stay paragraphs, since
Markdown has no list that shows them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...document import BBox, Block, Region
from ...layout.classes import Label
from ...pdf.docvortex.spans import slice_span_dicts, text_spans
from ..geometry import across, centre, holds, rounded, union
from ..text.inline_styles import plain_text
from ..text.lines import Line
from ..types import PageBlock, PageContent
from .areas import Area

_SURE = "•‣▪●►▶➢➤✓✔❖\uf0a7\uf0b7"
"""Bullets, whatever stands around them; the private ones are Word's, in Symbol and Wingdings."""
_LIKELY = "◦○□■◆◇▫·∙⁃–−*∗⋆★-"
"""Bullets if there are two of them: they are also signs of formulas, dashes, ends of proofs."""
_BULLET = re.compile(rf"\s*([{re.escape(_SURE + _LIKELY)}])\s+(?=\S)")
_NUMBER = re.compile(r"\s*(\(?)(\d{1,3}|[ivxl]{1,6}|[a-z])([.)])\s+(?=\S)|\s*(\[)(\d{1,3})(\])\s+(?=\S)")
_ROMAN = {"i": 1, "v": 5, "x": 10, "l": 50}
_INDENT = 0.4
"""Line heights by which the first lines of items stand out from the others, or in line with each other."""
_COLUMN = 0.02
"""Share of a page's width by which two items of a level are out of line."""


@dataclass(frozen=True, slots=True)
class Marker:
    """What an item begins with."""

    kind: str
    """The bullet, or the signs around the number."""
    values: tuple[int, ...] = ()
    """What the number may be: ``i`` is 1 and the 9th letter. None of a bullet."""
    length: int = 0
    """Characters, with the white space after it."""

    @property
    def sure(self) -> bool:
        return self.kind in _SURE

    @property
    def markdown(self) -> str | None:
        """The marker as Markdown has it; None if it has none."""
        if not self.values:
            return "- "
        opening, digits, closing = self.kind[0], self.kind[1], self.kind[2]
        return f"{self.values[0]}{closing} " if opening == " " and digits == "1" else None

    def goes_on(self, before: Marker) -> bool:
        """Is it the next one of the same list?"""
        if self.kind != before.kind:
            return False
        return not self.values or any(v + 1 in self.values for v in before.values)


def marker_of(text: str) -> Marker | None:
    """The marker with which a text begins, if it does."""
    if match := _BULLET.match(text):
        return Marker(match[1], (), match.end())
    match = _NUMBER.match(text)
    if not match:
        return None
    opening, value, closing = match[1] or match[4] or "", match[2] or match[5], match[3] or match[6]
    if opening == "(" and closing != ")":
        return None
    kind = "1" if value.isdigit() else "a"
    return Marker(f"{opening or ' '}{kind}{closing}", tuple(_values(value)), match.end())


def _values(number: str) -> Iterator[int]:
    if number.isdigit():
        yield int(number)
        return
    if len(number) == 1:
        yield ord(number) - ord("a") + 1
    digits = [_ROMAN.get(letter, 0) for letter in number]
    if all(digits):
        yield sum(-d if d < max(digits[i:]) else d for i, d in enumerate(digits))


def split_items(area: Area) -> list[Area]:
    """A paragraph, or the items of which it is made: lines that begin with bullets, or with numbers in order."""
    if area.region.label != Label.PLAIN_TEXT or len(area.lines) < 2 or area.turn:
        return [area]
    return area.parts(_starts(area.lines))


def _starts(lines: list[Line]) -> list[int]:
    """Where items begin."""
    markers = [marker_of(line.text) for line in lines]
    sure = [i for i, m in enumerate(markers) if m and m.sure]
    if sure:
        inside = any(set(_SURE) & set(line.text.strip()[1:]) for line in lines)  # things parted by bullets
        return [] if inside else sure
    first = next((i for i, m in enumerate(markers) if m), None)
    if first is None:
        return []
    starts = [first]
    for i in range(first + 1, len(lines)):
        marker, before = markers[i], markers[starts[-1]]
        if marker and before and marker.goes_on(before):
            starts.append(i)
    height = max(lines[first].bbox[3] - lines[first].bbox[1], 1.0)
    edges = [lines[i].bbox[0] / height for i in starts]
    others = [lines[i].bbox[0] / height for i in range(first + 1, len(lines)) if i not in starts]
    stand_out = all(x > max(edges) + _INDENT for x in others) or all(x < min(edges) - _INDENT for x in others)
    in_line = max(edges) - min(edges) < 2 * _INDENT
    begins = first == 0 or lines[first - 1].text.rstrip().endswith((":", "."))
    return starts if len(starts) > 1 and stand_out and in_line and begins else []


def gather(content: PageContent) -> None:
    """Put a ``list`` block before each run of items of a page, and Markdown's markers into them.

    Args:
        content: with final bboxes; changed in place.
    """
    raws = content.raws
    known = [raw["bbox"] for raw in raws if raw["type"] == "list"]
    for run in reversed(list(_runs(raws, known))):
        box = union([raws[i]["bbox"] for i in run])
        others = [raw for i, raw in enumerate(raws) if i not in run]
        if any(holds(box, *centre(other["bbox"])) for other in others):
            continue
        for i in run:
            _mark(raws[i])
        first = content.blocks[run[0]]
        region = first.region and Region(first.region.label, box, first.region.score)
        container: Block = {"type": "list", "bbox": rounded(box), "angle": 0, "content": ""}
        content.blocks.insert(run[0], PageBlock(container, first.source, region=region))
        raws.insert(run[0], container)


def _runs(blocks: list[Block], lists: Iterable[list[float]]) -> Iterator[list[int]]:
    """Places of items that stand below each other."""
    items: dict[int, Marker] = {}
    for i, block in enumerate(blocks):
        marker = marker_of(plain_text(block)) if block["type"] == "text" else None
        if marker and marker.markdown and not any(holds(box, *centre(block["bbox"])) for box in lists):
            items[i] = marker
    run: list[int] = []
    for i in range(len(blocks) + 1):
        if i in items and (not run or _below(blocks[run[-1]]["bbox"], blocks[i]["bbox"])):
            run.append(i)
            continue
        yield from _confirmed(run, blocks, items)
        run = [i] if i in items else []


def _confirmed(run: list[int], blocks: list[Block], items: dict[int, Marker]) -> Iterator[list[int]]:
    """Parts of a run in which every item has a sure bullet, or another one of its kind."""
    kept: list[int] = []
    for i in run:
        x0 = blocks[i]["bbox"][0]
        level = [j for j in run if abs(blocks[j]["bbox"][0] - x0) < _COLUMN and j != i]
        if items[i].sure or any(items[i].goes_on(items[j]) if j < i else items[j].goes_on(items[i]) for j in level):
            kept.append(i)
        elif kept:
            yield kept
            kept = []
    if kept:
        yield kept


def _below(above: BBox, below: BBox) -> bool:
    return below[1] >= above[1] and across(above, below) > 0


def _mark(block: Block) -> None:
    """Put the marker as Markdown has it where the printed one is."""
    marker = marker_of(plain_text(block))
    assert marker and marker.markdown
    content = block["content"]
    if isinstance(content, str):
        block["content"] = marker.markdown + content[marker.length :]
    else:
        block["content"] = [*text_spans(marker.markdown), *slice_span_dicts(content, marker.length)]
