"""The scheduler: brings documents from their files to their results, each page exactly once.

::

    open -> inspect -> begin -> [ a page's route ] per page -> (part) per 64 pages -> write -> publish

A page's route is a row of :mod:`.routes`. Workers do most stages; the detector, the VLM and the disk have threads of
their own. One thread owns all state: it runs the messages of its inbox, one by one, and everybody else (submit, cancel
and close among them) only leaves messages there. Knows nothing of PDFs or formats: it runs what
:class:`~.page_jobs.PageJobs` and :class:`~.document_folder.DocumentFolder` make.

Contract: a page that fails costs itself; a worker that dies is replaced and its page tried again, alone; an error that
concerns the document (unreadable file, full disk) ends that document; the others go on. A page that is done is in the
document's journal before anybody hears of it, so a killed run is continued with the pages that it had not done. A
document's future has its result when its files are in their place, or nothing of it is left.
"""

from __future__ import annotations

import math
import queue
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import Future
from functools import partial
from typing import TYPE_CHECKING, Any

from loguru import logger

from ..document import DocumentResult, PageResult
from ..errors import OutputError, internal_error
from ..events import DocumentDone, DocumentStarted, Event, OnEvent, PageDone
from ..export.types import Written
from ..storage.journal import Entry, page_entry
from ..workers.arena import Arena
from ..workers.pool import WorkerPool
from ..workers.trace import Tracer
from .admission import Admission
from .assembly import Assembly
from .detector_thread import DetectorThread
from .disk_thread import DiskThread
from .document_folder import DocumentFolder
from .faults import report_fault
from .inbox import Inbox
from .page_flow import PageFlow
from .page_jobs import PageJobs
from .pages import Pages, PageState
from .routes import Route
from .state import DocumentState
from .statistics import RunStatistics
from .steps import Steps

if TYPE_CHECKING:
    from ..layout.protocol import LayoutDetector
    from ..vlm.crop_queue import VlmStage

_MB = 1 << 20


