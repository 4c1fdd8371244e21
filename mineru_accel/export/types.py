"""What the pipeline and the writer tell each other. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..document import BBox
from ..options import Format, Images
from ..pdf.types import Key


@dataclass(slots=True)
class WriteJob:
    """What a worker needs to write a document's files from its spooled pages."""

    key: Key
    name: str
    staging: str
    pages: list[int]
    """0-based numbers of the converted pages."""
    whole: bool
    """Are these all pages of the document?"""
    formats: tuple[Format, ...]
    images: Images
    effort: str
    parse_mode: str


@dataclass(slots=True)
class Written:
    """What became of a :class:`WriteJob`."""

    files: dict[str, str] = field(default_factory=dict)
    """File names by format."""
    warnings: dict[int, list[str]] = field(default_factory=dict)
    """By 0-based page."""
    failed_formats: dict[str, str] = field(default_factory=dict)


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
    part: int | None = None
    """Number of the part of the Markdown that says it; None for running heads and the like, which it leaves out."""


@dataclass(slots=True)
class PageView:
    """A page's regions, and its Markdown in parts that belong to one region or several (a figure and its caption)."""

    regions: list[RegionView] = field(default_factory=list)
    parts: list[str] = field(default_factory=list)
