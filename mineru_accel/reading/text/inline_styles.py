"""Inline styles of a block's text: bold, superscript, subscript, links."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
"""Types of blocks whose content MinerU keeps as spans."""


def apply_styles(blocks: list[Block], page: TextPage, tables: Sequence[BBox] = ()) -> None:
    """Turn the plain text of blocks, in place, into spans with the styles, scripts and links of the page.

    Args:
        blocks: with bboxes in fractions of the page.
        tables: boxes in points whose text is not running text.
    """
    page.apply_styles(blocks, tables, compose_evidence_line)
    make_literal_spans(blocks)


def plain_text(block: Block) -> str:
    """A block's text without markup."""
    content = block.get("content")
    return content if isinstance(content, str) else plain_text_of_spans(content or [])


def make_literal_spans(blocks: Iterable[Block]) -> None:
    r"""Turn strings into spans, in place: in a string MinerU would take a printed ``\(...\)`` for LaTeX."""
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
    """Replace the scripts of a block of spans by those of its lines, in place.

    A block whose text is not that of the lines stays as it is.
    """
    if not any(line.scripts for line in lines):
        return
    letters = [c for line in lines for c in line.text if not c.isspace()]
    codes = "".join(line.scripts or BODY * len("".join(line.text.split())) for line in lines)
    content = block["content"]
    if len(letters) != len(codes) or not isinstance(content, list):
        return
    aligned: list[str] = []
    next_letter = 0
    for char in plain_text_of_spans(content):
        if char.isspace():
            aligned.append(" ")
            continue
        while next_letter < len(letters) and letters[next_letter] != char and letters[next_letter] in "-\u00ad":
            next_letter += 1  # a hyphen at a line's end, which joining the lines has removed
        if next_letter == len(letters) or letters[next_letter] != char:
            return
        aligned.append(codes[next_letter])
        next_letter += 1
    block["content"] = _with_scripts(content, iter(aligned))


def _with_scripts(spans: list[dict[str, Any]], codes: Iterator[str]) -> list[dict[str, Any]]:
    """Spans whose characters take their scripts from ``codes``, one code a character."""
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
