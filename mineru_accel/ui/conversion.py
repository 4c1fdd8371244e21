"""One conversion as its user sees it: the files, the state of each, and how to cancel it."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from ..conversion.progress import RunProgress
from ..document import DocumentResult, PageStatus
from ..errors import AccelError
from ..events import DocumentStarted, Event, PageDone, RunStarted
from ..page_range import select
from ..pipeline import Pipeline
from ..storage import page_store
from ..storage.inputs import Input
from .pipelines import Pipelines


class State(StrEnum):
    """The state of a file."""

    WAITING = "waiting"
    LOADING = "loading"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_FINISHED = {State.DONE, State.FAILED, State.CANCELLED}


@dataclass(slots=True)
class File:
    """One uploaded file."""

    number: int
    name: str
    """As its user named it."""
    path: Path
    kept_pages: Path
    """Folder with copies of its converted pages' blocks and pictures, to be looked at."""
    state: State = State.WAITING
    error: str | None = None
    indices: list[int] = field(default_factory=list)
    """0-based numbers of the pages to convert, known once it was opened."""
    requested: int = 0
    """Number of pages that its user asked for."""
    pages: dict[int, PageDone] = field(default_factory=dict)
    """The pages done so far, by 0-based number."""
    result: DocumentResult | None = None
    downloadable: list[str] = field(default_factory=list)
    """Copies of the files made from it that may be downloaded."""

    @property
    def partly(self) -> bool:
        """Whether it is done, but with errors."""
        return self.state is State.DONE and (self.error is not None or bool(self.failed))

    @property
    def limited(self) -> bool:
        """Whether the server's limit lets fewer pages be converted than its user asked for."""
        return len(self.indices) < self.requested

    @property
    def failed(self) -> list[int]:
        """0-based numbers of its failed pages."""
        return sorted(i for i, page in self.pages.items() if page.status is PageStatus.FAILED)

    def has_page(self, position: int) -> bool:
        """Whether a page, by its place among those to convert, is done."""
        return position < len(self.indices) and self.indices[position] in self.pages


class Conversion:
    """Files that were uploaded together.

    Args:
        folder: Its own; holds ``out/`` and the pages to be looked at.
        uploads: (the user's name of a file, its path).
        pipelines: Convert it.
        backend: One that they offer.
        fields: Options of its documents.
    """

    def __init__(
        self, folder: Path, uploads: list[tuple[str, Path]], pipelines: Pipelines, backend: str, fields: dict[str, Any]
    ) -> None:
        self.folder = folder
        self.output = folder / "out"
        self.backend = backend
        self.files = [File(n, name, path, folder / "kept" / str(n)) for n, (name, path) in enumerate(uploads)]
        self.progress = RunProgress()
        self.revision = 0
        """Grows with every change."""
        self._clock_started = False
        self._pipelines = pipelines
        self._fields = fields
        self._server_path = re.compile(re.escape(str(folder.parent)) + r"[^\s'\"]*")
        self._cancelled = False
        self._futures: dict[int, tuple[Pipeline, Future[DocumentResult]]] = {}
        self._lock = threading.Lock()
        self._finished = threading.Event()

    @property
    def finished(self) -> bool:
        """Whether every file is done, failed or cancelled."""
        return self._finished.is_set()

    @property
    def password(self) -> str | None:
        """Of encrypted PDFs."""
        return self._fields.get("password")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is finished; False if it isn't after ``timeout`` seconds."""
        return self._finished.wait(timeout)

    def tasks(self) -> list[Callable[[], None]]:
        """One task for each file, which converts it, returns when it is done, and never raises."""
        return [lambda file=file: self._convert(file) for file in self.files]  # type: ignore[misc]

    def cancel(self) -> None:
        """Give up the files that are not done; results of others stay."""
        with self._lock:
            self._cancelled = True
            running = list(self._futures.values())
            for file in self.files:
                if file.state in (State.WAITING, State.LOADING):
                    self._end(file, State.CANCELLED)
        for pipeline, future in running:
            pipeline.cancel(future)

    def last_page_in_order(self) -> tuple[int, int]:
        """The number of a file and the position of its page up to which all is done: where a reader would be."""
        for file in self.files:
            if file.indices and len(file.pages) < len(file.indices):
                missing = next(n for n, index in enumerate(file.indices) if index not in file.pages)
                return file.number, max(0, missing - 1)
        started = [f for f in self.files if f.pages]
        return (started[-1].number, len(started[-1].indices) - 1) if started else (0, 0)

    def pipeline(self) -> Pipeline | None:
        """The pipeline that converts it, None before it is loaded."""
        with self._lock:
            return next((p for p, _ in self._futures.values()), None)

    def _convert(self, file: File) -> None:
        if self._cancelled:
            return
        try:
            pipeline = self._pipelines.get(self.backend, lambda: self._set_state(file, State.LOADING))
            with self._lock:
                if self._cancelled:
                    return
                self._start_clock()
                file.state = State.RUNNING
                self.revision += 1
                future = pipeline.submit(
                    Input(file.path, file.name),
                    self.output,
                    on_event=lambda event: self._on_event(file, event),
                    **self._fields,
                )
                self._futures[file.number] = pipeline, future
            self._finish(file, future.result())
        except (AccelError, RuntimeError) as error:
            with self._lock:
                self._end(file, State.FAILED, str(error))

    def _start_clock(self) -> None:
        """Begin to count time: pages a second leave out the wait in the queue."""
        if not self._clock_started:
            self._clock_started = True
            self.progress.add(RunStarted(len(self.files), "", "", ""))

    def _set_state(self, file: File, state: State) -> None:
        with self._lock:
            if not self._cancelled:
                file.state = state
                self.revision += 1

    def _on_event(self, file: File, event: Event) -> None:
        """Called in the pipeline's thread."""
        if isinstance(event, PageDone) and event.staging:
            page_store.copy_page(event.staging, event.index, file.kept_pages)
        with self._lock:
            if isinstance(event, DocumentStarted):
                chosen = select(event.total, self._fields.get("pages"), None, None)
                file.indices, file.requested = chosen[: event.pages], len(chosen)
            elif isinstance(event, PageDone):
                file.pages[event.index] = event
            self.progress.add(event)
            self.revision += 1

    def _finish(self, file: File, result: DocumentResult) -> None:
        with self._lock:
            file.result = result
            if result.output_dir is not None:
                self._end(file, State.DONE, result.error)
            elif self._cancelled:
                self._end(file, State.CANCELLED)
            else:
                self._end(file, State.FAILED, result.error)

    def _end(self, file: File, state: State, error: str | None = None) -> None:
        if file.state in _FINISHED:
            return
        file.state = state
        file.error = self._server_path.sub("...", error) if error else None
        self.revision += 1
        if all(f.state in _FINISHED for f in self.files):
            self._finished.set()
