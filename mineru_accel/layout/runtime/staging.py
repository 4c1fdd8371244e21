"""Pages on their way to the GPU: copied into pinned memory, then uploaded while the chunk before is computed.

On a CPU (in tests) the same memory serves as the device's.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from accel_kernels.letterbox import FIELDS
from torch import Tensor

from ...hardware.cores import usable_cores
from ..letterbox import Letterbox
from ..postprocess import MAX_DET

BUFFER = 128 << 20
"""Bytes of pages in one slot."""
LARGE_PAGE = 48 << 20
"""Pages of more bytes are scaled on the host."""
_THREADED = 4 << 20
"""Bytes of pages from which on several threads copy them."""
_COPIERS = min(8, usable_cores())
"""Threads that copy pages into pinned memory: one alone is slower than the network."""


@dataclass(slots=True)
class Slot:
    """Memory of one chunk, on the host and on the device."""

    pinned: Tensor
    """Pages one after the other, flat uint8, on the host."""
    pixels: Tensor
    """The same on the device."""
    places_pinned: Tensor
    """``(chunk, FIELDS) int64``, see `accel_kernels.letterbox`."""
    places: Tensor
    found: Tensor
    """Boxes, back on the host: pinned, ``(chunk, MAX_DET, 6)``."""
    uploaded: Any = None
    """Event: pages and places are on the device."""
    done: Any = None
    """Event: the slot's pages are computed and its boxes on the host."""
    pages: int = 0
    batch: int = 0
    """``pages``, filled up to a size that there is a program for."""
    rows: int = 0
    """Rows of ``found`` in use."""


class Staging:
    """Two slots, used in turn.

    Args:
        device: where pages go.
        imgsz: longest side of the network's input.
    """

    def __init__(self, device: torch.device, imgsz: int) -> None:
        self.device = device
        self.imgsz = imgsz
        self.slots: list[Slot] = []
        self._on_gpu = device.type == "cuda"
        self._stream = torch.cuda.Stream(device) if self._on_gpu else None
        self._copiers = ThreadPoolExecutor(_COPIERS, thread_name_prefix="layout-copy")

    def chunks(self, pages: Sequence[np.ndarray], most: int) -> Iterator[tuple[int, int]]:
        """Start and end of chunks of at most ``most`` pages that fit into a slot (a single page always does)."""
        start = 0
        while start < len(pages):
            stop, size = start, 0
            while stop < len(pages) and stop - start < most:
                size += pages[stop].size if pages[stop].size <= LARGE_PAGE else 3 * self.imgsz**2
                if size > BUFFER and stop > start:
                    break
                stop += 1
            yield start, stop
            start = stop

    def slot(self, number: int, chunk: int) -> Slot:
        """Slot 0 or 1, for chunks of up to ``chunk`` pages."""
        while len(self.slots) <= number:
            pin = self._on_gpu
            empty = torch.empty(0, dtype=torch.uint8)
            self.slots.append(
                Slot(
                    empty, empty, torch.empty(chunk, FIELDS, dtype=torch.int64, pin_memory=pin),
                    torch.empty(chunk, FIELDS, dtype=torch.int64, device=self.device),
                    torch.empty(chunk, MAX_DET, 6, pin_memory=pin),
                )
            )  # fmt: skip
        return self.slots[number]

    def upload(self, slot: Slot, pages: Sequence[np.ndarray], places: Sequence[Letterbox], batch: int) -> None:
        """Copy pages into pinned memory and start their way to the device.

        Args:
            places: where each page lies on its canvas.
            batch: pages that the network will run; the first page fills it up.
        """
        drawn, size = self._drawn(pages, places)
        if slot.pinned.numel() < size:
            room = max(size, min(BUFFER, 2 * slot.pinned.numel()))
            slot.pinned = torch.empty(room, dtype=torch.uint8, pin_memory=self._on_gpu)
            slot.pixels = slot.pinned if not self._on_gpu else torch.empty(room, dtype=torch.uint8, device=self.device)
        slot.pages, slot.batch = len(pages), batch
        self._copy(slot.pinned.numpy(), drawn, size)
        for i in range(batch):
            slot.places_pinned[i] = torch.tensor(drawn[i if i < len(drawn) else 0][1])
        with torch.cuda.stream(self._stream) if self._stream else nullcontext():
            if self._stream is not None and slot.done is not None:
                self._stream.wait_event(slot.done)
            if self._on_gpu:
                slot.pixels[:size].copy_(slot.pinned[:size], non_blocking=True)
            slot.places.copy_(slot.places_pinned, non_blocking=True)
            if self._stream is not None:
                slot.uploaded = self._stream.record_event()

    @staticmethod
    def _drawn(
        pages: Sequence[np.ndarray], places: Sequence[Letterbox]
    ) -> tuple[list[tuple[np.ndarray, tuple[int, ...]]], int]:
        """Pages (large ones drawn on their canvases already) with the numbers of their places, and bytes of all."""
        drawn: list[tuple[np.ndarray, tuple[int, ...]]] = []
        start = 0
        for page, place in zip(pages, places, strict=True):
            if page.size > LARGE_PAGE:
                canvas = np.empty((*place.shape, 3), np.uint8)
                place.draw(page, canvas)
                page, where = canvas, (*place.shape, *place.shape, 0, 0)
            else:
                where = (place.height, place.width, *place.inner, place.top, place.left)
            drawn.append((page, (start, *where)))
            start += -(-page.size // 16) * 16
        return drawn, start

    def _copy(self, memory: np.ndarray, drawn: list[tuple[np.ndarray, tuple[int, ...]]], size: int) -> None:
        """Copy pages to their places in ``memory``, by several threads where that is worth it."""
        threaded = size > _THREADED
        pieces = -(-_COPIERS // len(drawn)) if threaded else 1
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        for page, (first, *_) in drawn:
            target = memory[first : first + page.size].reshape(page.shape)
            parts += zip(np.array_split(target, pieces), np.array_split(page, pieces), strict=True)

        def copy(part: tuple[np.ndarray, np.ndarray]) -> None:
            np.copyto(*part)

        if threaded:
            list(self._copiers.map(copy, parts))
        else:
            for part in parts:
                copy(part)

    def close(self) -> None:
        """Free the slots and end the threads."""
        self.slots = []
        self._copiers.shutdown(wait=False)