class Scheduler:
    """Runs documents through the stages.

    Args:
        route: the stages of every page.
        pool: where jobs run. Closed with the scheduler, as the following are.
        on_event: called from the scheduler's thread for every event.
        arena: where the pixels of pages lie on their way to the detector and the VLM.
        detector: finds the regions of pages.
        vlm: reads regions.
        tracer: told when the detector worked.
        memory: bytes that pages may hold between two stages, see :class:`~.page_flow.PageFlow`.
    """

    def __init__(
        self,
        route: Route,
        pool: WorkerPool,
        on_event: Callable[[Event], None],
        *,
        arena: Arena | None = None,
        detector: LayoutDetector | None = None,
        vlm: VlmStage | None = None,
        tracer: Tracer | None = None,
        memory: int = 256 * _MB,
    ) -> None:
        self.inbox = Inbox()
        self.vlm = vlm
        self._pool = pool
        self._arena = arena
        self._emit = on_event
        self._documents: dict[int, DocumentState] = {}
        self._admitted = 0
        self._ending = 0
        """Documents that have their end, whose folders are being finished."""
        self._pool_closed = threading.Event()
        self._seen_all = False
        """Whether all messages are made that came in before the inbox was closed."""
        self._disk = DiskThread(self.inbox)
        self._detector = None
        if detector and arena:
            self._detector = DetectorThread(detector, self.inbox, arena, tracer or Tracer(None))
        if vlm:
            vlm.post = self.inbox.post
        self._steps = Steps(self.inbox, pool, self._disk, self._fault)
        self._flow = PageFlow(
            self._steps,
            route,
            arena,
            self._detector,
            vlm,
            max_reading=2 * pool.size,
            memory=memory,
            finish=self._finish,
            end=self._end,
        )
        self._admission = Admission(self._steps, route.pages_together, self._begun, self._end)
        self._assembly = Assembly(self._steps, self._note, self._end, self._is_idle)
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def submit(
        self,
        folder: DocumentFolder,
        jobs: PageJobs,
        on_event: OnEvent | None = None,
        statistics: RunStatistics | None = None,
    ) -> Future[DocumentResult]:
        """Convert one document. The future never raises.

        Args:
            folder: which document, and where it is made.
            jobs: how it is converted.
            on_event: also called for this document's events; by the scheduler's thread, so it should be quick.
            statistics: of the call that it belongs to.

        Raises:
            RuntimeError: if the scheduler is closed.
        """
        document = DocumentState(folder, jobs, Future(), on_event, statistics)
        document.future.set_running_or_notify_cancel()
        self.inbox.post_work(partial(self._admit, document))
        return document.future

    def cancel(self, futures: Collection[Future[DocumentResult]]) -> None:
        """Give up documents; their futures report that, once nothing of them is left."""

        def end() -> None:
            for document in [d for d in self._documents.values() if d.future in futures]:
                self._end(document, "cancelled")

        self.inbox.post(end)

    @property
    def detector(self) -> LayoutDetector | None:
        """The layout model, if there is one."""
        return self._detector.detector if self._detector else None

    @property
    def held_bytes(self) -> int:
        """Memory that pages hold between two stages."""
        return self._flow.held_bytes

    def close(self) -> None:
        """Stop at once. Documents not finished leave nothing behind; their futures report that."""
        if not self.inbox.close(last=self._see_all):
            return
        self._pool.close()
        self._pool_closed.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=10)
        if self._detector:
            self._detector.close()
        if self.vlm:
            self.vlm.close()
        if self._arena:
            self._arena.close()

    # From here on in the scheduler's thread

    def _run(self) -> None:
        while True:
            left = self._until_deadline()  # before every step: an inbox that is never empty must not hide it
            try:
                step = self._end_late if left == 0 else self.inbox.get(left)
            except queue.Empty:
                continue
            if self.inbox.closed:
                break
            self._make(step)
        self._pool_closed.wait()
        self._give_up_all(step)

    def _make(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Exception as error:
            self._report(error)

    def _give_up_all(self, step: Callable[[], object]) -> None:
        """End all documents, also those that wait in the inbox, and wait until their folders are finished.

        Args:
            step: a call that was taken from the inbox and is still to be made.
        """
        for document in list(self._documents.values()):
            self._end(document, "stopped")
        self._make(step)
        while self._ending or not self._seen_all:
            self._make(self.inbox.get())
        self._disk.close()

    def _see_all(self) -> None:
        self._seen_all = True

    def _report(self, error: Exception) -> None:
        if not self.inbox.closed:
            report_fault(error)

    def _fault(self, document: DocumentState, error: Exception) -> None:
        """A step of a document showed a fault of this package: the document is over."""
        self._report(error)
        self._end(document, internal_error(error))

    def _until_deadline(self) -> float | None:
        """Seconds until a document has taken too long; None if none can."""
        first = min((d.deadline for d in self._documents.values()), default=math.inf)
        return None if first == math.inf else max(0.0, first - time.monotonic())

    def _end_late(self) -> None:
        now = time.monotonic()
        for document in [d for d in self._documents.values() if d.deadline <= now]:
            limit, pages = document.jobs.document_timeout, document.pages
            self._end(document, f"took longer than {limit:.0f} s; {pages.done} of {len(pages)} pages done")
        self._flow.pump()

    def _is_idle(self) -> bool:
        """Whether there is one document only, and more than one worker."""
        return len(self._documents) == 1 < self._pool.size

    def _tell(self, document: DocumentState, event: Event) -> None:
        self._emit(event)
        if document.on_event:
            try:
                document.on_event(event)
            except Exception:
                logger.exception("on_event failed")

    # The beginning of a document

    def _admit(self, document: DocumentState) -> None:
        document.number, self._admitted = self._admitted, self._admitted + 1
        self._documents[document.number] = document
        if self.inbox.closed:
            self._end(document, "stopped")
        elif document.statistics and document.statistics.stopped:
            self._end(document, document.statistics.stopped)
        else:
            self._admission.open(document)

    def _begun(self, document: DocumentState, total: int) -> None:
        """A document is open: read its pages."""
        if document.jobs.document_timeout is not None:
            document.deadline = time.monotonic() + document.jobs.document_timeout
        pages = document.pages
        counts = (len(pages), total, pages.done)
        self._tell(document, DocumentStarted(document.number, str(document.path), document.folder.name, *counts))
        self._flow.add(document)
        if not pages.unread:
            self._assembly.put_together(document)
        self._flow.pump()

    # The end of pages

    def _finish(self, document: DocumentState, pages: list[tuple[PageState, PageResult]]) -> None:
        """Pages are done, those of a chunk together: first the journal knows, then everybody."""
        for page, result in pages:
            if document.pages.is_done(page.position):
                raise RuntimeError(f"page {page.index} of {document.path} finished twice")
            result.timings = {k: round(v, 4) for k, v in result.timings.items()}
        if not self._note(document, [page_entry(result) for _, result in pages]):
            return
        for page, result in pages:
            document.pages.finish(page.position, result)
            self._flow.done(page)
            seconds = sum(result.timings.values())
            how = (result.status, result.error, seconds, result.warnings, result.timings, document.folder.staging)
            self._tell(document, PageDone(document.number, page.index, *how))
            if document.statistics:
                document.statistics.page(str(document.path), result)
        if not self._run_is_stopped(document):
            self._assembly.put_together(document)

    def _note(self, document: DocumentState, entries: list[Entry]) -> bool:
        """Write to a document's journal; a document whose journal can't be written is over."""
        try:
            document.folder.note(entries)
        except OutputError as error:
            self._end(document, str(error))
            return False
        return True

    def _run_is_stopped(self, document: DocumentState) -> bool:
        """Whether the call that the document belongs to was given up; then all its documents are."""
        statistics = document.statistics
        if not (statistics and statistics.stopped):
            return False
        for other in [d for d in self._documents.values() if d.statistics is statistics]:
            self._end(other, statistics.stopped)
        return True

    # The end of a document

    def _end(
        self,
        document: DocumentState,
        error: str | None = None,
        written: Written | None = None,
        report: dict[str, Any] | None = None,
    ) -> None:
        """A document is over, one way or another: its folder is finished, then everybody hears of it.

        Args:
            error: why it is given up.
            written: its files.
            report: of the result that was there already.
        """
        if document.over:
            return
        document.over = True
        self._documents.pop(document.number, None)
        self._flow.leave(document)
        for future in list(document.running):
            future.cancel()
        self._ending += 1
        call = partial(_finish_folder, document.folder, document.pages, error, written, report)
        self._disk.run(call, partial(self._ended, document, error))

    def _ended(
        self, document: DocumentState, given_up: str | None, result: DocumentResult | None, error: Exception | None
    ) -> None:
        self._ending -= 1
        if result is None:
            fault = error or RuntimeError("no result")
            report_fault(fault)
            why = given_up or internal_error(fault)
            result = DocumentResult(document.path, document.folder.name, None, "", "", error=why)
        try:
            self._tell(document, DocumentDone(document.number, result))
            if document.statistics:
                document.statistics.document(result)
        finally:
            document.future.set_result(result)
        self._run_is_stopped(document)


def _finish_folder(
    folder: DocumentFolder,
    pages: Pages,
    error: str | None,
    written: Written | None,
    report: dict[str, Any] | None,
) -> DocumentResult:
    try:
        return folder.finish(pages, error, written, report)
    except Exception:
        folder.close(keep=True)
        raise
