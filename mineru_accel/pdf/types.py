"""What workers and the pipeline tell each other about documents and pages. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Key:
    """Names one document as the workers know it."""

    path: str
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class DocumentInfo:
    """What the pipeline needs to know of a document before its first page."""

    page_sizes: list[tuple[float, float]]
    """Displayed width and height in points, one per page."""
    digest: str = ""
    """SHA-256 of the file."""


@dataclass(frozen=True, slots=True)
class OcrLayer:
    """A scanned page's text layer.

    ``pdf`` holds one page of the same size as the scan, straightened by ``angle`` degrees (counter-clockwise as seen)
    about its centre.
    """

    pdf: bytes
    angle: float
    lines: int
    score: float
    """Mean confidence of the lines, weighted by length; 0 where there are none."""


@dataclass(slots=True)
class PageSource:
    """Where the text of a page comes from."""

    index: int
    """0-based page number."""
    ocr: OcrLayer | None = None
    """The text layer that OCR made, if there is one."""
    why_ocr: str | None = None
    """Why the page's own text layer is not sound, if it is not."""


@dataclass(slots=True)
class PageRead:
    """A page, ready for layout."""

    size: tuple[float, float]
    """Displayed width and height in points."""
    ocr: OcrLayer | None
    """The text layer that OCR made, where the page's own is missing or unsound."""
    why_ocr: str | None
    pixels: tuple[int, int, int] | None
    """Shape (H, W, 3) of what was rendered into the slot, straightened as ``ocr`` says."""
    timings: dict[str, float] = field(default_factory=dict)
