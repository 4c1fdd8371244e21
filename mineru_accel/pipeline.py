"""The Python API: :class:`Pipeline`, and the functions that make one for a single call."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from .conversion.executor import Executor, LocalExecutor
from .conversion.plan import make_plan
from .conversion.startup import make_engine
from .document import DocumentResult
from .events import Event, OnEvent
from .options import Executor as ExecutorOption
from .options import Options
from .pdf.languages import language_warning
from .storage.inputs import Input, find_inputs
from .storage.remote import to_path
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
        self.executor = self._make_executor()
        """Converts the documents: on this machine or on a cluster."""

    def __enter__(self) -> Pipeline:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Stop at once; documents under way are given up and leave nothing behind."""
        if not self._closed:
            self._closed = True
            self.executor.close()
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
        return self.run(find_inputs(paths), _folder(output))

    async def convert_async(self, path: PathLike, output: PathLike | None = None) -> DocumentResult:
        """:meth:`convert` for asyncio."""
        async with contextlib.aclosing(self.executor.run_async([Input(to_path(path))], _folder(output))) as results:
            return await anext(results)

    async def convert_batch_async(
        self, paths: Iterable[PathLike], output: PathLike | None = None
    ) -> AsyncGenerator[DocumentResult, None]:
        """:meth:`convert_batch` for asyncio."""
        inputs = await asyncio.to_thread(find_inputs, list(paths))
        async with contextlib.aclosing(self.executor.run_async(inputs, _folder(output))) as results:
            async for result in results:
                yield result

    def run(
        self, inputs: list[Input], output: Path | None, arrivals: Callable[[], list[Input]] | None = None
    ) -> Iterator[DocumentResult]:
        """:meth:`convert_batch` for files that are known one by one.

        Args:
            arrivals: asked again and again for more, without end; it should wait a while if there is nothing.
        """
        return self.executor.run(inputs, output, arrivals)

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
        return self.executor.submit(item, Path(output), on_event, fields)

    def cancel(self, future: Future[DocumentResult]) -> None:
        """Give up a document: its future says so once nothing of it is left. All others go on."""
        self.executor.cancel(future)

    def ask(self, function: Callable[..., Any], timeout: float = 60.0, **kwargs: Any) -> Future[Any]:
        """Call a function in a worker, before everything else: somebody is looking.

        Args:
            function: of a module that can be imported; see :func:`mineru_accel.workers.protocol.job`.
            timeout: seconds.

        Returns:
            A future that raises what the function raised, and WorkerError if the worker died or took too long.
        """
        return self.executor.ask(function, timeout, kwargs)

    @property
    def layout_on_gpu(self) -> bool:
        """Whether the layout model runs on a GPU of this machine: its time is none of a CPU's then."""
        return self.executor.layout_on_gpu

    def _make_executor(self) -> Executor:
        if self.options.executor is ExecutorOption.RAY:
            from .distributed.driver import RayExecutor

            return RayExecutor(self.options, self.plan, self._event)
        return LocalExecutor(self.options, self.plan, self._event, self._tracer, self._make_engine)

    def _make_engine(self) -> VlmEngine:
        return make_engine(self.options, self.plan)

    def _event(self, event: Event) -> None:
        try:
            self._on_event(event)
        except Exception:
            logger.exception("on_event failed")


def _folder(output: PathLike | None) -> Path | None:
    return to_path(output) if output is not None else None


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
