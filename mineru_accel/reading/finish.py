"""What every page needs at its end."""

from __future__ import annotations

from ..document import PageStatus, Source
from .geometry import tilt
from .types import PageContent, PageSource


def finish(content: PageContent, page: PageSource, size: tuple[float, float]) -> None:
    """What every page needs at the end: bboxes on the page as displayed, a word on formulas kept as pictures."""
    if page.ocr and page.ocr.angle:
        for block in content.blocks:
            block["bbox"] = tilt(block["bbox"], page.ocr.angle, size)
            for line in block.get("lines") or ():
                line["bbox"] = tilt(line["bbox"], page.ocr.angle, size)
    formulas = sum(
        b["type"] == "equation" and s is not Source.VLM for b, s in zip(content.blocks, content.sources, strict=True)
    )
    if formulas:
        content.status = PageStatus.FALLBACK
        content.warnings.append(f"{formulas} display formula(s) kept as pictures: LaTeX needs a VLM")
