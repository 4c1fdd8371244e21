"""Opening documents in the driver while a cluster of our own starts: nothing else could be done meanwhile."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any

from .actors import Open
from .ledger import Ledger
from .messages import FinishedDocument, InputTask, PageBatch
from .settings import Settings


def open_in_driver(
    started: Future[None],
    settings: Settings,
    ledger: Ledger,
    groups: Sequence[list[InputTask]],
    patience: float = 1.0,
) -> tuple[list[PageBatch | FinishedDocument], list[list[InputTask]]]:
    """Open documents until Ray is ready.

    Args:
        started: Done when Ray is ready.
        settings: Of the run.
        ledger: Takes the documents' names.
        groups: Inputs, those whose names in OUT could be the same together.
        patience: Seconds to wait for the document that is being opened when Ray is ready.

    Returns:
        The batches and finished documents of the opened inputs, and the groups that are left.
    """
    opened: list[PageBatch | FinishedDocument] = []
    if started.done():
        return opened, list(groups)
    opener, thread = Open(settings, ledger), ThreadPoolExecutor(1, thread_name_prefix="open")
    count = 0
    try:
        for group in groups:
            found = thread.submit(list, opener.open(group))
            both: list[Future[Any]] = [found, started]
            wait(both, return_when=FIRST_COMPLETED)
            if started.done() and not wait([found], timeout=patience).done:
                break
            opened += found.result()
            count += 1
            if started.done():
                break
    finally:
        opener.close()
        thread.shutdown(wait=False, cancel_futures=True)
    return opened, list(groups[count:])
