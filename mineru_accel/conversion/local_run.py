"""The documents of one call on this machine: a window of them under way, their temporary folders, their counts."""

from __future__ import annotations

import contextlib
import tempfile
from collections import deque
from collections.abc import Callable, Collection
from concurrent.futures import Future, wait
from pathlib import Path

from ..document import DocumentResult
from ..events import RunDone, RunStarted
from ..storage.inputs import Input
from .plan import Plan
from .statistics import RunStatistics


class LocalRun:
    """The documents of one call.

    Args:
        output: OUT; None: a temporary folder for each document, which lives as long as its result.
        window: maximum documents under way.
        submit: starts a document, given its output folder.
        cancel: gives documents up.
        statistics: of the call; the scheduler counts in it.
    """

    def __init__(
        self,
        inputs: list[Input],
        output: Path | None,
        window: int,
        submit: Callable[[Input, Path], Future[DocumentResult]],
        cancel: Callable[[Collection[Future[DocumentResult]]], None],
        statistics: RunStatistics,
    ) -> None:
        self.pending: dict[Future[DocumentResult], tempfile.TemporaryDirectory[str] | None] = {}
        """Documents under way, with their temporary folders."""
        self._output = output
        self._window = window
        self._submit = submit
        self._cancel = cancel
        self._statistics = statistics
        self._count = len(inputs)
        self._waiting = deque(inputs)
        self._fill()

    def _fill(self) -> None:
        while len(self.pending) < self._window and self._waiting:
            item = self._waiting.popleft()
            keep, folder = None, self._output
            if folder is None:
                keep = tempfile.TemporaryDirectory(prefix="mineru-accel-")
                folder = Path(keep.name)
            self.pending[self._submit(item, folder)] = keep

    def add(self, inputs: list[Input]) -> None:
        """Take in more documents."""
        self._count += len(inputs)
        self._waiting.extend(inputs)
        self._fill()

    @property
    def stopped(self) -> bool:
        """Whether the run was given up."""
        return self._statistics.stopped is not None

    def take(self, future: Future[DocumentResult]) -> DocumentResult:
        """The result of a future that is done; another document takes its place."""
        result = future.result()
        result._keep = self.pending.pop(future)
        with contextlib.suppress(RuntimeError):  # closed meanwhile: what is pending will be over at once
            self._fill()
        return result

    def started(self, plan: Plan) -> RunStarted:
        """The event of its beginning."""
        return RunStarted(self._count, str(plan.backend), str(plan.layout), plan.reason)

    def done(self) -> RunDone:
        """The event of its end."""
        return RunDone(**self._statistics.summary())

    def close(self) -> None:
        """Give up what is not done, and wait until nothing of it is left."""
        if not self.pending:
            return
        self._cancel(list(self.pending))
        wait(self.pending, timeout=30)
        for keep in self.pending.values():
            if keep is not None:
                keep.cleanup()
        self.pending.clear()
