"""What the pipeline and the extraction jobs tell each other. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..document import Block, PageStatus, Region, Source
from ..pdf.types import OcrLayer

CHUNK = 16
"""Pages that the native analysis takes together. Running heads, body size and headings are judged over the chunk, so it
doesn't depend on the number of workers; memory does not grow with the document."""


@dataclass(slots=True)
class PageSource:
    """One page to extract: where it lies, and its OCR layer if it has one."""

    index: int
    ocr: OcrLayer | None = None


@dataclass(slots=True)
class PageContent:
    """The blocks of one page in reading order, with the source of each."""

    index: int
    blocks: list[Block] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    """Why that source, one per block; empty where nothing was to be chosen."""
    regions: list[Region] = field(default_factory=list)
    """The region behind each block; empty where there was no detector."""
    status: PageStatus = PageStatus.OK
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)


@dataclass(slots=True)
class PageSummary:
    """A :class:`PageContent` without its blocks, which stay in the spool."""

    index: int
    status: PageStatus
    blocks: int
    sources: list[str]
    warnings: list[str]
    timings: dict[str, float] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
