"""The way of the pages: a state machine that moves every page through its stages, each page exactly once.

::

    inspect -> [ read -> (layout) -> (prepare -> VLM) -> extract ] per page -> write per document

Workers do all but layout and VLM, which run in threads of this process: batches of pages, a queue of crops. One thread
owns all state; workers and the other threads only post what they finished to its queue. Knows nothing of PDFs or
formats: it calls jobs by name.

Contract: a page that fails costs itself; a worker that dies is replaced and its page tried once more, alone; an error
that concerns the document (unreadable file, full disk) ends that document; the others go on.
"""

from __future__ import annotations

import queue
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from .document import DocumentResult, PageResult, PageStatus, Region
from .errors import AccelError, InputError, OutputError, WorkerError
from .events import DocumentDone, DocumentStarted, Event, OnEvent, PageDone
from .inputs import Input
from .workers.arena import Arena
from .workers.pool import JobError, WorkerPool
from .workers.protocol import Job

if TYPE_CHECKING:
    from .layout.base import LayoutDetector
    from .stages import Stages
    from .vlm.stage import VlmStage
    from .vlm.types import Answer, Draft, Prepared

_RANK = {"write": 0, "extract": 1, "prepare": 2, "inspect": 3, "read": 4}
"""What is nearer to its end goes first, so that pages in flight stay few."""


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
    done: bool = False


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
    """Who hears of this document, beside the flow's own listener."""
    name: str = ""
    """Of its folder in ``output``, once that is settled."""
    staging: Path | None = None
    """Where its files are made, once it was opened."""
    pages: list[PageState] = field(default_factory=list)
    unread: deque[PageState] = field(default_factory=deque)
    results: dict[int, PageResult] = field(default_factory=dict)
    whole: bool = True
    chunks: dict[int, int] = field(default_factory=dict)
    """Pages still to be read, by chunk."""
    ocr_pages: int = 0
    lost: int = 0
    """Workers that were lost while they opened or wrote it."""
    over: bool = False


