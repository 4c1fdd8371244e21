"""The state of a document that is being converted. Only the scheduler's thread reads and writes it."""

from __future__ import annotations

import math
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..document import DocumentResult
from ..events import OnEvent
from .document_folder import DocumentFolder
from .page_jobs import PageJobs
from .pages import Pages
from .statistics import RunStatistics


@dataclass(slots=True, eq=False)
class DocumentState:
    """A document on its way."""

    folder: DocumentFolder
    """The folder where it is made."""
    jobs: PageJobs
    """Makes its jobs."""
    future: Future[DocumentResult]
    on_event: OnEvent | None = None
    """Listener to this document's events, beside the scheduler's own."""
    statistics: RunStatistics | None = None
    """Statistics of the call that it belongs to."""
    number: int = -1
    """Its place in the order of admission."""
    pages: Pages = field(default_factory=Pages)
    unread_in_chunk: dict[int, int] = field(default_factory=dict)
    """Number of a chunk (pages that are extracted in one job) -> its pages still to be read, once one of them is."""
    parts: int = 0
    """Parts of a long document that have been put together."""
    text_to: int = 0
    """Pages whose text stands in those parts."""
    writing: bool = False
    """Whether a part or its files are being written."""
    running: set[Future[Any]] = field(default_factory=set)
    """Futures of its jobs under way."""
    lost: int = 0
    """Workers that were lost while they opened or wrote it."""
    deadline: float = math.inf
    """Time (``time.monotonic()``) at which it is given up."""
    over: bool = False
    """Whether it has its end: what still comes in of it is of no use."""

    @property
    def path(self) -> Path:
        """The file that is converted."""
        return self.folder.input.path
