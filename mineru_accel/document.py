"""The types that travel through the pipeline.

Coordinates: every ``bbox`` is ``(x0, y0, x1, y1)`` as a fraction of the displayed page
(0..1, origin top left, page rotation applied), unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

BBox = tuple[float, float, float, float]
Block = dict[str, Any]
"""One raw block of MinerU's ModelJson (``docvortex.schema``): ``type``, ``bbox``, ``content``, ..."""


VISUAL_TYPES = frozenset({"image", "chart", "table", "equation"})
"""Types of blocks that have a picture."""


class PageStatus(StrEnum):
    """What became of a page. Every input page ends in exactly one of these."""

    OK = "ok"
    FALLBACK = "fallback"  # converted, but some of it by a lesser method than asked for, or in doubt: see its warnings
    FAILED = "failed"


class Source(StrEnum):
    """Where the content of a region came from."""

    TEXT_LAYER = "text-layer"
    OCR = "ocr"
    VLM = "vlm"
    IMAGE = "image"  # kept as a picture only
    FALLBACK = "fallback"  # the VLM failed on it: by a lesser method


@dataclass(slots=True)
class Region:
    """One area of a page as a layout detector sees it."""

    label: str
    """A DocStructBench class, see :mod:`mineru_accel.layout.classes`."""
    bbox: BBox
    score: float = 1.0


@dataclass(frozen=True, slots=True)
class Found:
    """How one block of a page was found."""

    label: str
    """The detector's class, see :mod:`mineru_accel.layout.classes`; without a detector the block's own type."""
    score: float | None
    """The detector's, 0 for text that it missed; None without a detector."""
    source: str
    """Where its content came from, a :class:`Source`."""
    formula_text: str = ""
    """Characters of a formula in the text layer: written where the formula is kept as a picture."""


@dataclass(slots=True)
class PageResult:
    """What the report says of one page."""

    index: int
    status: PageStatus
    error: str | None = None
    regions: int = 0
    sources: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    """Why that source, where there is something to say; one per source, or none at all."""
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by stage."""
    why_ocr: str | None = None
    """The reason, if the page was read by OCR."""
    turned: int = 0
    """Degrees by which the page was turned counter-clockwise to be read: 0, 90, 180 or 270. All bboxes are of the page
    as displayed."""
    words: dict[str, Any] | None = None
    """What became of the words that the page shows: ``seen``, ``written`` (in its content), ``furniture`` (in running
    heads, feet, page numbers and notes), ``left_out`` (number by reason), ``missing`` (in no block), ``invented``
    (written more often than shown), and ``words``: text, bbox and reason of what is left out or missing. None where
    neither a text layer nor OCR of the whole page tells what is there."""


@dataclass(slots=True)
class DocumentResult:
    """One converted document.

    ``error`` is set when the whole document failed; ``pages`` says what became of each page.
    """

    path: Path
    name: str
    """Name of the output folder and stem of its files."""
    output_dir: Path | None
    backend: str
    layout: str
    pages: list[PageResult] = field(default_factory=list)
    files: dict[str, Path] = field(default_factory=dict)
    """Written files by format name."""
    error: str | None = None
    seconds: float = 0.0
    skipped: bool = False
    """True when results were there already and were left as they are."""
    _keep: object = field(default=None, repr=False, compare=False)
    """Holds the temporary folder of a conversion without an output folder."""

    @property
    def ok(self) -> bool:
        """True when the document and every page of it came out well."""
        return self.error is None and all(p.status in (PageStatus.OK, PageStatus.FALLBACK) for p in self.pages)

    @property
    def markdown(self) -> str:
        """The document as Markdown, read back from the file that was written.

        Raises:
            KeyError: if ``md`` was not among the formats.
        """
        return self.files["md"].read_text(encoding="utf-8")
