"""Characters of formulas that are kept as pictures: they stand where the picture does, so that no text is lost."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from ..document import Block

FormulaTexts = Mapping[str, str]
"""Characters of a formula by the source of its picture, as Markdown and the content list name it."""

_PICTURE = re.compile(r"!\[\]\(([^()\s]+)\)")
_ACTIVE = re.compile(r"([\\`*_{}\[\]<>&$|~])")
"""What Markdown could take for a mark in a picture's alternative text."""


def with_alternative_texts(markdown: str, texts: FormulaTexts) -> str:
    """Markdown in which each formula's picture has the formula's characters as its alternative text."""
    if not texts:
        return markdown

    def described(match: re.Match[str]) -> str:
        text = texts.get(match[1])
        return f"![{alternative_text(text)}]({match[1]})" if text else match[0]

    return _PICTURE.sub(described, markdown)


def alternative_text(text: str) -> str:
    """Text as the alternative text of a picture in Markdown: in one line, and none of it active."""
    return _ACTIVE.sub(r"\\\1", " ".join(text.split()))


def add_formula_texts(items: list[Any], texts: FormulaTexts) -> list[Any]:
    """A content list (changed in place) in which formulas kept as pictures have their characters as ``text``.

    They are no LaTeX: there is no ``text_format``.
    """
    for item in items if texts else ():
        if item.get("type") == "equation" and not item.get("text") and (text := texts.get(item.get("img_path") or "")):
            item["text"] = text
    return items


def as_text_block(formula: Block, text: str) -> Block:
    """A text block in place of a formula that has characters but no picture."""
    bbox = formula["bbox"]
    return {"type": "text", "bbox": bbox, "angle": 0, "content": text, "lines": [{"bbox": bbox}]}
