"""Numbers of formulas, folded into the formula as ``\\tag{...}``, by MinerU's rule."""

from __future__ import annotations

from collections.abc import Sequence

from docvortex.content.text import build_tagged_formula_content

from ...document import Block
from ..geometry import union

FORMULA_NUMBER = "formula_number"


def fold(blocks: Sequence[Block]) -> list[int]:
    """Put each formula's number into the formula before it, or the one after; a number of none becomes text.

    Args:
        blocks: in reading order; changed in place.

    Returns:
        Places of the blocks that are left.
    """
    left: list[int] = []
    for place, block in enumerate(blocks):
        if block["type"] != FORMULA_NUMBER:
            left.append(place)
            continue
        before = blocks[place - 1] if place else None
        after = blocks[place + 1] if place + 1 < len(blocks) else None
        further = blocks[place + 2] if place + 2 < len(blocks) else None
        if before and before["type"] == "equation":
            _merge(before, block)
        elif after and after["type"] == "equation" and not (further and further["type"] == FORMULA_NUMBER):
            _merge(after, block)
        else:
            block["type"] = "text"
            block.setdefault("lines", [{"bbox": block["bbox"]}])
            left.append(place)
    return left


def _merge(equation: Block, number: Block) -> None:
    equation["bbox"] = list(union([equation["bbox"], number["bbox"]]))
    if equation.get("content"):
        latex = equation["content"].strip().removeprefix("\\[").removesuffix("\\]").strip()
        equation["content"] = build_tagged_formula_content(latex, number.get("content") or "") or latex
