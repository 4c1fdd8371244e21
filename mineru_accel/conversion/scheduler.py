"""The way of the pages: a state machine that moves every page through its stages, each page exactly once.

::

    inspect -> [ read -> (layout) -> (prepare -> VLM) -> extract ] per page -> (part) per 64 pages -> write per document

Workers do all but layout and VLM, which run in threads of this process: batches of pages, a queue of crops. One thread
owns all state; workers and the other threads only post what they finished to its queue. Knows nothing of PDFs or
formats: it calls jobs by name.

Contract: a page that fails costs itself; a worker that dies is replaced and its page tried once more, alone; an error
that concerns the document (unreadable file, full disk) ends that document; the others go on. A page that is done is in
the document's journal before anybody hears of it, so a killed run is continued with the pages that it had not done.
"""

from __future__ import annotations

import math
import queue
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from ..document import DocumentResult, PageResult, PageStatus, Region
from ..errors import AccelError, InputError, OutputError, WorkerError
from ..events import DocumentDone, DocumentStarted, Event, OnEvent, PageDone
from ..export.types import PART, Part
from ..storage.inputs import Input
from ..storage.journal import Entry, page_entry, page_result
from ..workers.arena import Arena
from ..workers.pool import JobError, WorkerPool
from ..workers.protocol import Job
from ..workers.trace import Tracer
from .state import DocumentState, Pages, PageState

if TYPE_CHECKING:
    from ..layout.protocol import LayoutDetector
    from ..reading.types import Prepared
    from ..vlm.crop_queue import VlmStage
    from ..vlm.types import Answer
    from .page_jobs import Stages
    from .statistics import RunStatistics

_RANK = {"write": 0, "extract": 1, "prepare": 2, "inspect": 3, "read": 4}
"""What is nearer to its end goes first, so that pages in flight stay few."""
_MAX_BATCH = 32
"""Pages that the detector is given at once, at most."""
_MB = 1 << 20


