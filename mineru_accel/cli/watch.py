"""``--watch``: the documents of a folder, as they arrive."""

from __future__ import annotations

import time
from pathlib import Path

from watchfiles import Change, watch

from ..storage.inputs import SUFFIXES, Input, documents_in
from ..storage.work_folder import PARTIAL

_SETTLED = 1.5
"""Seconds without a change after which a file counts as complete."""
_STEP_MS = 500
_RESCAN = 60.0
"""Seconds between looks at the folder without an event: network file systems send none."""

_State = tuple[int, int]
"""Size in bytes and time of the last change in ns."""


class Arrivals:
    """The documents in a folder and below: those that are there, then each as it arrives or changes.

    A file is taken once it has stopped growing, and taken again only after :meth:`done` was called for it.

    Args:
        folder: Made if it is missing.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._events = watch(
            folder, watch_filter=_is_document, rust_timeout=_STEP_MS, yield_on_timeout=True, raise_interrupt=True
        )
        self._taken: dict[Path, _State] = {}
        self._busy: set[Path] = set()
        self._unsettled: dict[Path, tuple[_State, float]] = {}
        self._next_look = 0.0

    def __call__(self) -> list[Input]:
        """The documents that have arrived since the last call; waits up to half a second."""
        changes = next(self._events) if self._next_look else set()
        now = time.monotonic()
        if not changes and not self._unsettled and now < self._next_look:
            return []
        self._next_look = now + _RESCAN
        ready = []
        waiting: dict[Path, tuple[_State, float]] = {}
        for path in documents_in(self._folder):
            try:
                status = path.stat()
            except OSError:  # gone again
                continue
            state = (status.st_size, status.st_mtime_ns)
            if self._taken.get(path) == state:
                continue
            before, since = self._unsettled.get(path, (None, now))
            if before != state:
                since = now
            if now - since >= _SETTLED and path not in self._busy:
                ready.append(Input(path, in_folder=True, replace=True))
                self._taken[path] = state
                self._busy.add(path)
            else:
                waiting[path] = (state, since)
        self._unsettled = waiting
        return ready

    def done(self, path: Path) -> None:
        """A document that was taken is done."""
        self._busy.discard(path)


def _is_document(change: Change, path: str) -> bool:
    parts = Path(path).parts
    return Path(path).suffix.lower() in SUFFIXES and not any(p.endswith(PARTIAL) for p in parts)
