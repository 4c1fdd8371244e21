"""``--profile``: a trace of a run for Chrome and Perfetto, with lanes for each worker, the layout model and the VLM."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any, TextIO

from loguru import logger

from ..errors import OutputError


class Tracer:
    """Writes a trace as things happen, so that it can also be read after a kill. Thread-safe.

    Args:
        path: The file, in Chrome's trace event format; None writes nothing.

    Raises:
        OutputError: if it can't be written.
    """

    def __init__(self, path: Path | None) -> None:
        self._started = time.perf_counter()
        self._lanes: dict[str, int] = {}
        self._lock = threading.Lock()
        self._out: TextIO | None = None
        if path is not None:
            try:
                self._out = path.open("w", encoding="utf-8")
                self._out.write("[\n")
            except OSError as error:
                raise OutputError(f"{path}: can't write it: {error.strerror or error}") from error
            self._event({"ph": "M", "name": "process_name", "tid": 0, "args": {"name": "mineru-accel"}}, last=False)

    def span(self, lane: str, name: str, start: float, **about: Any) -> None:
        """Record something in a lane that began at ``start`` (``time.perf_counter()``) and ends now."""
        if self._out is None:
            return
        end = time.perf_counter()
        with self._lock:
            if lane not in self._lanes:
                self._lanes[lane] = len(self._lanes) + 1
                named = {"ph": "M", "name": "thread_name", "tid": self._lanes[lane], "args": {"name": lane}}
                self._event(named, last=False)
            event = {"ph": "X", "name": name, "tid": self._lanes[lane], "args": about}
            times = {"ts": round(1e6 * (start - self._started)), "dur": round(1e6 * (end - start))}
            self._event(event | times, last=False)

    def count(self, name: str, **values: int) -> None:
        """Record numbers of things, valid from now on."""
        if self._out is not None:
            with self._lock:
                self._event({"ph": "C", "name": name, "tid": 0, "ts": self._now(), "args": values}, last=False)

    def close(self) -> None:
        with self._lock:
            self._event({"ph": "i", "name": "end", "tid": 0, "s": "g", "ts": self._now()}, last=True)
            out, self._out = self._out, None
            try:
                if out is not None:
                    out.close()
            except OSError as error:
                _incomplete(error)

    def _now(self) -> int:
        return round(1e6 * (time.perf_counter() - self._started))

    def _event(self, event: dict[str, Any], last: bool) -> None:
        if self._out is None:  # closed, or given up, meanwhile
            return
        try:
            self._out.write(json.dumps({"pid": os.getpid(), **event}) + ("\n]\n" if last else ",\n"))
        except OSError as error:  # a full disk costs the trace, not the run
            self._out = None
            _incomplete(error)


def _incomplete(error: OSError) -> None:
    logger.warning("the trace is incomplete: {}", error.strerror or error)
