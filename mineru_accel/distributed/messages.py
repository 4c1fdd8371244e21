"""What travels between the stages of a cluster: names, page numbers and results. Pixels stay where they were made."""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..document import DocumentResult, PageResult

Row = dict[str, Any]
"""A row of Ray Data's: one pickled :class:`Work`, which Arrow need not understand."""


@dataclass(frozen=True, slots=True)
class Task:
    """One input of a run."""

    number: int
    """Its place in the run's list."""
    path: Path
    """Where it lies; a ``upath.UPath`` if that is no local place."""


@dataclass(frozen=True, slots=True)
class Document:
    """An input that was opened."""

    task: Task
    name: str
    """Of its folder in OUT."""
    made_from: dict[str, Any]
    """Its fingerprint, see :func:`mineru_accel.storage.fingerprint.fingerprint`."""
    key: str
    """Identifies this document, made with these options by this version, in the output store."""
    pages: tuple[int, ...]
    """0-based numbers of the pages to convert."""
    total: int
    """Pages of the file."""
    opened: float
    """Seconds since 1970."""


@dataclass(slots=True)
class PageBatch:
    """Consecutive pages of a document, which are converted on one node."""

    document: Document
    start: int
    stop: int
    """Positions in ``document.pages`` of the first page and after the last one."""
    stored: bool
    """Does it wait in the output store for the other batches of its document? Else its pages travel with it."""
    there: frozenset[int] = frozenset()
    """Batches of this document that an earlier run has left in the store, by ``start``."""
    total: int = 1
    """Batches of this document."""
    results: list[PageResult] = field(default_factory=list)
    pages: bytes | None = None
    """What was read on its pages, see :mod:`mineru_accel.distributed.batch_files`."""

    @property
    def key(self) -> tuple[int, int]:
        """By which the run knows it: its document's place in the run, and its first page's position."""
        return self.document.task.number, self.start

    @property
    def indices(self) -> tuple[int, ...]:
        """0-based numbers of its pages."""
        return self.document.pages[self.start : self.stop]


@dataclass(slots=True)
class Done:
    """A document that is over."""

    task: Task
    result: DocumentResult


@dataclass(slots=True)
class Work:
    """What one call of a stage does: batches of about as many pages as make a call worth its while."""

    tasks: list[list[Task]] = field(default_factory=list)
    """Inputs to be opened; those whose names in OUT could be the same stand together."""
    batches: list[PageBatch] = field(default_factory=list)
    done: list[Done] = field(default_factory=list)

    def to_row(self) -> Row:
        return {"work": pickle.dumps(self, protocol=5)}

    @staticmethod
    def from_row(row: Row) -> Work:
        work: Work = pickle.loads(row["work"])
        return work


def calls(opened: Iterable[PageBatch | Done], pages: int) -> Iterator[Work]:
    """Batches of documents together, until they make so many pages; documents that are over go with them."""
    work, count = Work(), 0
    for one in opened:
        if isinstance(one, Done):
            work.done.append(one)
            continue
        work.batches.append(one)
        count += one.stop - one.start
        if count >= pages:
            yield work
            work, count = Work(), 0
    if work.batches or work.done:
        yield work
