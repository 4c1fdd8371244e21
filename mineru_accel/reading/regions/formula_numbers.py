"""Folds numbers of formulas into the formulas as ``\\tag{...}``, by MinerU's rule."""

from __future__ import annotations

from collections.abc import Sequence

from ...pdf.docvortex.spans import tagged_formula
from ..geometry import union
from ..text.inline_styles import plain_text
from ..types import PageBlock

FORMULA_NUMBER = "formula_number"


def fold_formula_numbers(blocks: Sequence[PageBlock]) -> list[PageBlock]:
    """Fold each number into the formula before it, or else the one after it; a number without a formula becomes text.

    Args:
        blocks: in reading order; changed in place.

    Returns:
        The blocks without the folded numbers.
    """
    kept: list[PageBlock] = []
    types = [block.raw["type"] for block in blocks]
    for place, block in enumerate(blocks):
        if types[place] != FORMULA_NUMBER:
            kept.append(block)
            continue
        following = types[place + 1 : place + 3]
        if place and types[place - 1] == "equation":
            _fold_into(blocks[place - 1], block)
        elif following[:1] == ["equation"] and following[1:] != [FORMULA_NUMBER]:
            _fold_into(blocks[place + 1], block)
        else:
            block.raw["type"] = "text"
            block.raw.setdefault("lines", [{"bbox": block.raw["bbox"]}])
            kept.append(block)
    return kept


def _fold_into(equation: PageBlock, number: PageBlock) -> None:
    equation.raw["bbox"] = list(union([equation.raw["bbox"], number.raw["bbox"]]))
    text = plain_text(number.raw)
    if equation.raw.get("content"):
        latex = equation.raw["content"].strip().removeprefix("\\[").removesuffix("\\]").strip()
        equation.raw["content"] = tagged_formula(latex, text) or latex
    elif text:
        equation.formula_text = f"{equation.formula_text} {text}".strip()
