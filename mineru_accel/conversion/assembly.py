"""From the pages of a document to its files: long documents are put together in parts while they are read.

All of it runs in the scheduler's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from ..document import PageResult
from ..errors import OutputError, WorkerError
from ..export.types import PART, Part, PartDone, Written
from ..storage.journal import Entry
from .faults import describe
from .state import DocumentState
from .steps import Rank, Steps


class End(Protocol):
    """Ends a document: with an error, or with the files that were written."""

    def __call__(self, document: DocumentState, error: str | None = None, written: Written | None = None) -> None: ...


class Assembly:
    """Puts documents together.

    Args:
        steps: starts work and brings its outcomes back.
        note: writes to a document's journal; False if that failed, and the document is over.
        end: ends a document.
        is_idle: whether nothing else is to be done, so that one document may take two workers.
    """

    def __init__(
        self,
        steps: Steps,
        note: Callable[[DocumentState, list[Entry]], bool],
        end: End,
        is_idle: Callable[[], bool],
    ) -> None:
        self._steps = steps
        self._note = note
        self._end = end
        self._is_idle = is_idle

    def put_together(self, document: DocumentState) -> None:
        """Put a document together, or the next part of a long one, once its pages are done."""
        if document.over or document.writing:
            return
        count = len(document.pages)
        if count > PART and document.parts * PART < count:
            part = next_part(document)
            if document.pages.prefix >= part.around[1]:
                document.writing = True
                job = document.jobs.part(document.folder, document.pages, part)
                self._steps.run(document, Rank.WRITE, job, partial(self._part_done, document))
        elif document.pages.done == count:
            document.writing = True
            self._write(document)

    def _part_done(self, document: DocumentState, done: PartDone | None, error: Exception | None) -> None:
        if document.over:
            return
        document.writing = False
        if isinstance(error, WorkerError) and not document.lost:
            document.lost += 1
        elif error is not None:
            self._cannot_write(document, error)
            return
        elif done is not None:
            document.lost = 0
            _count_seconds(document, done.seconds)
            if not self._note(document, [{"part": document.parts, "text_to": done.text_to, "warnings": done.warnings}]):
                return
            count_part(document, done.text_to)
        self.put_together(document)

    def _write(self, document: DocumentState) -> None:
        pages = document.pages
        if pages.failed == len(pages):
            self._steps.on_disk(document, partial(document.folder.results, pages), partial(self._all_failed, document))
            return
        jobs = document.jobs.write(document.folder, pages, document.parts, apart=self._is_idle())
        outcomes: list[tuple[Written | None, Exception | None]] = []

        def done(written: Written | None, error: Exception | None) -> None:
            outcomes.append((written, error))
            if len(outcomes) == len(jobs):
                self._written(document, outcomes)

        for job in jobs:
            self._steps.run(document, Rank.WRITE, job, done)

    def _all_failed(self, document: DocumentState, results: list[PageResult] | None, error: Exception | None) -> None:
        why = results[0].error if results else "its journal is gone"
        self._end(document, f"no page could be converted: {why}")

    def _written(self, document: DocumentState, outcomes: list[tuple[Written | None, Exception | None]]) -> None:
        if document.over:
            return
        errors = [error for _, error in outcomes if error is not None]
        if errors and all(isinstance(error, WorkerError) for error in errors) and not document.lost:
            document.lost += 1
            self._write(document)
            return
        if errors:
            self._cannot_write(document, errors[0])
            return
        written, *others = (written for written, _ in outcomes if written is not None)
        for other in others:
            written.add(other)
        _count_seconds(document, written.seconds)
        self._end(document, written=written)

    def _cannot_write(self, document: DocumentState, error: Exception) -> None:
        prefix = "" if isinstance(error, OutputError) else "its results can't be put together: "
        self._end(document, prefix + describe(error))


def next_part(document: DocumentState) -> Part:
    """The next part of a long document to be put together."""
    start = document.parts * PART
    count = len(document.pages)
    return Part(document.parts, start, min(start + PART, count), document.text_to, count)


def count_part(document: DocumentState, text_to: int) -> None:
    """Note that the next part is there, and how far its text goes."""
    document.parts += 1
    document.text_to = text_to


def _count_seconds(document: DocumentState, seconds: float) -> None:
    if document.statistics:
        document.statistics.stages["write"] += seconds
