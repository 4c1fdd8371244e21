"""Work that is done elsewhere (by workers, on disk), whose outcomes come back to the scheduler's thread as steps."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from enum import IntEnum
from functools import partial
from typing import Any

from ..errors import AccelError
from ..workers.pool import WorkerPool
from ..workers.protocol import Job
from .disk_thread import DiskThread, Then
from .inbox import Inbox
from .state import DocumentState


class Rank(IntEnum):
    """Order of jobs: what is nearer to its end goes first, so that pages in flight stay few."""

    WRITE = 0
    EXTRACT = 1
    PREPARE = 2
    INSPECT = 3
    READ = 4


class Steps:
    """Starts work for documents.

    Args:
        on_fault: called in the scheduler's thread when a step raised what it should not.
    """

    def __init__(
        self,
        inbox: Inbox,
        pool: WorkerPool,
        disk: DiskThread,
        on_fault: Callable[[DocumentState, Exception], None],
    ) -> None:
        self._inbox = inbox
        self._pool = pool
        self._disk = disk
        self._on_fault = on_fault

    def run(self, document: DocumentState, rank: Rank, job: Job, then: Then) -> None:
        """Run a job in a worker; ``then(value, error)`` is called in the scheduler's thread, also for a document that
        is over by then."""
        try:
            future = self._pool.submit(job, (rank, document.number))
        except RuntimeError:  # closing: the scheduler ends the document
            return
        document.running.add(future)

        def done(future: Future[Any]) -> None:
            document.running.discard(future)
            then(*_outcome(future))

        step = self.guarded(document, done)
        future.add_done_callback(lambda f: self._inbox.post(partial(step, f)))

    def on_disk(self, document: DocumentState, call: Callable[[], Any], then: Then) -> None:
        """Make a call in the disk thread; ``then(value, error)`` as for :meth:`run`, where the error is one of ours or
        the system's: any other is a fault."""

        def done(value: Any, error: Exception | None) -> None:
            if error is not None and not isinstance(error, AccelError | OSError):
                raise error
            then(value, error)

        self._disk.run(call, self.guarded(document, done))

    def guarded(self, document: DocumentState, step: Callable[..., None]) -> Callable[..., None]:
        """A step of a document that ends it where a fault of ours shows: nobody waits for it for ever."""

        def guarded(*args: Any) -> None:
            try:
                step(*args)
            except Exception as error:
                self._on_fault(document, error)

        return guarded


def _outcome(future: Future[Any]) -> tuple[Any, Exception | None]:
    try:
        return future.result(), None
    except Exception as error:
        return None, error
