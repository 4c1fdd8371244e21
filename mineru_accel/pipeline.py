"""The Python API: :class:`Pipeline`, and the functions that make one for a single call."""

from __future__ import annotations

import asyncio
import contextlib
import os
import tempfile
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from .conversion.page_jobs import PER_DOCUMENT, Stages
from .conversion.plan import Plan, make_plan
from .conversion.scheduler import Scheduler
from .conversion.startup import default_workers, make_engine, start
from .conversion.statistics import RunStatistics
from .document import DocumentResult
from .errors import UsageError
from .events import Event, OnEvent, RunDone, RunStarted
from .options import Executor, Options
from .pdf.languages import language_warning
from .storage.inputs import Input, find
from .storage.remote import to_path
from .workers.protocol import Job
from .workers.trace import Tracer

if TYPE_CHECKING:
    from .vlm.protocol import VlmEngine

PathLike = str | os.PathLike[str]


def _ignore(event: Event) -> None:
    pass


class Pipeline:
    """Converts documents; loads models and starts workers once, for as many documents as follow.

    Use it as a context manager, or call :meth:`close`. Safe to use from several threads.

    ::

        with Pipeline(formats=["md"], on_event=print) as pipeline:
            for result in pipeline.convert_batch(["a.pdf", "scans/"], output="out"):
                print(result.path, result.ok)

    Args:
        options: how to convert; fields may also be given as keywords, which win.
        on_event: called with every :class:`~mineru_accel.events.Event`, from another thread than yours.

    Raises:
        pydantic.ValidationError: for options that don't exist or don't fit.
        UsageError, ModelError: if this machine can't do what the options ask for.
    """

    def __init__(self, options: Options | None = None, *, on_event: OnEvent | None = None, **fields: Any) -> None:
        base = options.model_dump(exclude_unset=True) if options else {}
        self.options = Options(**{**base, **fields})
        self.plan = make_plan(self.options)
        if warning := language_warning(self.options.lang):
            logger.warning(warning)
        self._on_event = on_event or _ignore
        self._tracer = Tracer(self.options.profile)
        self._closed = False
        self._cluster = None
        if self.options.executor is Executor.RAY:
            from .distributed.driver import Cluster

            self._cluster = Cluster(self.options, self.plan, self._event)
            return
        workers = self.options.workers or default_workers()
        started = start(self.options, self.plan, workers, self._event, self._tracer, engine=self._make_engine)
        self._scheduler, self._stages, self._pool = started.scheduler, started.stages, started.pool
        self._window = max(2 * workers + 2, 16 if self.plan.engine else 0)

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop at once; documents under way are given up and leave nothing behind."""
        if not self._closed:
            self._closed = True
            (self._cluster or self._scheduler).close()
            self._tracer.close()

    def convert(self, path: PathLike, output: PathLike | None = None) -> DocumentResult:
        """Convert one document.

        Args:
            path: a PDF or an image.
            output: its results go to ``output/{stem}/``. None: to a temporary folder that lives as long as the result.

        Returns:
            The result; ``result.error`` says what went wrong, if anything. Never raises for a bad document.

        Raises:
            RuntimeError: if the pipeline is closed.
        """
        (result,) = self.run([Input(to_path(path))], _folder(output))
        return result

    def convert_batch(self, paths: Iterable[PathLike], output: PathLike | None = None) -> Iterator[DocumentResult]:
        """Convert many documents at once; yields each when it is done, in no fixed order.

        Leaving the loop early gives up the documents that are not done.

        Args:
            paths: files, folders and globs.
            output: as for :meth:`convert`. Inputs of the same stem get different names.

        Raises:
            UsageError: if a folder or glob holds nothing to convert, before anything is converted.
            RuntimeError: if the pipeline is closed.
        """
        return self.run(find(paths), _folder(output))

    async def convert_async(self, path: PathLike, output: PathLike | None = None) -> DocumentResult:
        """:meth:`convert` for asyncio."""
        async with contextlib.aclosing(self._run_async([Input(to_path(path))], _folder(output))) as results:
            return await anext(results)

    async def convert_batch_async(
        self, paths: Iterable[PathLike], output: PathLike | None = None
    ) -> AsyncGenerator[DocumentResult, None]:
        """:meth:`convert_batch` for asyncio."""
        inputs = await asyncio.to_thread(find, list(paths))
        async with contextlib.aclosing(self._run_async(inputs, _folder(output))) as results:
            async for result in results:
                yield result

    def run(
        self, inputs: list[Input], output: Path | None, arrivals: Callable[[], list[Input]] | None = None
    ) -> Iterator[DocumentResult]:
        """:meth:`convert_batch` for files that are known one by one.

        Args:
            arrivals: asked again and again for more, without end; it should wait a while if there is nothing.
        """
        if self._cluster:
            if arrivals:
                raise UsageError("on Ray nothing is waited for: leave out --watch")
            yield from self._cluster.run(inputs, output)
            return
        batch = _Batch(self._scheduler, inputs, output, self._window, self.options)
        del inputs  # their paths remember what they were asked: of a hundred thousand that is a lot
        self._event(batch.started(self.plan))
        try:
            while batch.pending or (arrivals and not batch.stopped):
                if arrivals:
                    batch.add(arrivals())
                done, _ = wait(batch.pending, timeout=0 if arrivals else None, return_when=FIRST_COMPLETED)
                for future in done:
                    yield batch.take(future)
            self._event(batch.done())
        finally:
            batch.close()

    async def _run_async(self, inputs: list[Input], output: Path | None) -> AsyncGenerator[DocumentResult, None]:
        if self._cluster:
            results = self._cluster.run(inputs, output)
            try:
                while (result := await asyncio.to_thread(next, results, None)) is not None:
                    yield result
            finally:
                await asyncio.to_thread(results.close)
            return
        batch = _Batch(self._scheduler, inputs, output, self._window, self.options)
        self._event(batch.started(self.plan))
        try:
            while batch.pending:
                wrapped = {asyncio.wrap_future(f): f for f in batch.pending}
                done, _ = await asyncio.wait(wrapped, return_when=asyncio.FIRST_COMPLETED)
                for future in done:
                    yield batch.take(wrapped[future])
            self._event(batch.done())
        finally:
            await asyncio.to_thread(batch.close)

    def submit(
        self, item: Input, output: PathLike, *, on_event: OnEvent | None = None, **fields: Any
    ) -> Future[DocumentResult]:
        """Convert one document, not waiting for it; for servers, which give each document its own options.

        Args:
            output: its results go to ``output/{stem}/``.
            on_event: hears of this document only, in the pipeline's own thread: it should be quick.
            fields: options for this document, of those in which documents may differ.

        Returns:
            A future that never raises; :meth:`cancel` gives it up.

        Raises:
            pydantic.ValidationError: for options that don't fit.
            UsageError: for options that belong to the pipeline as a whole.
            RuntimeError: if the pipeline is closed.
        """
        if self._cluster:
            raise UsageError("on Ray documents come in batches only")
        return self._scheduler.submit(item, Path(output), self._stages_for(fields), on_event)

    def cancel(self, future: Future[DocumentResult]) -> None:
        """Give up a document: its future says so once nothing of it is left. All others go on."""
        self._scheduler.cancel([future])

    def ask(self, function: str, timeout: float = 60.0, **kwargs: Any) -> Future[Any]:
        """Call ``"module:function"`` of this package in a worker, before everything else: somebody is looking.

        Returns:
            A future that raises what the function raised, and WorkerError if the worker died or took too long.
        """
        return self._scheduler.ask(Job(f"mineru_accel.{function}", timeout, kwargs))

    @property
    def layout_on_gpu(self) -> bool:
        """Does the layout model run on a GPU? Its time is none of a CPU's then."""
        return self._cluster is None and "cuda" in self._scheduler.detector_name

    def _make_engine(self) -> VlmEngine:
        return make_engine(self.options, self.plan)

    def _stages_for(self, fields: dict[str, Any]) -> Stages:
        if wrong := fields.keys() - PER_DOCUMENT:
            raise UsageError(f"{', '.join(sorted(wrong))}: can't differ between the documents of a pipeline")
        return self._stages.with_options(Options(**{**self.options.model_dump(exclude_unset=True), **fields}))

    def _event(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception:
            logger.exception("on_event failed")


def _folder(output: PathLike | None) -> Path | None:
    return to_path(output) if output is not None else None


class _Batch:
    """The documents of one call: a window of them in the scheduler, their temporary folders, their counts."""

    def __init__(
        self, scheduler: Scheduler, inputs: list[Input], output: Path | None, window: int, options: Options
    ) -> None:
        self._scheduler, self._output, self._window = scheduler, output, window
        self._count = len(inputs)
        self._waiting = deque(inputs)
        self._account = RunStatistics(options)
        self.pending: dict[Future[DocumentResult], tempfile.TemporaryDirectory[str] | None] = {}
        self._fill()

    def _fill(self) -> None:
        while len(self.pending) < self._window and self._waiting:
            item = self._waiting.popleft()
            keep, folder = None, self._output
            if folder is None:
                keep = tempfile.TemporaryDirectory(prefix="mineru-accel-")
                folder = Path(keep.name)
            self.pending[self._scheduler.submit(item, folder, run=self._account)] = keep

    def add(self, inputs: list[Input]) -> None:
        """More documents."""
        self._count += len(inputs)
        self._waiting.extend(inputs)
        self._fill()

    @property
    def stopped(self) -> bool:
        return self._account.stopped is not None

    def take(self, future: Future[DocumentResult]) -> DocumentResult:
        """The result of a future that is done; another document takes its place."""
        result = future.result()
        result._keep = self.pending.pop(future)
        with contextlib.suppress(RuntimeError):  # closed meanwhile: what is pending will be over at once
            self._fill()
        return result

    def started(self, plan: Plan) -> RunStarted:
        return RunStarted(self._count, str(plan.backend), str(plan.layout), plan.reason)

    def done(self) -> RunDone:
        return RunDone(**self._account.summary())

    def close(self) -> None:
        """Give up what is not done, and wait until nothing of it is left."""
        if not self.pending:
            return
        self._scheduler.cancel(list(self.pending))
        wait(self.pending, timeout=30)
        for keep in self.pending.values():
            if keep is not None:
                keep.cleanup()
        self.pending.clear()


def convert(
    path: PathLike, output: PathLike | None = None, *, on_event: OnEvent | None = None, **options: Any
) -> DocumentResult:
    """Convert one document, see :meth:`Pipeline.convert`. For more than one, a :class:`Pipeline` loads models once.

    ::

        print(mineru_accel.convert("paper.pdf").markdown)

    Args:
        options: fields of :class:`~mineru_accel.options.Options`.
    """
    with Pipeline(on_event=on_event, **options) as pipeline:
        return pipeline.convert(path, output)


def convert_batch(
    paths: Iterable[PathLike], output: PathLike | None = None, *, on_event: OnEvent | None = None, **options: Any
) -> Iterator[DocumentResult]:
    """Convert many documents, see :meth:`Pipeline.convert_batch`."""
    with Pipeline(on_event=on_event, **options) as pipeline:
        yield from pipeline.convert_batch(paths, output)


async def convert_async(
    path: PathLike, output: PathLike | None = None, *, on_event: OnEvent | None = None, **options: Any
) -> DocumentResult:
    """:func:`convert` for asyncio."""
    async with _opened(on_event, options) as pipeline:
        return await pipeline.convert_async(path, output)


@contextlib.asynccontextmanager
async def _opened(on_event: OnEvent | None, options: dict[str, Any]) -> AsyncGenerator[Pipeline, None]:
    """A pipeline that neither starts nor stops on the event loop."""
    pipeline = await asyncio.to_thread(lambda: Pipeline(on_event=on_event, **options))
    try:
        yield pipeline
    finally:
        await asyncio.to_thread(pipeline.close)


async def convert_batch_async(
    paths: Iterable[PathLike], output: PathLike | None = None, *, on_event: OnEvent | None = None, **options: Any
) -> AsyncGenerator[DocumentResult, None]:
    """:func:`convert_batch` for asyncio."""
    async with (
        _opened(on_event, options) as pipeline,
        contextlib.aclosing(pipeline.convert_batch_async(paths, output)) as results,
    ):
        async for result in results:
            yield result
