"""Ctrl-C and SIGTERM: the first ends the run in good order, which takes a moment; further ones do not disturb that."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator

from ..errors import EXIT_INTERRUPTED

GRACE_SECONDS = 5.0
"""After the first signal; further ones within this time are ignored."""
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def handled() -> Iterator[None]:
    """The first raises KeyboardInterrupt in the main thread; one that comes while closing hangs ends the process.

    That is safe: workers end with this process, and what lies in OUT is as after a ``kill -9``. Signals that are
    ignored (nohup) stay so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    first: float | None = None

    def handle(number: int, frame: object) -> None:
        nonlocal first
        if first is None:
            first = time.monotonic()
            raise KeyboardInterrupt
        if time.monotonic() - first > GRACE_SECONDS:
            os.write(2, b"mineru-accel: interrupted twice\n")
            os._exit(EXIT_INTERRUPTED)

    before = {s: signal.getsignal(s) for s in _SIGNALS}
    for number, handler in before.items():
        if handler in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            if first is None:
                signal.signal(number, handler)
            elif number == signal.SIGINT:  # all is closed: the exit code is to be ours, not the signal's
                signal.signal(number, signal.SIG_IGN)
