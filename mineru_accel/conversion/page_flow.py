"""The way of the pages through the stages of their route. All of it runs in the scheduler's thread."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..document import PageResult, PageStatus, Region
from ..errors import OutputError, WorkerError
from ..workers.arena import Arena
from .detector_thread import DetectorThread
from .faults import describe
from .pages import PageState
from .routes import Route, Stage
from .state import DocumentState
from .steps import Rank, Steps

if TYPE_CHECKING:
    from ..pdf.types import PageRead
    from ..reading.types import PageSummary, Prepared
    from ..vlm.crop_queue import VlmStage
    from ..vlm.types import Answer

_READ_ATTEMPTS = 2
"""Maximum jobs that read a page, if each loses its worker."""
_ATTEMPTS = 3
"""The same in later stages: one more, since the first job may have been lost by another page of it."""


class PageFlow:
    """Reads the pages of open documents while there is room, and brings each through its route.

    Args:
        steps: starts work and brings its outcomes back.
        route: the stages of every page.
        arena: where the pixels of pages lie between two stages; None if no stage needs them.
        detector: of the stage ``DETECT``.
        vlm: of the stages ``PREPARE`` and ``ASK``.
        max_reading: maximum pages that are being read at a time.
        memory: bytes that pages may hold between two stages; above, no further page is read. Where pages wait for
            others of their document, only the document that came first reads on.
        finish: called with pages that are done; several where they were extracted together.
        end: called with an error that concerns the whole document.
    """

    def __init__(
        self,
        steps: Steps,
        route: Route,
        arena: Arena | None,
        detector: DetectorThread | None,
        vlm: VlmStage | None,
        *,
        max_reading: int,
        memory: int,
        finish: Callable[[DocumentState, list[tuple[PageState, PageResult]]], None],
        end: Callable[[DocumentState, str], None],
    ) -> None:
        self.held_bytes = 0
        """Memory that pages hold between two stages."""
        self._steps = steps
        self._route = route
        self._arena = arena
        self._slot_bytes = arena.slot_bytes if arena else 0
        self._detector = detector
        self._vlm = vlm
        self._max_reading = max_reading
        self._memory = memory
        self._finish = finish
        self._end = end
        self._open: deque[DocumentState] = deque()
        """Documents with unread pages; the first one has the turn."""
        self._reading = 0
        self._start: dict[Stage, Callable[[DocumentState, PageState], None]] = {
            Stage.READ: self._read,
            Stage.DETECT: self._detect,
            Stage.PREPARE: self._prepare,
            Stage.ASK: self._ask,
            Stage.EXTRACT: self._extract_when_read,
        }

    def add(self, document: DocumentState) -> None:
        """Read the document's pages from now on; :meth:`pump` starts it."""
        self._open.append(document)

    def leave(self, document: DocumentState) -> None:
        """The document is over: its pages count no more, and their crops are given up."""
        if self._vlm:
            self._vlm.forget(document.number)
        for page in document.pages.under_way.values():
            self._release_bytes(page)

    def done(self, page: PageState) -> None:
        """A page is done: it holds no memory any more."""
        self._release_bytes(page)

    def pump(self) -> None:
        """Read pages while there is room, taking turns among the open documents."""
        while self._open and self._reading < self._max_reading:
            document = self._open[0]
            if document.over or not document.pages.unread:
                self._open.popleft()
                continue
            if self.held_bytes > self._memory:
                if self._route.pages_together == 1:  # pages that are read come to their end first
                    return
                document = min((d for d in self._open if d.pages.unread and not d.over), key=lambda d: d.number)
            slot = None
            if self._arena:
                slot = self._arena.acquire()
                if slot is None:
                    return
            self._open.rotate(-1)
            page = document.pages.take()
            page.slot = slot
            self._read(document, page)

    # Between the stages

    def _passed(self, document: DocumentState, page: PageState, error: Exception | None) -> None:
        """A stage is over for a page: give back the slot if the rest of the route needs none, and go on."""
        if error is not None or document.over or not self._route.needs_slot(page.step + 1):
            self._free(page)
        if not document.over:
            if error is None:
                page.step += 1
                page.attempts = 0
                self._start[self._route.stages[page.step]](document, page)
            else:
                self._fail(document, page, error)
                self._extract_when_read(document, page)  # the others of its chunk wait for it no longer
        self.pump()

    def _fail(self, document: DocumentState, page: PageState, error: Exception) -> None:
        if isinstance(error, OutputError):
            self._end(document, str(error))
            return
        text = describe(error)
        result = PageResult(page.index, PageStatus.FAILED, text, timings=page.timings, why_ocr=page.why_ocr)
        self._finish(document, [(page, result)])

    def _free(self, page: PageState) -> None:
        if page.slot is not None and self._arena:
            self._arena.release(page.slot)
            page.slot = None

    def _hold_bytes(self, page: PageState, number: int) -> None:
        page.bytes += number
        self.held_bytes += number

    def _release_bytes(self, page: PageState) -> None:
        self.held_bytes -= page.bytes
        page.bytes = 0

    # The stages

    def _read(self, document: DocumentState, page: PageState) -> None:
        self._reading += 1
        page.attempts += 1
        job = document.jobs.read(document.folder, page, self._slot_bytes)
        self._steps.run(document, Rank.READ, job, partial(self._was_read, document, page))

    def _was_read(
        self, document: DocumentState, page: PageState, read: PageRead | None, error: Exception | None
    ) -> None:
        self._reading -= 1
        if not document.over:
            if isinstance(error, WorkerError) and page.attempts < _READ_ATTEMPTS:
                self._read_again(document, page)
                return
            if read is not None:
                page.read = read
                page.timings.update(read.timings)
                page.why_ocr = read.why_ocr if read.ocr else None
                self._hold_bytes(page, len(read.ocr.pdf) if read.ocr else 0)
        self._passed(document, page, error)

    def _read_again(self, document: DocumentState, page: PageState) -> None:
        self._free(page)
        document.pages.put_back(page)
        if document not in self._open:
            self._open.append(document)
        self.pump()

    def _detect(self, document: DocumentState, page: PageState) -> None:
        assert self._detector and page.read and page.read.pixels and page.slot is not None
        then = self._steps.guarded(document, partial(self._detected, document, page))
        self._detector.put(page.read.pixels, page.slot, then)

    def _detected(
        self, document: DocumentState, page: PageState, regions: list[Region], seconds: float, error: Exception | None
    ) -> None:
        page.timings["layout"] = seconds
        page.regions = regions
        self._passed(document, page, error)

    def _prepare(self, document: DocumentState, page: PageState) -> None:
        assert self._vlm
        page.attempts += 1
        job = document.jobs.prepare(document.folder, page, self._slot_bytes, self._vlm.engine)
        self._steps.run(document, Rank.PREPARE, job, partial(self._was_prepared, document, page))

    def _was_prepared(
        self, document: DocumentState, page: PageState, prepared: Prepared | None, error: Exception | None
    ) -> None:
        if not document.over:
            if isinstance(error, WorkerError) and page.attempts < _ATTEMPTS:
                self._prepare(document, page)
                return
            if prepared is not None:
                page.prepared = prepared
                _add_times(page, prepared.timings)
                if not prepared.crops:  # nothing to ask: on to the last stage
                    page.vlm = prepared.draft, []
                    page.step = len(self._route.stages) - 2
        self._passed(document, page, error)

    def _ask(self, document: DocumentState, page: PageState) -> None:
        assert self._vlm and page.prepared
        self._hold_bytes(page, page.prepared.own_bytes)
        then = self._steps.guarded(document, partial(self._answered, document, page))
        self._vlm.ask((document.number, page.position), page.prepared.crops, page.slot, then)

    def _answered(
        self, document: DocumentState, page: PageState, answers: list[Answer], seconds: float, error: Exception | None
    ) -> None:
        prepared, page.prepared = page.prepared, None
        if not document.over and prepared:  # else its bytes were counted out when the document ended
            self._hold_bytes(page, -prepared.own_bytes)
            _add_times(page, {"vlm": seconds})
            page.vlm = prepared.draft, answers
        self._passed(document, page, error)

    def _extract_when_read(self, document: DocumentState, page: PageState) -> None:
        """Extract a page as soon as all pages are read, or have failed, that are extracted with it."""
        if document.over:
            return
        size = self._route.pages_together
        number = page.position // size
        chunk = range(number * size, min((number + 1) * size, len(document.pages)))
        unread = document.unread_in_chunk.pop(number, len(chunk)) - 1
        if unread:
            document.unread_in_chunk[number] = unread
        elif pages := [document.pages.under_way[p] for p in chunk if p in document.pages.under_way]:
            self._extract(document, pages)

    def _extract(self, document: DocumentState, pages: list[PageState]) -> None:
        for page in pages:
            page.attempts += 1
        job = document.jobs.extract(document.folder, pages)
        self._steps.run(document, Rank.EXTRACT, job, partial(self._extracted, document, pages))

    def _extracted(
        self,
        document: DocumentState,
        pages: list[PageState],
        summaries: list[PageSummary] | None,
        error: Exception | None,
    ) -> None:
        if document.over:
            return
        if summaries is not None:
            self._finish(document, [(p, _result(p, s)) for p, s in zip(pages, summaries, strict=True)])
        elif isinstance(error, OutputError):
            self._end(document, str(error))
        elif len(pages) > 1:
            for page in pages:  # find the one that is to blame
                self._extract(document, [page])
        elif isinstance(error, WorkerError) and pages[0].attempts < _ATTEMPTS:
            self._extract(document, pages)
        elif error is not None:
            self._fail(document, pages[0], error)


def _add_times(page: PageState, seconds: dict[str, float]) -> None:
    for stage, some in seconds.items():
        page.timings[stage] = page.timings.get(stage, 0.0) + some


def _result(page: PageState, summary: PageSummary) -> PageResult:
    page.timings.update(summary.timings)
    return PageResult(
        page.index,
        summary.status,
        None,
        summary.blocks,
        [sys.intern(s) for s in summary.sources],
        summary.reasons,
        list(summary.warnings),
        page.timings,
        page.why_ocr,
        summary.words,
    )
