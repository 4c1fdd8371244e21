"""What a page says about its text beside the letters: bold, super- and subscripts, links."""

from __future__ import annotations

from dataclasses import replace

from docvortex.analyzers.pdf import apply_text_evidence, prepare_text_evidence
from docvortex.document.pdf import PDFPage, PDFPageSnapshot

from ..document import BBox, Block
from .accents import compose_line


def mark_up(blocks: list[Block], page: PDFPage, snapshot: PDFPageSnapshot, tables: list[BBox] | None = None) -> None:
    """Turn the plain text of blocks, in place, into spans with the styles, scripts and links that the page has there.

    Args:
        blocks: with unit bboxes.
        tables: boxes in points whose text is no running text.
    """
    evidence = prepare_text_evidence(page, snapshot=snapshot, table_regions=tables or ())
    evidence = replace(
        evidence,
        styles=tuple(compose_line(line, "style_ranges") for line in evidence.styles),
        links=tuple(compose_line(line, "link_ranges") for line in evidence.links),
        scripts=tuple(compose_line(line, "script_ranges") for line in evidence.scripts),
    )
    apply_text_evidence(blocks, evidence)
