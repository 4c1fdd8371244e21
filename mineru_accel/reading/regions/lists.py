"""Lists: splits regions into items (one block each), and puts runs of items into MinerU's lists.

In MinerU's raw blocks a ``list`` block stands before the text blocks inside its bbox, which become its children; their
text begins with ``- `` or a number. Items with letters (``(a)``, ``iv.``) and references (``[7]``) stay paragraphs:
Markdown has no such lists.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from ...document import BBox, Block, Region
from ...layout.classes import Label
from ...pdf.docvortex.spans import slice_span_dicts, text_spans
from ..geometry import centre, holds, horizontal_overlap, rounded, union
from ..text.inline_styles import plain_text
from ..text.lines import Line
from ..types import PageBlock, PageContent
from .areas import Area

_CERTAIN_BULLETS = "•‣▪●►▶➢➤✓✔❖\uf0a7\uf0b7"
"""Signs that are always bullets; the private-use ones are Word's, in Symbol and Wingdings."""
_AMBIGUOUS_BULLETS = "◦○□■◆◇▫·∙⁃–−*∗⋆★-"
"""Signs that are bullets if there are two of a kind: alone they may be of formulas, dashes, ends of proofs."""
_BULLET = re.compile(rf"\s*([{re.escape(_CERTAIN_BULLETS + _AMBIGUOUS_BULLETS)}])\s+(?=\S)")
_NUMBER = re.compile(r"\s*(\(?)(\d{1,3}|[ivxl]{1,6}|[a-z])([.)])\s+(?=\S)|\s*(\[)(\d{1,3})(\])\s+(?=\S)")
_ROMAN_DIGITS = {"i": 1, "v": 5, "x": 10, "l": 50}
_INDENT = 0.4
"""Minimum indentation, in line heights, between the first lines of items and the others."""
_MAX_MISALIGNMENT = 0.02
"""Maximum distance between the left edges of items of one level, as a share of the page's width."""


@dataclass(frozen=True, slots=True)
class Marker:
    """The bullet or number with which an item begins."""

    kind: str
    """The bullet, or the form of the number: ``(1)``, `` a.``, ..."""
    values: tuple[int, ...] = ()
    """Possible values of the number: ``i`` is 1 or the 9th letter; empty for a bullet."""
    length: int = 0
    """Characters, including the white space after it."""

    @property
    def is_certain(self) -> bool:
        """Whether it is a sign that is always a bullet."""
        return self.kind in _CERTAIN_BULLETS

    @property
    def markdown(self) -> str | None:
        """The marker in Markdown; None if Markdown has no such list."""
        if not self.values:
            return "- "
        opening, digits, closing = self.kind[0], self.kind[1], self.kind[2]
        return f"{self.values[0]}{closing} " if opening == " " and digits == "1" else None

    def follows(self, before: Marker) -> bool:
        """Whether it is the next marker of a list after ``before``."""
        if self.kind != before.kind:
            return False
        return not self.values or any(v + 1 in self.values for v in before.values)


def marker_of(text: str) -> Marker | None:
    """The marker with which a text begins; None without one."""
    if match := _BULLET.match(text):
        return Marker(match[1], (), match.end())
    match = _NUMBER.match(text)
    if not match:
        return None
    opening, value, closing = match[1] or match[4] or "", match[2] or match[5], match[3] or match[6]
    if opening == "(" and closing != ")":
        return None
    kind = "1" if value.isdigit() else "a"
    return Marker(f"{opening or ' '}{kind}{closing}", tuple(_possible_values(value)), match.end())


def _possible_values(number: str) -> Iterator[int]:
    """The values of digits, a letter or a Roman number."""
    if number.isdigit():
        yield int(number)
        return
    if len(number) == 1:
        yield ord(number) - ord("a") + 1
    digits = [_ROMAN_DIGITS.get(letter, 0) for letter in number]
    if all(digits):
        yield sum(-d if d < max(digits[i:]) else d for i, d in enumerate(digits))


def split_items(area: Area) -> list[Area]:
    """The items of a list, whose lines begin with bullets or consecutive numbers; other areas as they are."""
    if area.region.label != Label.PLAIN_TEXT or len(area.lines) < 2 or area.rotation:
        return [area]
    return area.split_before(_item_starts(area.lines))


