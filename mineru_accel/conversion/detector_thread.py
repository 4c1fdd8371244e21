"""The thread in which the layout model finds the regions of pages, in batches."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from ..document import Region
from ..workers.arena import Arena
from ..workers.trace import Tracer
from .inbox import Inbox

if TYPE_CHECKING:
    from ..layout.protocol import LayoutDetector

_MAX_BATCH = 32
"""Maximum pages that the detector is given at once."""

Then = Callable[[list[Region], float, Exception | None], None]
_Item = tuple[tuple[int, int, int], int, Then]


class DetectorThread:
    """Runs the detector on the pages that are ready, up to its ``max_batch``: no page waits for a batch to fill.

    Args:
        detector: closed with the thread.
        inbox: where results are posted.
        arena: where the pixels of the pages lie.
        tracer: told when the detector worked.
    """

    def __init__(self, detector: LayoutDetector, inbox: Inbox, arena: Arena, tracer: Tracer) -> None:
        self.detector = detector
        self._tracer = tracer
        self._max_batch = min(_MAX_BATCH, detector.max_batch)
        self._inbox = inbox
        self._arena = arena
        self._queue: queue.SimpleQueue[_Item | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="layout", daemon=True)
        self._thread.start()

    def put(self, shape: tuple[int, int, int], slot: int, then: Then) -> None:
        """Detect the regions of the pixels in a slot; ``then(regions, seconds, error)`` is posted to the inbox.

        Args:
            shape: (H, W, C) of the pixels.
        """
        self._queue.put((shape, slot, then))

    def close(self) -> None:
        """End the thread and wait for it: native code that still runs when Python ends aborts the process."""
        self._queue.put(None)
        self._thread.join(timeout=30)

    def _run(self) -> None:
        while (item := self._queue.get()) is not None:
            self._detect(self._batch(item))
        self.detector.close()

    def _batch(self, first: _Item) -> list[_Item]:
        """A page, and those that wait already."""
        batch = [first]
        while len(batch) < self._max_batch and not self._queue.empty():
            more = self._queue.get()
            if more is None:
                self._queue.put(None)
                break
            batch.append(more)
        return batch

    def _detect(self, batch: list[_Item]) -> None:
        started = time.perf_counter()
        regions: list[list[Region]] = [[] for _ in batch]
        failed: Exception | None = None
        try:
            regions = self.detector.detect([self._arena.read(slot, shape) for shape, slot, _ in batch])
        except Exception as error:
            failed = error
        self._tracer.span("layout", "detect", started, pages=len(batch))
        seconds = (time.perf_counter() - started) / len(batch)
        for (_, _, then), found in zip(batch, regions, strict=True):
            self._inbox.post(partial(then, found, seconds, failed))
