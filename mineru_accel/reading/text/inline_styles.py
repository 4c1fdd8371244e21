"""What a page says about its text beside the letters: bold, super- and subscripts, links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...document import BBox, Block
from ...pdf.docvortex.pages import TextPage
from ...pdf.docvortex.spans import append_text_span, extend_inline_spans, plain_text_of_spans, text_spans
from .accents import compose_line
from .lines import Line
from .scripts import BODY, SUB, SUPER

_STYLES = {SUPER: "superscript", SUB: "subscript"}

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


def set_scripts(block: Block, lines: Sequence[Line]) -> None:
    """Give a block of spans the scripts of its lines, in place of those it has; nothing where its text is another."""
    if not any(line.marks for line in lines):
        return
    letters = [c for line in lines for c in line.text if not c.isspace()]
    marks = "".join(line.marks or BODY * len("".join(line.text.split())) for line in lines)
    content = block["content"]
    if len(letters) != len(marks) or not isinstance(content, list):
        return
    aligned: list[str] = []
    place = 0
    for char in plain_text_of_spans(content):
        if char.isspace():
            aligned.append(" ")
            continue
        while place < len(letters) and letters[place] != char and letters[place] in "-\u00ad":
            place += 1  # a hyphen at a line's end
        if place == len(letters) or letters[place] != char:
            return
        aligned.append(marks[place])
        place += 1
    block["content"] = _styled(content, iter(aligned))


def _styled(spans: list[dict[str, Any]], marks: Any) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for span in spans:
        if isinstance(span.get("content"), list):
            out.append({**span, "content": _styled(span["content"], marks)})
        elif span["type"] != "text":
            out.append(span)
            for _ in span["content"]:
                next(marks)
        else:
            others = [style for style in span.get("styles", ()) if style not in _STYLES.values()]
            for char in span["content"]:
                mark = next(marks)
                append_text_span(out, char, [*others, _STYLES[mark]] if mark in _STYLES else others)
    return out
