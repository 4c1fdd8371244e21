"""Numbers of formulas, folded into the formula as ``\\tag{...}``, by MinerU's rule."""

from __future__ import annotations

from collections.abc import Sequence

from ...pdf.docvortex.spans import tagged_formula
from ..geometry import union
from ..text.inline_styles import plain_text
from ..types import PageBlock

FORMULA_NUMBER = "formula_number"


def fold(blocks: Sequence[PageBlock]) -> list[PageBlock]:
    """Put each formula's number into the formula before it, or the one after; a number of none becomes text.

    Args:
        blocks: in reading order; changed in place.

    Returns:
        The blocks that are left.
    """
    left: list[PageBlock] = []
    types = [block.raw["type"] for block in blocks]
    for place, block in enumerate(blocks):
        if types[place] != FORMULA_NUMBER:
            left.append(block)
            continue
        following = types[place + 1 : place + 3]
        if place and types[place - 1] == "equation":
            _merge(blocks[place - 1], block)
        elif following[:1] == ["equation"] and following[1:] != [FORMULA_NUMBER]:
            _merge(blocks[place + 1], block)
        else:
            block.raw["type"] = "text"
            block.raw.setdefault("lines", [{"bbox": block.raw["bbox"]}])
            left.append(block)
    return left


def _merge(equation: PageBlock, number: PageBlock) -> None:
    equation.raw["bbox"] = list(union([equation.raw["bbox"], number.raw["bbox"]]))
    text = plain_text(number.raw)
    if equation.raw.get("content"):
        latex = equation.raw["content"].strip().removeprefix("\\[").removesuffix("\\]").strip()
        equation.raw["content"] = tagged_formula(latex, text) or latex
    elif text:
        equation.characters = f"{equation.characters} {text}".strip()