def _item_starts(lines: list[Line]) -> list[int]:
    """Indices of the lines that begin an item; empty for prose."""
    markers = [marker_of(line.text) for line in lines]
    certain = [i for i, m in enumerate(markers) if m and m.is_certain]
    if certain:
        inside = any(
            set(_CERTAIN_BULLETS) & set(line.text.strip()[1:]) for line in lines
        )  # a bullet also separates things within a line
        return [] if inside else certain
    first = next((i for i, m in enumerate(markers) if m), None)
    if first is None:
        return []
    starts = [first]
    for i in range(first + 1, len(lines)):
        marker, before = markers[i], markers[starts[-1]]
        if marker and before and marker.follows(before):
            starts.append(i)
    height = max(lines[first].bbox[3] - lines[first].bbox[1], 1.0)
    edges = [lines[i].bbox[0] / height for i in starts]
    others = [lines[i].bbox[0] / height for i in range(first + 1, len(lines)) if i not in starts]
    stand_out = all(x > max(edges) + _INDENT for x in others) or all(x < min(edges) - _INDENT for x in others)
    in_line = max(edges) - min(edges) < 2 * _INDENT
    begins = first == 0 or lines[first - 1].text.rstrip().endswith((":", "."))
    return starts if len(starts) > 1 and stand_out and in_line and begins else []


def add_list_blocks(content: PageContent) -> None:
    """Insert a ``list`` block before each run of items of a page, and give the items Markdown's markers.

    Args:
        content: with bboxes on the page as it was read; changed in place.
    """
    raws = content.raws
    known = [raw["bbox"] for raw in raws if raw["type"] == "list"]
    for run in reversed(list(_item_runs(raws, known))):
        box = union([raws[i]["bbox"] for i in run])
        others = [raw for i, raw in enumerate(raws) if i not in run]
        if any(holds(box, *centre(other["bbox"])) for other in others):
            continue
        for i in run:
            _set_markdown_marker(raws[i])
        first = content.blocks[run[0]]
        region = first.region and Region(first.region.label, box, first.region.score)
        container: Block = {"type": "list", "bbox": rounded(box), "angle": 0, "content": ""}
        content.blocks.insert(run[0], PageBlock(container, first.source, region=region))
        raws.insert(run[0], container)


def _item_runs(blocks: list[Block], lists: Iterable[list[float]]) -> Iterator[list[int]]:
    """Indices of the blocks of each run of items that stand below each other, without those in a known list."""
    items: dict[int, Marker] = {}
    for i, block in enumerate(blocks):
        marker = marker_of(plain_text(block)) if block["type"] == "text" else None
        if marker and marker.markdown and not any(holds(box, *centre(block["bbox"])) for box in lists):
            items[i] = marker
    run: list[int] = []
    for i in range(len(blocks) + 1):
        if i in items and (not run or _stands_below(blocks[run[-1]]["bbox"], blocks[i]["bbox"])):
            run.append(i)
            continue
        yield from _confirmed_runs(run, blocks, items)
        run = [i] if i in items else []


def _confirmed_runs(run: list[int], blocks: list[Block], items: dict[int, Marker]) -> Iterator[list[int]]:
    """Parts of a run whose items all have a certain bullet, or another item before or after them in their level."""
    kept: list[int] = []
    for i in run:
        x0 = blocks[i]["bbox"][0]
        level = [j for j in run if abs(blocks[j]["bbox"][0] - x0) < _MAX_MISALIGNMENT and j != i]
        if items[i].is_certain or any(
            items[i].follows(items[j]) if j < i else items[j].follows(items[i]) for j in level
        ):
            kept.append(i)
        elif kept:
            yield kept
            kept = []
    if kept:
        yield kept


def _stands_below(above: BBox, below: BBox) -> bool:
    """Whether ``below`` begins no higher than ``above``, and partly under it."""
    return below[1] >= above[1] and horizontal_overlap(above, below) > 0


def _set_markdown_marker(block: Block) -> None:
    """Replace the printed marker by Markdown's."""
    marker = marker_of(plain_text(block))
    assert marker and marker.markdown
    content = block["content"]
    if isinstance(content, str):
        block["content"] = marker.markdown + content[marker.length :]
    else:
        block["content"] = [*text_spans(marker.markdown), *slice_span_dicts(content, marker.length)]
