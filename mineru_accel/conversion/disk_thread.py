"""The thread for what may take long on a disk: locking, renaming and deleting output folders."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

from .inbox import Inbox

Then = Callable[[Any, Exception | None], None]


class DiskThread:
    """Makes calls one by one in the order given, so that a folder is opened before it is given up."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox
        self._queue: queue.SimpleQueue[tuple[Callable[[], Any], Then] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)
        self._thread.start()

    def run(self, call: Callable[[], Any], then: Then) -> None:
        """Make a call; ``then(value, error)`` is posted to the inbox."""
        self._queue.put((call, then))

    def close(self) -> None:
        """End the thread when it has made all its calls."""
        self._queue.put(None)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            call, then = item
            try:
                step = partial(then, call(), None)
            except Exception as error:
                step = partial(then, None, error)
            self._inbox.post(step)