class Flow:
    """Runs documents through the stages.

    Args:
        stages: builds the jobs and says what is to be done between them, for documents that bring none of their own.
        pool: where jobs run.
        arena: where page pixels lie on their way to the detector; None without one.
        detector: finds the regions of pages; None skips that stage. Closed with the flow.
        on_event: called from the flow's thread for every event.
        vlm: reads regions; None without one. Closed with the flow.
    """

    def __init__(
        self,
        stages: Stages,
        pool: WorkerPool,
        arena: Arena | None,
        detector: LayoutDetector | None,
        on_event: Callable[[Event], None],
        vlm: VlmStage | None = None,
    ) -> None:
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
        self._layout = _LayoutThread(detector, self._inbox, arena) if detector and arena else None
        self._vlm = vlm
        if vlm:
            vlm.post = self._inbox.put
        self._thread = threading.Thread(target=self._run, name="flow", daemon=True)
        self._thread.start()

    def submit(
        self, item: Input, output: Path, stages: Stages | None = None, on_event: OnEvent | None = None
    ) -> Future[DocumentResult]:
        """Convert one document into a folder of its own in ``output``. The future never raises.

        Args:
            stages: its own, for other options than the others'.
            on_event: also called for this document's events; by the flow's thread, so it should be quick.

        Raises:
            RuntimeError: if the flow is closed.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the pipeline is closed")
            number, self._count = self._count, self._count + 1
            own = stages or self._stages
            state = DocumentState(number, item, output, own, Future(), time.perf_counter(), on_event)
            state.future.set_running_or_notify_cancel()
            self._documents[number] = state
            self._inbox.put(lambda: self._admit(state))
        return state.future

    def cancel(self, futures: Collection[Future[DocumentResult]]) -> None:
        """Give up documents; their futures report that, once nothing of them is left."""

        def end() -> None:
            for state in [s for s in self._documents.values() if s.future in futures]:
                self._end(state, error="cancelled")

        self._inbox.put(end)

    def ask(self, job: Job) -> Future[Any]:
        """Run a job that belongs to no document under way, before all others."""
        return self._pool.submit(job, (-1,))

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
        for state in list(self._documents.values()):
            self._end(state, error="stopped")
        if self._arena:
            self._arena.close()

    def _run(self) -> None:
        while (step := self._inbox.get()) is not None:
            if self._closed:
                return
            try:
                step()
            except Exception:
                if not self._closed:
                    logger.exception("a step of the pipeline failed")  # a bug: say so and go on

    def _job(self, state: DocumentState, rank: str, job: Job, then: Any) -> None:
        """Run a job; ``then(value, error)`` is called in the flow's thread, unless the document is over by then."""
        try:
            future = self._pool.submit(job, (_RANK[rank], state.number))
        except RuntimeError:  # closing: close() ends the document
            return
        future.add_done_callback(lambda f: self._inbox.put(lambda: then(*_outcome(f))))

    def _tell(self, state: DocumentState, event: Event) -> None:
        self._emit(event)
        if state.on_event:
            try:
                state.on_event(event)
            except Exception:
                logger.exception("on_event failed")

    # Documents

    def _admit(self, state: DocumentState) -> None:
        try:
            state.name, report = state.stages.prepare(state.input, state.output)
        except (AccelError, OSError) as error:
            self._end(state, error=str(error))
            return
        if report is not None:
            self._end(state, report=report)
            return
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
            state.staging = state.stages.stage(state.output, state.name)
        except (InputError, OutputError) as problem:
            self._end(state, error=str(problem))
            return
        state.pages = [PageState(index, position) for position, index in enumerate(indices)]
        state.unread.extend(state.pages)
        for page in state.pages:
            chunk = page.position // state.stages.chunk
            state.chunks[chunk] = state.chunks.get(chunk, 0) + 1
        total = len(info.page_sizes)
        self._tell(state, DocumentStarted(state.number, str(state.input.path), state.name, len(state.pages), total))
        self._turn.append(state)
        self._pump()

    def _pump(self) -> None:
        """Read pages while there is room, taking turns among the open documents."""
        while self._turn and self._reading < self._max_reading:
            state = self._turn[0]
            if state.over or not state.unread:
                self._turn.popleft()
                continue
            slot = None
            if self._arena:
                slot = self._arena.acquire()
                if slot is None:
                    return
            self._turn.rotate(-1)
            self._read(state, state.unread.popleft(), slot)

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
            state.unread.appendleft(page)
            if state not in self._turn:
                self._turn.append(state)
        elif error is not None:
            self._fail(state, page, error)
            self._chunk_read(state, page)
        else:
            page.read = read
            page.attempts = 0
            page.timings.update(read.timings)
            state.ocr_pages += read.ocr is not None
            if self._layout:
                self._layout.put(read.pixels, page.slot, lambda r, s, e: self._laid_out(state, page, r, s, e))
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
        self._job(
            state,
            "prepare",
            state.stages.prepare_vlm(state, page, regions, self._arena.slot_bytes if self._arena else 0),
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
        key = (state.number, page.position)
        self._vlm.ask(key, prepared.crops, page.slot, lambda a, s, e: self._answered(state, page, prepared, a, s, e))

    def _answered(
        self,
        state: DocumentState,
        page: PageState,
        prepared: Prepared,
        answers: list[Answer],
        seconds: float,
        error: Exception | None,
    ) -> None:
        again = error is None and prepared.draft.layout and not state.over
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
        chunk = page.position // state.stages.chunk
        state.chunks[chunk] -= 1
        if state.chunks[chunk] == 0:
            start = chunk * state.stages.chunk
            pages = [p for p in state.pages[start : start + state.stages.chunk] if not p.done]
            if pages:
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
                warnings = list(summary.warnings)
                self._finish(
                    state,
                    page,
                    PageResult(
                        page.index,
                        summary.status,
                        None,
                        summary.blocks,
                        summary.sources,
                        summary.reasons,
                        warnings,
                        page.timings,
                    ),
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
        self._finish(state, page, PageResult(page.index, PageStatus.FAILED, text, timings=page.timings))

    def _finish(self, state: DocumentState, page: PageState, result: PageResult) -> None:
        if page.done:
            raise RuntimeError(f"page {page.index} of {state.input.path} finished twice")
        page.done = True
        page.read = page.vlm = None
        result.timings = {k: round(v, 4) for k, v in result.timings.items()}
        state.results[page.index] = result
        seconds = sum(result.timings.values())
        how = (result.status, result.error, seconds, result.warnings, result.timings, state.staging)
        self._tell(state, PageDone(state.number, page.index, *how))
        if len(state.results) == len(state.pages):
            self._write(state)

    def _write(self, state: DocumentState) -> None:
        if all(r.status is PageStatus.FAILED for r in state.results.values()):
            first = state.results[state.pages[0].index]
            self._end(state, error=f"no page could be converted: {first.error}")
            return
        self._job(state, "write", state.stages.write(state), then=lambda v, e: self._written(state, v, e))

    def _written(self, state: DocumentState, written: Any, error: Exception | None) -> None:
        if state.over:
            return
        if isinstance(error, WorkerError) and not state.lost:
            state.lost += 1
            self._write(state)
            return
        if error is not None:
            prefix = "" if isinstance(error, OutputError) else "its results can't be put together: "
            self._end(state, error=prefix + _describe(error))
            return
        for index, warnings in written.warnings.items():
            state.results[index].warnings.extend(warnings)
            state.results[index].status = PageStatus.FALLBACK
        self._end(state, written=written)

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
        result = state.stages.result(state, error, written, report)
        self._tell(state, DocumentDone(state.number, result))
        state.future.set_result(result)


def _outcome(future: Future[Any]) -> tuple[Any, Exception | None]:
    try:
        return future.result(), None
    except Exception as error:
        return None, error


def _describe(error: Exception) -> str:
    if isinstance(error, JobError):
        logger.debug("{}", error.traceback)
        return f"internal error: {error}"
    return str(error) or type(error).__name__


class _LayoutThread:
    """Runs the detector on batches of whatever pages are ready: no page waits for a batch to fill."""

    def __init__(
        self, detector: LayoutDetector, inbox: queue.SimpleQueue[Callable[[], None] | None], arena: Arena
    ) -> None:
        self._detector = detector
        self._inbox = inbox
        self._arena = arena
        self._queue: queue.SimpleQueue[tuple[Any, int, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="layout", daemon=True)
        self._thread.start()

    def put(self, shape: Any, slot: int | None, then: Any) -> None:
        """Detect the regions of the pixels in a slot; ``then(regions, seconds, error)`` runs in the flow's thread."""
        assert slot is not None
        self._queue.put((shape, slot, then))

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join(timeout=10)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            batch = [item]
            while len(batch) < 32 and not self._queue.empty():
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
            seconds = (time.perf_counter() - started) / len(batch)
            for (_, _, then), found in zip(batch, regions, strict=True):
                self._inbox.put(partial(then, found, seconds, failed))
        self._detector.close()
