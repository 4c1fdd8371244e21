"""docvortex's model-free analysis: regions, order and content of pages in one step."""

from __future__ import annotations

from typing import Any

from docvortex.analyzers.native import PdfModel

from ...document import Block
from .pages import TextPages


def analyze(pages: TextPages) -> list[list[Block]]:
    """Blocks of each page, with bboxes in fractions of it; pages are compared to find running heads and headings."""
    return PdfModel().predict(_Source(pages))  # type: ignore[arg-type]  # only the protocol is used


class _Source:
    """docvortex's ``NativePdfSource`` protocol, whose members are private by name."""

    def __init__(self, pages: TextPages) -> None:
        self._pages = pages
        self.page_count = len(pages)

    def _extract_native_page(self, number: int) -> Any:
        return self._pages.native_snapshot(number)
