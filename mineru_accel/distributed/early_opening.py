"""Documents are opened in the driver while a cluster of our own starts: nothing else could be done meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from .actors import Open
from .ledger import Ledger
from .messages import Done, PageBatch, Task
from .settings import Settings

_PATIENCE = 1.0
"""Seconds that the rest waits for a document which is being opened when Ray is ready."""


def open_until(
    started: Future[None], settings: Settings, ledger: Ledger, groups: Sequence[list[Task]]
) -> tuple[list[PageBatch | Done], list[list[Task]]]:
    """Open documents until Ray is ready.

    Args:
        started: done when it is.
        ledger: takes the documents' names.
        groups: inputs whose names in OUT could be the same stand together.

    Returns:
        What was opened, and the groups that are left.
    """
    opened: list[PageBatch | Done] = []
    if started.done():
        return opened, list(groups)
    opener, thread = Open(settings, ledger), ThreadPoolExecutor(1, thread_name_prefix="open")
    count = 0
    try:
        for group in groups:
            found = thread.submit(list, opener.open(group))
            both: list[Future[Any]] = [found, started]
            wait(both, return_when=FIRST_COMPLETED)
            if started.done() and not wait([found], timeout=_PATIENCE).done:
                break
            opened += found.result()
            count += 1
            if started.done():
                break
    finally:
        opener.close()
        thread.shutdown(wait=False, cancel_futures=True)
    return opened, list(groups[count:])
