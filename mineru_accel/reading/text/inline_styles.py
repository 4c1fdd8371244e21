"""What a page says about its text beside the letters: bold, super- and subscripts, links."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from ...document import BBox, Block
from ...pdf.docvortex.pages import TextPage
from ...pdf.docvortex.spans import append_text_span, extend_inline_spans, plain_text_of_spans, text_spans
from .accents import compose_evidence_line
from .lines import Line
from .scripts import BODY, SUB, SUPER

_STYLES = {SUPER: "superscript", SUB: "subscript"}

_SPAN_TYPES = frozenset(
    {
        *("text", "doc_title", "paragraph_title", "caption", "footnote"),
        *("header", "footer", "page_number", "aside_text", "page_footnote"),
    }
)
"""Blocks whose content MinerU has as spans."""


def apply_styles(blocks: list[Block], page: TextPage, tables: Sequence[BBox] = ()) -> None:
    """Turn the plain text of blocks, in place, into spans with the styles, scripts and links that the page has there.

    Args:
        blocks: with unit bboxes.
        tables: boxes in points whose text is no running text.
    """
    page.apply_styles(blocks, tables, compose_evidence_line)
    make_literal_spans(blocks)


def plain_text(block: Block) -> str:
    """A block's text without markup."""
    content = block.get("content")
    return content if isinstance(content, str) else plain_text_of_spans(content or [])


def make_literal_spans(blocks: Iterable[Block]) -> None:
    r"""Turn what a page says in so many characters into spans, in place: in strings ``\(...\)`` is LaTeX."""
    for block in blocks:
        content = block["content"]
        if block["type"] in _SPAN_TYPES and isinstance(content, str):
            block["content"] = text_spans(content)
        elif isinstance(content, list) and any(span["type"] == "equation_inline" for span in content):
            literal: list[dict[str, Any]] = []
            for span in content:
                formula = span["type"] == "equation_inline"
                extend_inline_spans(literal, text_spans(rf"\({span['content']}\)") if formula else [span])
            block["content"] = literal


def set_scripts(block: Block, lines: Sequence[Line]) -> None:
    """Give a block of spans the scripts of its lines, in place of those it has; nothing where its text is another."""
    if not any(line.scripts for line in lines):
        return
    letters = [c for line in lines for c in line.text if not c.isspace()]
    codes = "".join(line.scripts or BODY * len("".join(line.text.split())) for line in lines)
    content = block["content"]
    if len(letters) != len(codes) or not isinstance(content, list):
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
        aligned.append(codes[place])
        place += 1
    block["content"] = _with_scripts(content, iter(aligned))


def _with_scripts(spans: list[dict[str, Any]], codes: Any) -> list[dict[str, Any]]:
    out: list[dict[str, Any]] = []
    for span in spans:
        if isinstance(span.get("content"), list):
            out.append({**span, "content": _with_scripts(span["content"], codes)})
        elif span["type"] != "text":
            out.append(span)
            for _ in span["content"]:
                next(codes)
        else:
            others = [style for style in span.get("styles", ()) if style not in _STYLES.values()]
            for char in span["content"]:
                code = next(codes)
                append_text_span(out, char, [*others, _STYLES[code]] if code in _STYLES else others)
    return out
