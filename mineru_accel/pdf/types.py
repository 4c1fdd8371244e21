"""Data types of documents and pages that workers and the main process exchange. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from ..document import BBox, Source


@dataclass(frozen=True, slots=True)
class Key:
    """Identifies a document for the workers."""

    path: str
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """Facts about a document that the pipeline needs before its first page."""

    page_sizes: list[tuple[float, float]]
    """Displayed width and height in points, one per page."""
    digest: str = ""
    """SHA-256 of the file."""


@dataclass(frozen=True, slots=True)
class OcrLayer:
    """The text layer that was made for a scanned page, or one whose own can't be read.

    Its PDF has one page of the size of the scan, straightened about its centre.
    """

    pdf: bytes
    angle: float
    """Degrees by which the page was straightened, counter-clockwise as seen."""
    lines: int
    """Number of lines of text."""
    score: float
    """Mean confidence of the lines, weighted by length; 0 where there are none."""
    source: Source = Source.OCR
    """OCR, or the page's own text layer, see :mod:`.plain_layer`."""


class WhyHidden(StrEnum):
    """Why a text object is not part of what a page says."""

    HIDDEN = "hidden"
    LAYER = "off layer"
    OUTSIDE = "outside the page"
    WATERMARK = "watermark"


@dataclass(frozen=True, slots=True)
class HiddenText:
    """A text object that is left out."""

    text: str
    bbox: BBox
    """In points of the page as displayed, origin top left."""
    why: WhyHidden


@dataclass(frozen=True, slots=True)
class HiddenTexts:
    """The text objects of a page that are left out, see :mod:`.visibility`."""

    paths: tuple[tuple[int, ...], ...] = ()
    """Their places on the page, see :data:`.page_objects.Path`."""
    texts: tuple[HiddenText, ...] = ()
    """These texts, and parts of others that something covers."""
    letters: tuple[BBox, ...] = ()
    """Boxes of the letters of those parts, as :attr:`HiddenText.bbox`."""


@dataclass(slots=True)
class PageSource:
    """A page and where its text comes from."""

    index: int
    """0-based page number."""
    ocr: OcrLayer | None = None
    """The text layer that OCR made; None to use the page's own."""
    why_ocr: str | None = None
    """The reason why the page's own text layer is unsound; None if it is sound."""
    hidden: HiddenTexts | None = None
    """What is left out of the page's own text layer; None if that is not known yet."""


@dataclass(slots=True)
class PageRead:
    """Result of :func:`.jobs.read`: a page whose text source is known, rendered for layout."""

    size: tuple[float, float]
    """Displayed width and height in points."""
    ocr: OcrLayer | None
    """The text layer that OCR made; None where the page's own is sound or OCR did not run."""
    why_ocr: str | None
    """The reason for OCR; None where the page's own text layer is sound."""
    pixels: tuple[int, int, int] | None
    """Shape (H, W, 3) of the image in the arena slot, straightened by ``ocr.angle``; None without an image."""
    hidden: HiddenTexts = HiddenTexts()
    """What is left out of the page's own text layer."""
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by step."""