class Scheduler:
    """Runs documents through the stages.

    Args:
        stages: builds the jobs and says what is to be done between them, for documents that bring none of their own.
        pool: where jobs run.
        arena: where page pixels lie on their way to the detector; None without one.
        detector: finds the regions of pages; None skips that stage. Closed with the scheduler.
        on_event: called from the scheduler's thread for every event.
        vlm: reads regions; None without one. Closed with the scheduler.
        tracer: told when the detector worked.
        memory: bytes that pages may hold between two stages; above, only the document that came first reads on.
    """

    def __init__(
        self,
        stages: Stages,
        pool: WorkerPool,
        arena: Arena | None,
        detector: LayoutDetector | None,
        on_event: Callable[[Event], None],
        vlm: VlmStage | None = None,
        tracer: Tracer | None = None,
        memory: int = 256 * _MB,
    ) -> None:
        self._memory = memory
        self._held = 0
        self._stages = stages
        self._pool = pool
        self._arena = arena
        self._emit = on_event
        self._inbox: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._documents: dict[int, DocumentState] = {}
        self._turn: deque[DocumentState] = deque()
        self._reading = 0
        self._max_reading = 2 * pool.size
        self._count = 0
        self._closed = False
        self._lock = threading.Lock()
        self._layout = None
        if detector and arena:
            self._layout = _LayoutThread(detector, self._inbox, arena, tracer or Tracer(None))
        self._vlm = vlm
        if vlm:
            vlm.post = self._inbox.put
        self._thread = threading.Thread(target=self._run, name="scheduler", daemon=True)
        self._thread.start()

    def submit(
        self,
        item: Input,
        output: Path,
        stages: Stages | None = None,
        on_event: OnEvent | None = None,
        run: RunStatistics | None = None,
    ) -> Future[DocumentResult]:
        """Convert one document into a folder of its own in ``output``. The future never raises.

        Args:
            stages: its own, for other options than the others'.
            on_event: also called for this document's events; by the scheduler's thread, so it should be quick.
            run: the account in which it is counted.

        Raises:
            RuntimeError: if the scheduler is closed.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the pipeline is closed")
            number, self._count = self._count, self._count + 1
            own = stages or self._stages
            state = DocumentState(number, item, output, own, Future(), time.perf_counter(), on_event, run=run)
            state.future.set_running_or_notify_cancel()
            self._documents[number] = state
            self._inbox.put(partial(self._guarded(state, self._admit), state))
        return state.future

    def cancel(self, futures: Collection[Future[DocumentResult]]) -> None:
        """Give up documents; their futures report that, once nothing of them is left."""

        def end() -> None:
            for state in [s for s in self._documents.copy().values() if s.future in futures]:
                self._end(state, error="cancelled")

        self._inbox.put(end)

    def ask(self, job: Job) -> Future[Any]:
        """Run a job that belongs to no document under way, before all others."""
        return self._pool.submit(job, (-1,))

    @property
    def detector_name(self) -> str:
        """For reports; empty without a detector."""
        return self._layout.detector_name if self._layout else ""

    def close(self) -> None:
        """Stop at once. Documents not finished leave nothing behind; their futures report that."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        self._pool.close()
        self._inbox.put(None)
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout=10)
        if self._layout:
            self._layout.close()
        if self._vlm:
            self._vlm.close()
        for state in self._documents.copy().values():
            self._end(state, error="stopped")
        if self._arena:
            self._arena.close()

    def _run(self) -> None:
        while True:
            left = self._until_deadline()  # before every step: an inbox that is never empty must not hide it
            try:
                step = self._end_late if left == 0 else self._inbox.get(timeout=left)
            except queue.Empty:
                continue
            if step is None or self._closed:
                return
            try:
                step()
            except Exception as error:
                if not self._closed:
                    _bug(error)

    def _until_deadline(self) -> float | None:
        """Seconds until a document has taken too long; None if none can."""
        first = min((s.deadline for s in self._documents.copy().values()), default=math.inf)
        return None if first == math.inf else max(0.0, first - time.monotonic())

    def _end_late(self) -> None:
        now = time.monotonic()
        for state in [s for s in self._documents.copy().values() if s.deadline <= now]:
            limit = state.stages.document_timeout
            self._end(
                state, error=f"took longer than {limit:.0f} s; {state.pages.done} of {len(state.pages)} pages done"
            )
        self._pump()

    def _job(self, state: DocumentState, rank: str, job: Job, then: Any) -> None:
        """Run a job; ``then(value, error)`` is called in this object's thread, unless the document is over by then."""
        try:
            future = self._pool.submit(job, (_RANK[rank], state.number))
        except RuntimeError:  # closing: close() ends the document
            return
        state.jobs.add(future)

        def done(future: Future[Any]) -> None:
            state.jobs.discard(future)
            then(*_outcome(future))

        step = self._guarded(state, done)
        future.add_done_callback(lambda f: self._inbox.put(partial(step, f)))

    def _guarded(self, state: DocumentState, step: Callable[..., None]) -> Callable[..., None]:
        """A step of a document that ends it where a fault of ours shows: nobody waits for it for ever."""

        def guarded(*args: Any) -> None:
            try:
                step(*args)
            except Exception as error:
                if not self._closed:
                    _bug(error)
                    self._end(state, error=f"internal error: {type(error).__name__}: {error}")

        return guarded

    def _tell(self, state: DocumentState, event: Event) -> None:
        self._emit(event)
        if state.on_event:
            try:
                state.on_event(event)
            except Exception:
                logger.exception("on_event failed")

    # Documents

    def _admit(self, state: DocumentState) -> None:
        if state.run and state.run.stopped:
            self._end(state, error=state.run.stopped)
            return
        try:
            state.name, state.work, report = state.stages.prepare(state.input, state.output)
        except (AccelError, OSError) as error:
            self._end(state, error=str(error))
            return
        if report is None:
            self._inspect(state)
        else:
            then = partial(self._compare, state, report)
            self._job(state, "inspect", state.stages.digest(state.input), then=then)

    def _compare(self, state: DocumentState, report: dict[str, Any], digest: Any, error: Exception | None) -> None:
        """A result is there: is it still good?"""
        if state.over:
            return
        if error is not None:
            self._end(state, error=_describe(error))
            return
        try:
            state.work = state.stages.refuse(state.input, state.output, state.name, report, digest)
        except OutputError as problem:
            self._end(state, error=str(problem))
            return
        if state.work is None:
            self._end(state, report=report)
        else:
            self._inspect(state)

    def _inspect(self, state: DocumentState) -> None:
        self._job(state, "inspect", state.stages.inspect(state.input), then=lambda v, e: self._inspected(state, v, e))

    def _inspected(self, state: DocumentState, info: Any, error: Exception | None) -> None:
        if state.over:
            return
        if isinstance(error, WorkerError) and not state.lost:
            state.lost += 1
            self._inspect(state)
            return
        if error is not None:
            self._end(state, error=_describe(error))
            return
        try:
            indices, state.whole = state.stages.select(info)
            done = state.stages.begin(state, info.digest)
        except (InputError, OutputError) as problem:
            self._end(state, error=str(problem))
            return
        if state.stages.document_timeout is not None:
            state.deadline = time.monotonic() + state.stages.document_timeout
        state.pages = Pages(indices)
        self._resume(state, done)
        counts = (len(state.pages), len(info.page_sizes), state.pages.done)
        self._tell(state, DocumentStarted(state.number, str(state.input.path), state.name, *counts))
        self._turn.append(state)
        if not state.pages.unread:
            self._put_together(state)
        self._pump()

    def _resume(self, state: DocumentState, done: list[Entry]) -> None:
        """Take over what an earlier run has done: pages whose whole chunk is, and the parts made of such pages."""
        assert state.staging is not None
        keep = state.stages.keep_failures
        known = {e["page"]: e for e in done if "page" in e and (keep or e["status"] != PageStatus.FAILED)}
        count, size = len(state.pages), state.stages.chunk
        for start in range(0, count, size):
            chunk = range(start, min(start + size, count))
            if not all(state.pages.indices[p] in known for p in chunk):
                continue  # pages that are analysed together
            for position in chunk:
                result = page_result(known[state.pages.indices[position]])
                state.pages.finish(position, result)
                if state.run:
                    state.run.page(str(state.input.path), result, resumed=True)
        for entry in (e for e in done if "part" in e):
            if entry["part"] != state.parts or state.pages.prefix < self._part(state).around[1]:
                break
            self._count_part(state, entry["text_to"])

    def _pump(self) -> None:
        """Read pages while there is room, taking turns among the open documents.

        Short of memory, pages that are read come to their end first. Where they wait for others of their chunk, the
        document that came first reads on.
        """
        while self._turn and self._reading < self._max_reading:
            state = self._turn[0]
            if state.over or not state.pages.unread:
                self._turn.popleft()
                continue
            if self._held > self._memory:
                if self._layout or self._vlm:
                    return
                state = min((s for s in self._turn if s.pages.unread and not s.over), key=lambda s: s.number)
            slot = None
            if self._arena:
                slot = self._arena.acquire()
                if slot is None:
                    return
            self._turn.rotate(-1)
            self._read(state, state.pages.take(), slot)

    def _read(self, state: DocumentState, page: PageState, slot: int | None) -> None:
        self._reading += 1
        page.slot = slot
        page.attempts += 1
        self._job(
            state,
            "read",
            state.stages.read(state.input, page.index, slot, self._arena.slot_bytes if self._arena else 0),
            then=lambda v, e: self._was_read(state, page, v, e),
        )

    def _was_read(self, state: DocumentState, page: PageState, read: Any, error: Exception | None) -> None:
        self._reading -= 1
        if error is not None or state.over or not (self._layout or self._vlm):
            self._free(page)
        if state.over:
            self._pump()
            return
        if isinstance(error, WorkerError) and page.attempts < 2:
            state.pages.put_back(page)
            if state not in self._turn:
                self._turn.append(state)
        elif error is not None:
            self._fail(state, page, error)
            self._chunk_read(state, page)
        else:
            page.read = read
            page.attempts = 0
            page.timings.update(read.timings)
            page.why_ocr = read.why_ocr if read.ocr else None
            page.bytes = len(read.ocr.pdf) if read.ocr else 0
            self._held += page.bytes
            if self._layout:
                self._layout.put(read.pixels, page.slot, self._guarded(state, partial(self._laid_out, state, page)))
            elif self._vlm:
                self._prepare(state, page, None)
            else:
                self._chunk_read(state, page)
        self._pump()

    def _free(self, page: PageState) -> None:
        if page.slot is not None and self._arena:
            self._arena.release(page.slot)
            page.slot = None

    # With a layout detector: page by page

    def _laid_out(
        self, state: DocumentState, page: PageState, regions: list[Region], seconds: float, error: Exception | None
    ) -> None:
        if not self._vlm or state.over or error is not None:
            self._free(page)
        if not state.over:
            page.timings["layout"] = seconds
            if error is not None:
                self._fail(state, page, error)
            elif self._vlm:
                self._prepare(state, page, regions)
            else:
                self._extract(state, [page], regions)
        self._pump()

    # With a VLM: the page keeps its slot, for its crops

    def _prepare(self, state: DocumentState, page: PageState, regions: list[Region] | None) -> None:
        page.attempts += 1
        assert self._vlm is not None
        slot_bytes = self._arena.slot_bytes if self._arena else 0
        self._job(
            state,
            "prepare",
            state.stages.prepare_vlm(state, page, regions, slot_bytes, self._vlm.engine),
            then=lambda v, e: self._prepared(state, page, regions, v, e),
        )

    def _prepared(
        self,
        state: DocumentState,
        page: PageState,
        regions: list[Region] | None,
        prepared: Prepared | None,
        error: Exception | None,
    ) -> None:
        if not state.over and isinstance(error, WorkerError) and page.attempts < 3:
            self._prepare(state, page, regions)
            return
        if prepared is None or state.over or not prepared.crops:
            self._free(page)
        if not state.over:
            if prepared is None:
                self._fail(state, page, error or WorkerError("nothing came back"))
            else:
                self._ask_vlm(state, page, prepared)
        self._pump()

    def _ask_vlm(self, state: DocumentState, page: PageState, prepared: Prepared) -> None:
        page.attempts = 0
        for name, seconds in prepared.timings.items():
            page.timings[name] = page.timings.get(name, 0.0) + seconds
        if not prepared.crops:
            page.vlm = prepared.draft, []
            self._extract(state, [page], None)
            return
        assert self._vlm is not None
        page.bytes += prepared.own_bytes
        self._held += prepared.own_bytes
        key = (state.number, page.position)
        answered = self._guarded(state, partial(self._answered, state, page, prepared))
        self._vlm.ask(key, prepared.crops, page.slot, answered)

    def _answered(
        self,
        state: DocumentState,
        page: PageState,
        prepared: Prepared,
        answers: list[Answer],
        seconds: float,
        error: Exception | None,
    ) -> None:
        if not state.over:  # else they were counted out then
            page.bytes -= prepared.own_bytes
            self._held -= prepared.own_bytes
        again = error is None and prepared.draft.asks_layout and not state.over
        if not again:
            self._free(page)
        if not state.over:
            page.timings["vlm"] = page.timings.get("vlm", 0.0) + seconds
            page.vlm = prepared.draft, answers
            if error is not None:
                self._fail(state, page, error)
            elif again:
                self._prepare(state, page, None)
            else:
                self._extract(state, [page], None)
        self._pump()

    # Without: chunk by chunk

    def _chunk_read(self, state: DocumentState, page: PageState) -> None:
        if self._layout or self._vlm or state.over:
            return
        number, size = page.position // state.stages.chunk, state.stages.chunk
        chunk = range(number * size, min((number + 1) * size, len(state.pages)))
        left = state.chunks.pop(number, len(chunk)) - 1
        if left:
            state.chunks[number] = left
        elif pages := [state.pages.under_way[p] for p in chunk if p in state.pages.under_way]:
            self._extract(state, pages, None)

    def _extract(self, state: DocumentState, pages: list[PageState], regions: list[Region] | None) -> None:
        for page in pages:
            page.attempts += 1
        self._job(
            state,
            "extract",
            state.stages.extract(state, pages, regions),
            then=lambda v, e: self._extracted(state, pages, regions, v, e),
        )

    def _extracted(
        self,
        state: DocumentState,
        pages: list[PageState],
        regions: list[Region] | None,
        summaries: Any,
        error: Exception | None,
    ) -> None:
        if state.over:
            return
        if error is None:
            for page, summary in zip(pages, summaries, strict=True):
                page.timings.update(summary.timings)
            self._finish(
                state,
                [
                    (
                        page,
                        PageResult(
                            page.index,
                            summary.status,
                            None,
                            summary.blocks,
                            [sys.intern(s) for s in summary.sources],
                            summary.reasons,
                            list(summary.warnings),
                            page.timings,
                            page.why_ocr,
                        ),
                    )
                    for page, summary in zip(pages, summaries, strict=True)
                ],
            )
        elif isinstance(error, OutputError):
            self._end(state, error=str(error))
        elif len(pages) > 1:
            for page in pages:  # find the one that is to blame
                self._extract(state, [page], regions)
        elif isinstance(error, WorkerError) and pages[0].attempts < 3:
            self._extract(state, pages, regions)
        else:
            self._fail(state, pages[0], error)

    # Ends

    def _fail(self, state: DocumentState, page: PageState, error: Exception) -> None:
        if isinstance(error, OutputError):
            self._end(state, error=str(error))
            return
        text = _describe(error)
        result = PageResult(page.index, PageStatus.FAILED, text, timings=page.timings, why_ocr=page.why_ocr)
        self._finish(state, [(page, result)])

    def _finish(self, state: DocumentState, pages: list[tuple[PageState, PageResult]]) -> None:
        """Pages are done, those of a chunk together: first the journal knows, then everybody."""
        for page, result in pages:
            if state.pages.is_done(page.position):
                raise RuntimeError(f"page {page.index} of {state.input.path} finished twice")
            result.timings = {k: round(v, 4) for k, v in result.timings.items()}
        if not self._note(state, [page_entry(result) for _, result in pages]):
            return
        for page, result in pages:
            state.pages.finish(page.position, result)
            self._held -= page.bytes
            seconds = sum(result.timings.values())
            how = (result.status, result.error, seconds, result.warnings, result.timings, state.staging)
            self._tell(state, PageDone(state.number, page.index, *how))
            if state.run:
                state.run.page(str(state.input.path), result)
        if not self._stopped(state):
            self._put_together(state)

    def _note(self, state: DocumentState, entries: list[Entry]) -> bool:
        """Write to a document's journal; a document whose journal can't be written is over."""
        assert state.work is not None
        try:
            state.work.journal.append(entries)
        except OSError as error:
            self._end(state, error=f"can't write results: {error.strerror or error}")
            return False
        return True

    def _stopped(self, state: DocumentState) -> bool:
        """Was the run given up? Then all its documents are."""
        if not (state.run and state.run.stopped):
            return False
        for other in [s for s in self._documents.copy().values() if s.run is state.run]:
            self._end(other, error=state.run.stopped)
        return True

    # Long documents are put together in parts while they are read

    def _part(self, state: DocumentState) -> Part:
        start = state.parts * PART
        count = len(state.pages)
        return Part(state.parts, start, min(start + PART, count), state.text_to, count)

    def _put_together(self, state: DocumentState) -> None:
        """Put a document together, or the next part of a long one, once its pages are done."""
        if state.over or state.writing:
            return
        count = len(state.pages)
        if count > PART and state.parts * PART < count:
            part = self._part(state)
            low, high = part.around
            if state.pages.prefix >= high:
                state.writing = True
                pages = list(state.pages.indices[low:high])
                until = state.pages.indices[part.stop] if part.stop < count else None
                job = state.stages.part(state, part, pages, until)
                self._job(state, "write", job, then=lambda v, e: self._part_done(state, v, e))
        elif state.pages.done == count:
            state.writing = True
            self._write(state)

    def _part_done(self, state: DocumentState, done: Any, error: Exception | None) -> None:
        if state.over:
            return
        state.writing = False
        if isinstance(error, WorkerError) and not state.lost:
            state.lost += 1
        elif error is not None:
            self._cant_write(state, error)
            return
        else:
            state.lost = 0
            _count_writing(state, done.seconds)
            if not self._note(state, [{"part": state.parts, "text_to": done.text_to, "warnings": done.warnings}]):
                return
            self._count_part(state, done.text_to)
        self._put_together(state)

    def _count_part(self, state: DocumentState, text_to: int) -> None:
        state.parts += 1
        state.text_to = text_to

    def _write(self, state: DocumentState) -> None:
        if state.pages.failed == len(state.pages):
            first = next(iter(state.results()), None)
            self._end(state, error=f"no page could be converted: {first.error if first else 'its journal is gone'}")
            return
        idle = len(self._documents) == 1 < self._pool.size  # nothing else is to be done
        jobs = state.stages.write(state, apart=idle)
        outcomes: list[tuple[Any, Exception | None]] = []

        def done(written: Any, error: Exception | None) -> None:
            outcomes.append((written, error))
            if len(outcomes) == len(jobs):
                self._written(state, outcomes)

        for job in jobs:
            self._job(state, "write", job, then=done)

    def _written(self, state: DocumentState, outcomes: list[tuple[Any, Exception | None]]) -> None:
        if state.over:
            return
        errors = [error for _, error in outcomes if error is not None]
        if errors and all(isinstance(error, WorkerError) for error in errors) and not state.lost:
            state.lost += 1
            self._write(state)
            return
        if errors:
            self._cant_write(state, errors[0])
            return
        written, *others = (written for written, _ in outcomes)
        for other in others:
            written.add(other)
        _count_writing(state, written.seconds)
        self._end(state, written=written)

    def _cant_write(self, state: DocumentState, error: Exception) -> None:
        prefix = "" if isinstance(error, OutputError) else "its results can't be put together: "
        self._end(state, error=prefix + _describe(error))

    def _end(
        self,
        state: DocumentState,
        error: str | None = None,
        written: Any = None,
        report: dict[str, Any] | None = None,
    ) -> None:
        """A document is over, one way or another."""
        if state.over:
            return
        state.over = True
        self._documents.pop(state.number, None)
        if self._vlm:
            self._vlm.forget(state.number)
        for job in list(state.jobs):
            job.cancel()
        for page in state.pages.under_way.values():
            self._held -= page.bytes
            page.bytes = 0
        try:
            result = state.stages.result(state, error, written, report)
        except Exception as problem:
            _bug(problem)
            error = error or f"internal error: {type(problem).__name__}: {problem}"
            result = DocumentResult(state.input.path, state.name, None, "", "", error=error)
            if state.work:
                state.work.close(keep=True)
        self._tell(state, DocumentDone(state.number, result))
        if state.run:
            state.run.document(result)
        state.future.set_result(result)
        self._stopped(state)


