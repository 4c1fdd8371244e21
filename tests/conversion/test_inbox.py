"""Messages to the scheduler's thread."""

from __future__ import annotations

import queue

import pytest

from mineru_accel.conversion.inbox import Inbox


def test_closed_inbox_refuses_work_and_takes_outcomes() -> None:
    inbox, made = Inbox(), list[str]()
    inbox.post_work(lambda: made.append("work"))
    assert inbox.close(last=lambda: made.append("last")) and not inbox.close(last=lambda: made.append("twice"))
    with pytest.raises(RuntimeError, match="the pipeline is closed"):
        inbox.post_work(lambda: made.append("late"))
    inbox.post(lambda: made.append("outcome"))
    for _ in range(3):
        inbox.get()()
    assert made == ["work", "last", "outcome"]
    with pytest.raises(queue.Empty):
        inbox.get(0)
