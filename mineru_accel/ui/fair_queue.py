"""A queue that takes turns among users, so that nobody waits behind all documents of another."""

from __future__ import annotations

import itertools
import threading
from collections import Counter, deque
from collections.abc import Callable, Hashable

from loguru import logger

Task = Callable[[], None]
"""Converts one document; returns when that is done."""


class FairQueue:
    """Runs tasks in a few threads, taking turns among their owners.

    Next is the owner with the fewest tasks running, of several the one whose last turn is longest ago; within an owner
    the order is kept. Nobody occupies every thread, so that a newcomer's first document starts at once.

    Args:
        threads: Maximum tasks running at once.
    """

    def __init__(self, threads: int) -> None:
        self._max_per_owner = max(1, threads - 1)
        self._waiting: dict[Hashable, deque[Task]] = {}
        self._running: Counter[Hashable] = Counter()
        self._turns = itertools.count(1)
        self._last_turn: dict[Hashable, int] = {}
        self._closed = False
        self._changed = threading.Condition()
        self._threads = [threading.Thread(target=self._run, name=f"queue-{i}", daemon=True) for i in range(threads)]
        for thread in self._threads:
            thread.start()

    def put(self, owner: Hashable, task: Task) -> None:
        """Run a task when its turn comes. It must not raise.

        Raises:
            RuntimeError: if the queue is closed.
        """
        with self._changed:
            if self._closed:
                raise RuntimeError("the queue is closed")
            self._waiting.setdefault(owner, deque()).append(task)
            self._changed.notify()

    def remove(self, owner: Hashable) -> None:
        """Forget the tasks of an owner that have not begun."""
        with self._changed:
            self._waiting.pop(owner, None)
            self._forget(owner)

    def __len__(self) -> int:
        """Tasks that have not begun."""
        with self._changed:
            return sum(map(len, self._waiting.values()))

    def close(self) -> None:
        """Begin no more tasks; those that run end by themselves."""
        with self._changed:
            self._closed = True
            self._waiting.clear()
            self._changed.notify_all()

    def _next(self) -> tuple[Hashable, Task] | None:
        ready = [o for o in self._waiting if self._running[o] < self._max_per_owner]
        if not ready:
            return None
        owner = min(ready, key=lambda o: (self._running[o], self._last_turn.get(o, 0)))
        task = self._waiting[owner].popleft()
        if not self._waiting[owner]:
            del self._waiting[owner]
        self._running[owner] += 1
        self._last_turn[owner] = next(self._turns)
        return owner, task

    def _forget(self, owner: Hashable) -> None:
        if not self._running[owner]:
            del self._running[owner]
            if owner not in self._waiting:
                self._last_turn.pop(owner, None)

    def _run(self) -> None:
        while True:
            with self._changed:
                while (chosen := self._next()) is None:
                    if self._closed:
                        return
                    self._changed.wait()
            owner, task = chosen
            try:
                task()
            except Exception:
                logger.exception("a conversion failed")  # a bug: say so and go on
            with self._changed:
                self._running[owner] -= 1
                self._forget(owner)
                self._changed.notify_all()