def _count_writing(state: DocumentState, seconds: float) -> None:
    if state.run:
        state.run.stages["write"] += seconds


def _outcome(future: Future[Any]) -> tuple[Any, Exception | None]:
    try:
        return future.result(), None
    except Exception as error:
        return None, error


def _bug(error: Exception) -> None:
    """Something went wrong that is our fault: say so in a line, with more of it in a debug log, and go on."""
    logger.error("a step of the pipeline failed: {}: {}", type(error).__name__, error)
    logger.opt(exception=error).debug("where")


def _describe(error: Exception) -> str:
    if isinstance(error, JobError):
        logger.debug("{}", error.traceback)
        return f"internal error: {error}"
    return str(error) or type(error).__name__


class _LayoutThread:
    """Runs the detector on batches of whatever pages are ready: no page waits for a batch to fill, nor for others where
    a batch is no faster."""

    def __init__(
        self,
        detector: LayoutDetector,
        inbox: queue.SimpleQueue[Callable[[], None] | None],
        arena: Arena,
        tracer: Tracer,
    ) -> None:
        self._tracer = tracer
        self._detector = detector
        self.detector_name = detector.name
        self._most = min(_MAX_BATCH, detector.max_batch)
        self._inbox = inbox
        self._arena = arena
        self._queue: queue.SimpleQueue[tuple[Any, int, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="layout", daemon=True)
        self._thread.start()

    def put(self, shape: Any, slot: int | None, then: Any) -> None:
        """Detect the regions of the pixels in a slot; ``then(regions, seconds, error)`` runs in its thread."""
        assert slot is not None
        self._queue.put((shape, slot, then))

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join(timeout=30)  # native code that still runs when Python ends aborts the process

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            batch = [item]
            while len(batch) < self._most and not self._queue.empty():
                more = self._queue.get()
                if more is None:
                    self._queue.put(None)
                    break
                batch.append(more)
            started = time.perf_counter()
            regions: list[list[Region]] = [[] for _ in batch]
            failed: Exception | None = None
            try:
                regions = self._detector.detect([self._arena.read(slot, shape) for shape, slot, _ in batch])
            except Exception as error:
                failed = error
            self._tracer.span("layout", "detect", started, pages=len(batch))
            seconds = (time.perf_counter() - started) / len(batch)
            for (_, _, then), found in zip(batch, regions, strict=True):
                self._inbox.put(partial(then, found, seconds, failed))
        self._detector.close()
