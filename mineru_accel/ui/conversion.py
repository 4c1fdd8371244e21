"""One conversion as its user sees it: files, what became of each so far, and how it is given up."""

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
    """How far a file is."""

    WAITING = "waiting"
    LOADING = "loading"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


_OVER = {State.DONE, State.FAILED, State.CANCELLED}


@dataclass(slots=True)
class File:
    """One uploaded file."""

    number: int
    name: str
    """As its user named it."""
    path: Path
    kept: Path
    """Where its pages are kept to be looked at."""
    state: State = State.WAITING
    error: str | None = None
    indices: list[int] = field(default_factory=list)
    """0-based numbers of the pages to convert, known once it was opened."""
    total: int = 0
    """Pages that it has."""
    asked: int = 0
    """Pages that its user wants."""
    pages: dict[int, PageDone] = field(default_factory=dict)
    """What became of its pages so far."""
    result: DocumentResult | None = None
    handed_out: list[str] = field(default_factory=list)
    """Copies of its files that may be downloaded."""

    @property
    def partly(self) -> bool:
        """Is it done, but not all of it well?"""
        return self.state is State.DONE and (self.error is not None or bool(self.failed))

    @property
    def limited(self) -> bool:
        """Were fewer pages converted than were asked for?"""
        return len(self.indices) < self.asked

    @property
    def failed(self) -> list[int]:
        """Its failed pages."""
        return sorted(i for i, page in self.pages.items() if page.status is PageStatus.FAILED)


class Job:
    """Files that were uploaded together.

    Args:
        folder: its own; holds ``out/`` and what is kept to be looked at.
        uploads: (what the user calls it, where it lies).
        fields: options that its documents have for themselves.
    """

    def __init__(
        self, folder: Path, uploads: list[tuple[str, Path]], engines: Pipelines, backend: str, fields: dict[str, Any]
    ) -> None:
        self.folder = folder
        self.output = folder / "out"
        self.backend = backend
        self.files = [File(n, name, path, folder / "kept" / str(n)) for n, (name, path) in enumerate(uploads)]
        self.tally = RunProgress()
        self.version = 0
        """Grows with everything that happens."""
        self._tally_started = False
        self._engines = engines
        self._fields = fields
        self._hidden = re.compile(re.escape(str(folder.parent)) + r"[^\s'\"]*")
        self._cancelled = False
        self._futures: dict[int, tuple[Pipeline, Future[DocumentResult]]] = {}
        self._lock = threading.Lock()
        self._over = threading.Event()

    @property
    def over(self) -> bool:
        """Is nothing more to come?"""
        return self._over.is_set()

    @property
    def password(self) -> str | None:
        return self._fields.get("password")

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it is over; False if it isn't after ``timeout`` seconds."""
        return self._over.wait(timeout)

    def tasks(self) -> list[Callable[[], None]]:
        """What is to be done, one task for each file; each returns when its file is over and never raises."""
        return [lambda file=file: self._convert(file) for file in self.files]  # type: ignore[misc]

    def cancel(self) -> None:
        """Give up what is not done; what is, stays."""
        with self._lock:
            self._cancelled = True
            under_way = list(self._futures.values())
            for file in self.files:
                if file.state in (State.WAITING, State.LOADING):
                    self._end(file, State.CANCELLED)
        for pipeline, future in under_way:
            pipeline.cancel(future)

    def pipeline(self) -> Pipeline | None:
        """The pipeline that converts it, None before it is loaded."""
        with self._lock:
            return next((p for p, _ in self._futures.values()), None)

    def _convert(self, file: File) -> None:
        if self._cancelled:
            return
        try:
            pipeline = self._engines.get(self.backend, lambda: self._set(file, State.LOADING))
            with self._lock:
                if self._cancelled:
                    return
                self._start_clock()
                file.state = State.RUNNING
                self.version += 1
                future = pipeline.submit(
                    Input(file.path, file.name), self.output, on_event=lambda e: self._event(file, e), **self._fields
                )
                self._futures[file.number] = pipeline, future
            self._finish(file, future.result())
        except (AccelError, RuntimeError) as error:
            with self._lock:
                self._end(file, State.FAILED, str(error))

    def _start_clock(self) -> None:
        """The rate is that of the conversion: it leaves out the wait before."""
        if not self._tally_started:
            self._tally_started = True
            self.tally.add(RunStarted(len(self.files), "", "", ""))

    def _set(self, file: File, state: State) -> None:
        with self._lock:
            if not self._cancelled:
                file.state = state
                self.version += 1

    def _event(self, file: File, event: Event) -> None:
        """Called in the pipeline's thread."""
        if isinstance(event, PageDone) and event.staging:
            page_store.keep(event.staging, event.index, file.kept)
        with self._lock:
            if isinstance(event, DocumentStarted):
                file.total = event.total
                chosen = select(event.total, self._fields.get("pages"), None, None)
                file.indices, file.asked = chosen[: event.pages], len(chosen)
            elif isinstance(event, PageDone):
                file.pages[event.index] = event
            self.tally.add(event)
            self.version += 1

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
        if file.state in _OVER:
            return
        file.state = state
        file.error = self._hidden.sub("...", error) if error else None
        self.version += 1
        if all(f.state in _OVER for f in self.files):
            self._over.set()
