"""Jobs of the workers that write documents, and their results. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..document import BBox
from ..options import Format, Images
from ..pdf.types import Key

PART = 64
"""Pages of a long document that are assembled together."""
AHEAD = 2
"""Pages after a part that have to be converted before it: they tell which paragraphs go on."""


@dataclass(slots=True)
class Writing:
    """A document, or pages around a part of it, to be assembled from its page store."""

    key: Key
    name: str
    staging: str
    pages: list[int]
    """0-based numbers of the converted pages, or of those around a part."""
    whole: bool
    """Whether these are all pages of the file."""
    images: Images
    effort: str
    parse_mode: str


@dataclass(slots=True)
class Part:
    """Consecutive pages of a long document; positions count its converted pages."""

    number: int
    start: int
    stop: int
    """Positions of the first page and after the last one."""
    text_from: int
    """Position of the first page whose text is not written yet: a paragraph is never cut."""
    count: int
    """Number of converted pages of the document."""

    @property
    def around(self) -> tuple[int, int]:
        """Positions of the first page that the part depends on, and after the last one."""
        return max(0, min(self.start, self.text_from) - 1), min(self.count, self.stop + AHEAD)


@dataclass(slots=True)
class PartJob:
    """A part to be assembled by a worker."""

    document: Writing
    """With the pages around the part."""
    part: Part
    formats: tuple[Format, ...]
    until: int | None
    """0-based page after the last that the layout PDF shows with this part; None: up to the end."""


@dataclass(slots=True)
class PartDone:
    """The result of a :class:`PartJob`."""

    text_to: int
    """Position of the first page whose text the next part writes."""
    warnings: dict[int, list[str]] = field(default_factory=dict)
    """By 0-based page."""
    seconds: float = 0.0
    """Time that it took."""


@dataclass(slots=True)
class WriteJob:
    """A document whose files a worker is to write."""

    document: Writing
    formats: tuple[Format, ...]
    parts: int
    """Number of parts assembled already; 0 for a document that is not assembled in parts."""


@dataclass(slots=True)
class Written:
    """The result of a :class:`WriteJob`."""

    files: dict[str, str] = field(default_factory=dict)
    """File names by format."""
    warnings: dict[int, list[str]] = field(default_factory=dict)
    """By 0-based page."""
    failed_formats: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    """Time that it took."""

    def add(self, other: Written) -> None:
        """Add the result of another job for the same document."""
        self.files |= other.files
        self.warnings |= other.warnings  # each job that assembles the document has the same
        self.failed_formats |= other.failed_formats
        self.seconds += other.seconds


@dataclass(slots=True)
class RegionView:
    """One region of a page, in reading order."""

    type: str
    """MinerU's type of the block."""
    label: str
    """The detector's class."""
    score: float | None
    source: str
    bbox: BBox
    passage: int | None = None
    """Number of the passage of the Markdown that holds its content; None for running heads and the like, which the
    Markdown leaves out."""


@dataclass(slots=True)
class PageView:
    """A page's regions, and its Markdown in passages, each of one region or several (a figure and its caption)."""

    regions: list[RegionView] = field(default_factory=list)
    passages: list[str] = field(default_factory=list)
