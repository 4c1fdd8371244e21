"""Messages to the scheduler's thread: calls, which it makes one by one in the order in which they came."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

Call = Callable[[], object]


class Inbox:
    """A queue of calls. Thread-safe.

    Closing it refuses new work, but outcomes of work under way still come in: whoever empties it decides when to stop.
    """

    def __init__(self) -> None:
        self._calls: queue.SimpleQueue[Call] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def closed(self) -> bool:
        return self._closed

    def post(self, call: Call) -> None:
        """Leave an outcome of work that is under way."""
        self._calls.put(call)

    def post_work(self, call: Call) -> None:
        """Leave new work.

        Raises:
            RuntimeError: if it is closed.
        """
        with self._lock:
            if self._closed:
                raise RuntimeError("the pipeline is closed")
            self._calls.put(call)

    def get(self, timeout: float | None = None) -> Call:
        """The next call.

        Raises:
            queue.Empty: if none came in ``timeout`` seconds.
        """
        return self._calls.get(timeout=timeout)

    def close(self, last: Call) -> bool:
        """Refuse new work; False, and nothing done, if that was so already.

        Args:
            last: left in the inbox behind all work that was not refused.
        """
        with self._lock:
            if self._closed:
                return False
            self._closed = True
            self._calls.put(last)
        return True
