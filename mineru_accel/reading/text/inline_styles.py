"""What a page says about its text beside the letters: bold, super- and subscripts, links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...document import BBox, Block
from ...pdf.docvortex.pages import TextPage
from ...pdf.docvortex.spans import extend_inline_spans, plain_text_of_spans, text_spans
from .accents import compose_line

_TEXT = frozenset(
    {
        *("text", "doc_title", "paragraph_title", "caption", "footnote"),
        *("header", "footer", "page_number", "aside_text", "page_footnote"),
    }
)
"""Blocks whose content MinerU has as spans."""


def mark_up(blocks: list[Block], page: TextPage, tables: Sequence[BBox] = ()) -> None:
    """Turn the plain text of blocks, in place, into spans with the styles, scripts and links that the page has there.

    Args:
        blocks: with unit bboxes.
        tables: boxes in points whose text is no running text.
    """
    page.apply_styles(blocks, tables, compose_line)
    make_literal(blocks)


def plain_text(block: Block) -> str:
    """A block's text without markup."""
    content = block.get("content")
    return content if isinstance(content, str) else plain_text_of_spans(content or [])


def make_literal(blocks: Iterable[Block]) -> None:
    r"""Turn what a page says in so many characters into spans, in place: in strings ``\(...\)`` is LaTeX."""
    for block in blocks:
        content = block["content"]
        if block["type"] in _TEXT and isinstance(content, str):
            block["content"] = text_spans(content)
        elif isinstance(content, list) and any(span["type"] == "equation_inline" for span in content):
            literal: list[dict[str, Any]] = []
            for span in content:
                formula = span["type"] == "equation_inline"
                extend_inline_spans(literal, text_spans(rf"\({span['content']}\)") if formula else [span])
            block["content"] = literal
