"""Outcomes of work that is done elsewhere: a fault of ours in any of them ends its document, nobody waits for ever."""

from __future__ import annotations

from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
from common import PATIENCE

from mineru_accel.conversion.disk_thread import DiskThread
from mineru_accel.conversion.inbox import Inbox
from mineru_accel.conversion.state import DocumentState
from mineru_accel.conversion.steps import Rank, Steps
from mineru_accel.errors import OutputError, WorkerError
from mineru_accel.workers.protocol import job


class Pool:
    """Takes jobs, which a test then finishes."""

    def __init__(self) -> None:
        self.taken: list[tuple[Future[Any], Any]] = []
        self.closed = False

    def submit(self, job: Any, priority: Any) -> Future[Any]:
        if self.closed:
            raise RuntimeError("closed")
        self.taken.append((Future(), priority))
        return self.taken[-1][0]


class Made:
    """Steps with what they need, and what they report."""

    def __init__(self) -> None:
        self.inbox, self.pool = Inbox(), Pool()
        self.faults: list[Exception] = []
        self.seen: list[Any] = []
        self.steps = Steps(
            self.inbox,
            self.pool,  # type: ignore[arg-type]
            DiskThread(self.inbox),
            lambda document, error: self.faults.append(error),
        )
        self.document = DocumentState(None, None, Future(), number=7)  # type: ignore[arg-type]

    def then(self, value: Any, error: Exception | None) -> None:
        self.seen.append(value if error is None else str(error))


@pytest.fixture
def made() -> Made:
    return Made()


def test_outcomes_of_jobs(made: Made) -> None:
    for _ in range(2):
        made.steps.run(made.document, Rank.READ, job(Path.cwd, 1.0), made.then)
    (good, priority), (bad, _) = made.pool.taken
    assert priority == (Rank.READ, 7) and made.document.running == {good, bad}
    good.set_result(1)
    bad.set_exception(WorkerError("its worker died"))
    assert made.seen == []  # until the scheduler's thread makes the steps
    for _ in range(2):
        made.inbox.get(PATIENCE)()
    assert made.seen == [1, "its worker died"] and not made.document.running and not made.faults


def test_jobs_of_a_closed_pool_are_left_to_the_scheduler(made: Made) -> None:
    made.pool.closed = True
    made.steps.run(made.document, Rank.READ, job(Path.cwd, 1.0), made.then)
    assert not made.document.running and not made.faults


def test_errors_of_the_disk_are_outcomes_and_others_faults(made: Made) -> None:
    def fail(error: Exception) -> Any:
        raise error

    for error in (OutputError("is in the way"), OSError("disk full"), KeyError("a bug")):
        made.steps.on_disk(made.document, lambda error=error: fail(error), made.then)
    for _ in range(3):
        made.inbox.get(PATIENCE)()
    assert made.seen == ["is in the way", "disk full"]
    assert [type(error) for error in made.faults] == [KeyError]


def test_fault_in_a_step_is_reported(made: Made) -> None:
    made.steps.guarded(made.document, lambda: 1 / 0)()
    assert [type(error) for error in made.faults] == [ZeroDivisionError]
