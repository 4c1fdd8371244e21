"""Executors convert documents: on this machine (:class:`LocalExecutor`) or on a cluster (``distributed.driver``)."""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import Any

from ..document import DocumentResult
from ..errors import UsageError
from ..events import OnEvent
from ..options import Options
from ..storage.inputs import Input
from ..vlm.protocol import VlmEngine
from ..workers.protocol import job
from ..workers.trace import Tracer
from .document_folder import DocumentFolder, Outputs
from .local_run import LocalRun
from .plan import Plan
from .startup import default_workers, start
from .statistics import RunStatistics

PER_DOCUMENT = {
    *("method", "pages", "start", "end", "max_pages", "lang", "dpi", "formats", "images", "password", "overwrite"),
    *("page_timeout", "document_timeout", "resume"),
}
"""Options in which the documents of one pipeline may differ: no model and no worker depends on them."""
_FIRST = (-1,)
"""Priority of jobs that somebody waits for: before those of all documents."""


class Executor(ABC):
    """Converts documents with the same plan. Safe to use from several threads."""

    @property
    def layout_on_gpu(self) -> bool:
        """Whether the layout model runs on a GPU of this machine: its seconds are no CPU time then."""
        return False

    @abstractmethod
    def run(
        self, inputs: list[Input], output: Path | None, arrivals: Callable[[], list[Input]] | None = None
    ) -> Generator[DocumentResult, None, None]:
        """Convert documents; yields each when it is done. Leaving early gives up the others.

        Args:
            output: OUT; None: a temporary folder for each document, which lives as long as its result.
            arrivals: asked again and again for more documents, without end; it waits a while if there is none.

        Raises:
            UsageError: for what this executor can't do.
            RuntimeError: if it is closed.
        """

    @abstractmethod
    def run_async(self, inputs: list[Input], output: Path | None) -> AsyncGenerator[DocumentResult, None]:
        """:meth:`run` for asyncio."""

    @abstractmethod
    def submit(
        self, item: Input, output: Path, on_event: OnEvent | None, fields: dict[str, Any]
    ) -> Future[DocumentResult]:
        """Convert one document, not waiting for it. The future never raises.

        Args:
            on_event: also called for this document's events.
            fields: options for this document, out of :data:`PER_DOCUMENT`.

        Raises:
            pydantic.ValidationError: for options that don't fit.
            UsageError: for other options, or for what this executor can't do.
            RuntimeError: if it is closed.
        """

    @abstractmethod
    def cancel(self, future: Future[DocumentResult]) -> None:
        """Give up a document: its future says so once nothing of it is left."""

    @abstractmethod
    def ask(self, function: Callable[..., Any], timeout: float, kwargs: dict[str, Any]) -> Future[Any]:
        """Call a function in a worker, before everything else.

        Raises:
            UsageError: for what this executor can't do.
        """

    @abstractmethod
    def close(self) -> None:
        """Stop at once; documents under way are given up."""


class LocalExecutor(Executor):
    """Runs documents in worker processes of this machine.

    Args:
        on_event: called with every event: from the scheduler's thread, but for those of a run's beginning and end.
        tracer: told of the work.
        engine: makes the VLM's engine, if the plan has one.

    Raises:
        ModelError: if a model is not there.
    """

    def __init__(
        self, options: Options, plan: Plan, on_event: OnEvent, tracer: Tracer, engine: Callable[[], VlmEngine]
    ) -> None:
        self.options = options
        self.plan = plan
        self.outputs = Outputs()
        self._emit = on_event
        workers = options.workers or default_workers()
        started = start(options, plan, workers, on_event, tracer, engine=engine)
        self.scheduler, self.jobs, self.pool = started.scheduler, started.jobs, started.pool
        self._window = max(2 * workers + 2, 16 if plan.engine else 0)
        """Documents of a run that are under way at a time."""

    @property
    def layout_on_gpu(self) -> bool:
        detector = self.scheduler.detector
        return detector is not None and "cuda" in detector.name

    def run(
        self, inputs: list[Input], output: Path | None, arrivals: Callable[[], list[Input]] | None = None
    ) -> Generator[DocumentResult, None, None]:
        run = self._start_run(inputs, output)
        del inputs  # a path caches its parts once it is used: much memory for a hundred thousand inputs
        self._emit(run.started(self.plan))
        try:
            while run.pending or (arrivals and not run.stopped):
                if arrivals:
                    run.add(arrivals())
                done, _ = wait(run.pending, timeout=0 if arrivals else None, return_when=FIRST_COMPLETED)
                for future in done:
                    yield run.take(future)
            self._emit(run.done())
        finally:
            run.close()

    async def run_async(self, inputs: list[Input], output: Path | None) -> AsyncGenerator[DocumentResult, None]:
        run = self._start_run(inputs, output)
        self._emit(run.started(self.plan))
        try:
            while run.pending:
                wrapped = {asyncio.wrap_future(f): f for f in run.pending}
                done, _ = await asyncio.wait(wrapped, return_when=asyncio.FIRST_COMPLETED)
                for future in done:
                    yield run.take(wrapped[future])
            self._emit(run.done())
        finally:
            await asyncio.to_thread(run.close)

    def submit(
        self, item: Input, output: Path, on_event: OnEvent | None, fields: dict[str, Any]
    ) -> Future[DocumentResult]:
        if wrong := fields.keys() - PER_DOCUMENT:
            raise UsageError(f"{', '.join(sorted(wrong))}: can't differ between the documents of a pipeline")
        options = Options(**{**self.options.model_dump(exclude_unset=True), **fields})
        folder = DocumentFolder(item, output, options, self.plan, self.outputs)
        return self.scheduler.submit(folder, self.jobs.with_options(options), on_event)

    def cancel(self, future: Future[DocumentResult]) -> None:
        self.scheduler.cancel([future])

    def ask(self, function: Callable[..., Any], timeout: float, kwargs: dict[str, Any]) -> Future[Any]:
        return self.pool.submit(job(function, timeout, "", **kwargs), _FIRST)

    def close(self) -> None:
        self.scheduler.close()

    def _start_run(self, inputs: list[Input], output: Path | None) -> LocalRun:
        statistics = RunStatistics(self.options)

        def submit(item: Input, output: Path) -> Future[DocumentResult]:
            folder = DocumentFolder(item, output, self.options, self.plan, self.outputs)
            return self.scheduler.submit(folder, self.jobs, statistics=statistics)

        return LocalRun(inputs, output, self._window, submit, self.scheduler.cancel, statistics)
