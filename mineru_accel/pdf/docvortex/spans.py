"""Inline spans, as MinerU's blocks hold text: ``{"type": "text", "content": ..., "styles": [...]}`` and the like."""

from __future__ import annotations

from docvortex.content.spans import append_text_span, extend_inline_spans, slice_span_dicts, text_spans
from docvortex.content.spans import inline_span_plain_text as plain_text_of_spans
from docvortex.content.text import build_tagged_formula_content as tagged_formula

__all__ = [
    "append_text_span",
    "extend_inline_spans",
    "plain_text_of_spans",
    "slice_span_dicts",
    "tagged_formula",
    "text_spans",
]
