"""Inline markup of the samples: how it is drawn, how it reads as plain text and as Markdown.

``**bold**``, ``*italic*``, ``^superscript^``, ``$math$`` (letters, digits, ``_`` and ``^`` with one
symbol or a braced group, a few Greek letters) and ``[text](url)``. A soft hyphen (U+00AD) marks where
a word may be broken.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

SHY = "\u00ad"
GREEK = {r"\alpha": "α", r"\lambda": "λ", r"\varepsilon": "ε"}

_TOKEN = re.compile(r"\*\*(.+?)\*\*|\*(.+?)\*|\^(.+?)\^|\$(.+?)\$|\[(.+?)\]\((.+?)\)")
_MATH = re.compile(r"\\[a-z]+|[_^](?:\{[^}]*\}|.)|.")


@dataclass(frozen=True)
class Span:
    """A run of text of one look. ``rise`` is in units of the font size."""

    text: str
    bold: bool = False
    italic: bool = False
    scale: float = 1.0
    rise: float = 0.0
    link: str | None = None


def parse(markup: str) -> list[Span]:
    """Split ``markup`` into spans."""
    spans: list[Span] = []
    at = 0
    for match in _TOKEN.finditer(markup):
        if match.start() > at:
            spans.append(Span(markup[at : match.start()]))
        bold, italic, sup, math, label, url = match.groups()
        if bold:
            spans += [replace(s, bold=True) for s in parse(bold)]
        elif italic:
            spans += [replace(s, italic=True) for s in parse(italic)]
        elif sup:
            spans.append(Span(sup, scale=0.65, rise=0.36))
        elif math:
            spans += _math(math)
        else:
            spans.append(Span(label, link=url))
        at = match.end()
    if at < len(markup):
        spans.append(Span(markup[at:]))
    return spans


def _math(source: str) -> list[Span]:
    spans = []
    for token in _MATH.findall(source):
        if token[0] in "_^":
            rise = -0.15 if token[0] == "_" else 0.36
            spans += [replace(s, scale=0.65, rise=rise) for s in _math(token[1:].strip("{}"))]
        else:
            char = GREEK.get(token, token)
            spans.append(Span(char.replace("-", "−"), italic=char.isalpha()))
    return spans


def plain(markup: str) -> str:
    """The text of ``markup`` as a text layer gives it."""
    return "".join(span.text for span in parse(markup)).replace(SHY, "")


def markdown(markup: str) -> str:
    """``markup`` as the Markdown that an ideal run gives."""
    text = _TOKEN.sub(lambda m: f"<sup>{m.group(3)}</sup>" if m.group(3) else m.group(0), markup)
    return text.replace(SHY, "")
