"""Turns are taken fairly."""

from __future__ import annotations

import threading

from common import PATIENCE

from mineru_accel.ui.fair_queue import FairQueue


def test_owners_take_turns() -> None:
    queue, begun, gate = FairQueue(1), [], threading.Event()
    busy, done = threading.Event(), threading.Semaphore(0)

    def first() -> None:
        busy.set()
        gate.wait()

    queue.put("first", first)
    assert busy.wait(PATIENCE)

    def task(name: str) -> None:
        begun.append(name)
        done.release()

    for name in ("a1", "a2", "a3"):
        queue.put("a", lambda name=name: task(name))
    queue.put("b", lambda: task("b1"))
    queue.put("c", lambda: task("c1"))
    assert len(queue) == 5
    gate.set()
    for _ in range(5):
        assert done.acquire(timeout=PATIENCE)
    assert begun == ["a1", "b1", "c1", "a2", "a3"]
    queue.close()


def test_nobody_takes_every_thread() -> None:
    queue, gate = FairQueue(3), threading.Event()
    began = threading.Semaphore(0)

    def busy() -> None:
        began.release()
        gate.wait()

    for _ in range(6):
        queue.put("greedy", busy)
    assert began.acquire(timeout=PATIENCE) and began.acquire(timeout=PATIENCE)
    assert not began.acquire(timeout=0.1)
    newcomer = threading.Event()
    queue.put("newcomer", newcomer.set)
    assert newcomer.wait(PATIENCE)
    queue.remove("greedy")
    assert len(queue) == 0
    gate.set()
    queue.close()


def test_a_task_that_raises_costs_nothing() -> None:
    queue, after = FairQueue(1), threading.Event()
    queue.put("a", lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    queue.put("a", after.set)
    assert after.wait(PATIENCE)
    queue.close()
