"""The names of documents in OUT: which folder a document gets."""

from __future__ import annotations

import contextlib
import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ..errors import OutputError
from . import journal
from .file_lock import lock
from .report import read_report
from .work_folder import PARTIAL


class DocumentNames:
    """Gives every document of a run its own name in OUT. Thread-safe.

    A document whose result is there, or was begun, keeps that name; another document of the same stem gets ``stem_2``,
    ``stem_3``, ... Names are compared without case, so that they also differ on file systems that ignore it.
    """

    def __init__(self) -> None:
        self._taken: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def assign(self, output: Path, stem: str, source: str) -> tuple[str, dict[str, Any] | None]:
        """A name for the results of ``source``, and the report of its earlier result if there is one.

        Call it with OUT locked (:func:`naming_lock`), until the name's folder is there.

        Raises:
            OutputError: if the folder of that name is no result of ours.
        """
        if stem.casefold().endswith(PARTIAL):
            stem += "_"
        with self._lock:
            free = None
            for name in itertools.chain([stem], (f"{stem}_{n}" for n in itertools.count(2))):
                key = (str(output.absolute()), name.casefold())
                if key in self._taken:
                    continue
                report = read_report(output, name)
                unfinished = journal.read_header(output / f"{name}{PARTIAL}")
                if source in ((report or {}).get("source"), (unfinished or {}).get("source")):
                    free = name
                    break
                if report is None and unfinished is None:
                    free = free or name
                    if not (output / name).exists():
                        break
            assert free is not None
            target = output / free
            report = read_report(output, free)
            if report is None and target.exists() and (not target.is_dir() or any(target.iterdir())):
                raise OutputError(f"{target} is in the way and no result of mineru-accel")
            self._taken.add((str(output.absolute()), free.casefold()))
            return free, report

    def release(self, output: Path, name: str) -> None:
        """The document is done: its name may be assigned again."""
        with self._lock:
            self._taken.discard((str(output.absolute()), name.casefold()))


@contextlib.contextmanager
def naming_lock(output: Path) -> Iterator[None]:
    """Keep other runs from choosing names in OUT meanwhile. Hold it briefly: whoever waits for it says nothing."""
    fd = os.open(output, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        lock(fd, wait=True)
        yield
    finally:
        os.close(fd)
