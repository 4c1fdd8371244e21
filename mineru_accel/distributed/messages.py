"""The data that travel between the stages of a cluster: names, page numbers and results; never pixels."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..document import DocumentResult, PageResult

Row = dict[str, Any]
"""A row of Ray Data's: one pickled :class:`StageCall`, which Arrow need not understand."""


@dataclass(frozen=True, slots=True)
class InputTask:
    """One input of a run."""

    number: int
    """Its place in the run's list of inputs, from 0."""
    path: Path
    """A ``upath.UPath`` if it is not on this machine."""


@dataclass(frozen=True, slots=True)
class OpenedDocument:
    """An input that was opened."""

    task: InputTask
    name: str
    """Name of its folder in OUT."""
    made_from: dict[str, Any]
    """Its fingerprint, see :func:`mineru_accel.storage.fingerprint.fingerprint`."""
    key: str
    """Identifies this document, made with these options by this version, among the stored batches."""
    pages: tuple[int, ...]
    """0-based numbers of the pages to convert."""
    total: int
    """Number of pages of the file."""
    opened: float
    """When, in seconds since 1970."""


@dataclass(slots=True)
class PageBatch:
    """Consecutive pages of a document, which are converted on one node."""

    document: OpenedDocument
    start: int
    stop: int
    """Positions in ``document.pages`` of the first page and after the last one."""
    stored: bool
    """Whether it waits in OUT for the other batches of its document; otherwise its pages travel with it."""
    there: frozenset[int] = frozenset()
    """Batches of this document that an earlier run has stored, by ``start``."""
    total: int = 1
    """Number of batches of this document."""
    results: list[PageResult] = field(default_factory=list)
    pages: bytes | None = None
    """Its converted pages, see :mod:`mineru_accel.distributed.batch_archive`."""

    @property
    def key(self) -> tuple[int, int]:
        """Identifies it in the run: its document's number, and its first page's position."""
        return self.document.task.number, self.start

    @property
    def indices(self) -> tuple[int, ...]:
        """0-based numbers of its pages."""
        return self.document.pages[self.start : self.stop]


@dataclass(slots=True)
class FinishedDocument:
    """A document that is done or failed."""

    task: InputTask
    result: DocumentResult


@dataclass(slots=True)
class StageCall:
    """The work of one call of a stage: batches of enough pages to make the call's own cost small."""

    tasks: list[list[InputTask]] = field(default_factory=list)
    """Inputs to open, in groups of those whose names in OUT could be the same."""
    batches: list[PageBatch] = field(default_factory=list)
    done: list[FinishedDocument] = field(default_factory=list)

    def to_row(self) -> Row:
        return {"work": pickle.dumps(self, protocol=5)}

    @staticmethod
    def from_row(row: Row) -> StageCall:
        call: StageCall = pickle.loads(row["work"])
        return call


def grouped(opened: Iterable[PageBatch | FinishedDocument], pages: int) -> Iterator[StageCall]:
    """Batches of documents in calls of at least ``pages`` pages; finished documents go with them."""
    call, count = StageCall(), 0
    for one in opened:
        if isinstance(one, FinishedDocument):
            call.done.append(one)
            continue
        call.batches.append(one)
        count += one.stop - one.start
        if count >= pages:
            yield call
            call, count = StageCall(), 0
    if call.batches or call.done:
        yield call
