"""Cuts fragments where their text stands apart: pdfium joins columns side by side to one line."""

from __future__ import annotations

from collections.abc import Iterable

from ...pdf.docvortex.characters import Char
from .lines import Fragment, make_fragment, upright_box

_WIDE = 1.0
"""Line heights; a wider gap is none between words, as in :func:`.lines.to_lines`."""


def cut_at_wide_gaps(fragments: Iterable[Fragment]) -> list[Fragment]:
    """Fragments without gaps wider than a line height."""
    out: list[Fragment] = []
    for fragment in fragments:
        pieces: list[list[Char]] = [[]]
        last = None
        for char in fragment.chars:
            if not char["char"].isspace():
                box = upright_box(char["bbox"], fragment.rotation)
                if last is not None and box[0] - last[2] > _WIDE * (box[3] - box[1]):
                    pieces.append([])
                last = box
            pieces[-1].append(char)
        if len(pieces) == 1:
            out.append(fragment)
        else:
            out += [piece for chars in pieces if (piece := make_fragment(chars)) is not None]
    return out
