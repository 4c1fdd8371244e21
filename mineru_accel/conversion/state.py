"""What the scheduler knows of the documents and pages that are on their way.

A page that is not under way costs five bytes: its number, and whether it is done. What became of it stands in the
document's journal, so that the memory of a run does not grow with its pages.
"""

from __future__ import annotations

import math
from array import array
from collections import deque
from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..document import DocumentResult, PageResult, PageStatus
from ..events import OnEvent
from ..storage.inputs import Input

if TYPE_CHECKING:
    from ..reading.types import Draft
    from ..storage.output_folder import Fingerprint, WorkFolder
    from ..vlm.types import Answer
    from .page_jobs import Stages
    from .statistics import RunStatistics


@dataclass(slots=True)
class PageState:
    """A page on its way."""

    index: int
    position: int
    """Place among the converted pages of its document."""
    read: Any = None
    slot: int | None = None
    attempts: int = 0
    vlm: tuple[Draft, list[Answer]] | None = None
    """What the VLM said of it."""
    timings: dict[str, float] = field(default_factory=dict)
    why_ocr: str | None = None
    bytes: int = 0
    """What it holds in memory between two stages."""


class Pages:
    """The pages of a document that are to be converted, by position, and how far they are."""

    def __init__(self, indices: Iterable[int] = ()) -> None:
        self.indices = array("I", indices)
        """0-based page numbers."""
        self.under_way: dict[int, PageState] = {}
        self.done = self.failed = self.ocr = 0
        """How many."""
        self.prefix = 0
        """How many from the first on are done without a gap."""
        self._is_done = bytearray(len(self.indices))
        self._next = 0
        self._again: deque[PageState] = deque()

    def __len__(self) -> int:
        return len(self.indices)

    def is_done(self, position: int) -> bool:
        return bool(self._is_done[position])

    @property
    def unread(self) -> bool:
        """Is there a page that nobody has begun to read?"""
        while self._next < len(self) and self._is_done[self._next]:
            self._next += 1
        return bool(self._again) or self._next < len(self)

    def take(self) -> PageState:
        """The next one of these."""
        assert self.unread
        if self._again:
            return self._again.popleft()
        page = self.under_way[self._next] = PageState(self.indices[self._next], self._next)
        self._next += 1
        return page

    def put_back(self, page: PageState) -> None:
        """A page is to be read once more."""
        self._again.append(page)

    def finish(self, position: int, result: PageResult) -> None:
        """A page is done."""
        self._is_done[position] = True
        self.under_way.pop(position, None)
        self.done += 1
        self.failed += result.status is PageStatus.FAILED
        self.ocr += result.why_ocr is not None
        while self.prefix < len(self) and self._is_done[self.prefix]:
            self.prefix += 1

    def finished(self, results: dict[int, PageResult]) -> list[PageResult]:
        """Of results by page number those of the pages that are done, in order."""
        return [results[i] for i, done in zip(self.indices, self._is_done, strict=True) if done and i in results]


@dataclass(slots=True)
class DocumentState:
    """A document on its way."""

    number: int
    input: Input
    output: Path
    stages: Stages
    future: Future[DocumentResult]
    started: float
    on_event: OnEvent | None = None
    """Who hears of this document, beside the scheduler's own listener."""
    name: str = ""
    """Of its folder in ``output``, once that is settled."""
    work: WorkFolder | None = None
    """Where its files are made."""
    made_from: Fingerprint = field(default_factory=dict)
    run: RunStatistics | None = None
    """The account that it belongs to."""
    pages: Pages = field(default_factory=Pages)
    whole: bool = True
    chunks: dict[int, int] = field(default_factory=dict)
    """Pages still to be read, by chunk, of the chunks that have been begun."""
    parts: int = 0
    """Parts of a long document that have been put together."""
    text_to: int = 0
    """Pages whose text stands in those parts."""
    writing: bool = False
    jobs: set[Future[Any]] = field(default_factory=set)
    lost: int = 0
    """Workers that were lost while they opened or wrote it."""
    deadline: float = math.inf
    over: bool = False

    @property
    def staging(self) -> Path | None:
        """The folder where its files are made."""
        return self.work.path if self.work else None

    def results(self) -> list[PageResult]:
        """What became of the pages that are done, read back from the journal."""
        return self.pages.finished(self.work.journal.results()) if self.work and self.pages.done else []
