"""The events of a run. Progress bars, plain lines, JSON lines and the API all read this one stream."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from .document import Block, DocumentResult, PageStatus
from .storage import page_store


@dataclass(frozen=True, slots=True)
class Event:
    """Base of all events."""

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with the event's name under ``event``."""
        return {"event": _snake(type(self).__name__), **asdict(self)}


@dataclass(frozen=True, slots=True)
class RunStarted(Event):
    """A run begins; ``documents`` inputs will be converted."""

    documents: int
    backend: str
    layout: str
    reason: str
    """Why this back end and layout, in one line."""


@dataclass(frozen=True, slots=True)
class DocumentStarted(Event):
    """A document was opened."""

    document: int
    path: str
    name: str
    pages: int
    """Pages to convert."""
    total: int
    """Pages of the file."""
    resumed: int = 0
    """Pages that an earlier run has done; they get no events."""


@dataclass(frozen=True, slots=True)
class PageDone(Event):
    """A page has been converted, or given up."""

    document: int
    index: int
    """0-based page number."""
    status: PageStatus
    error: str | None
    seconds: float
    """Time that its stages took."""
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by stage."""
    staging: Path | None = None
    """Folder in which the document is being made."""

    def blocks(self) -> list[Block]:
        """The page's blocks in reading order, raw as in ``_model.json``.

        Call it while the event is handled: they are moved when the document is complete.
        """
        return page_store.read_page(self.staging, self.index) if self.staging else []

    def to_dict(self) -> dict[str, Any]:
        return {k: v for k, v in Event.to_dict(self).items() if k != "staging"}


@dataclass(frozen=True, slots=True)
class DocumentDone(Event):
    """A document is written, or it failed."""

    document: int
    result: DocumentResult

    def to_dict(self) -> dict[str, Any]:
        r = self.result
        return {
            "event": "document_done",
            "document": self.document,
            "path": str(r.path),
            "name": r.name,
            "output_dir": str(r.output_dir) if r.output_dir else None,
            "ok": r.ok,
            "skipped": r.skipped,
            "error": r.error,
            "pages": len(r.pages),
            "failed_pages": [p.index for p in r.pages if p.status is PageStatus.FAILED],
            "seconds": round(r.seconds, 3),
        }


@dataclass(frozen=True, slots=True)
class RunDone(Event):
    """The run is over: its figures, see :class:`~mineru_accel.conversion.statistics.RunStatistics`."""

    documents: int
    failed_documents: int
    skipped_documents: int
    pages: int
    page_status: dict[str, int]
    resumed_pages: int
    seconds: float
    pages_per_second: float
    """Of the pages that this run converted."""
    stage_seconds: dict[str, float]
    """Seconds of work by stage, over all workers."""
    ocr_pages: dict[str, int]
    """Pages read by OCR, by reason."""
    words: dict[str, Any]
    """Words of all pages by what became of them, as in :attr:`~mineru_accel.document.PageResult.words`."""
    stopped: str | None
    """Why the run was given up early; None if it was not."""
    failures: list[dict[str, Any]]
    """``path``, ``error`` and, where it is one page, its 1-based ``page``; at most a thousand."""

    @property
    def failed_pages(self) -> int:
        return self.page_status.get(PageStatus.FAILED, 0)


def as_json(value: Any, **kwargs: Any) -> str:
    """JSON with readable text; bytes of file names that are no UTF-8 make all of it escaped."""
    text = json.dumps(value, ensure_ascii=False, default=str, **kwargs)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, default=str, **kwargs)
    return text


OnEvent = Callable[[Event], None]


def _snake(name: str) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
