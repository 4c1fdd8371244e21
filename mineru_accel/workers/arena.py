"""Shared memory for page pixels: one anonymous file (memfd), cut into equal slots.

It has no name, so nothing is left behind whoever is killed. The parent hands out slots; a worker writes pixels
into the slot its job names; the parent reads them without a copy and gives the slot back.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_attached: memoryview | None = None
"""In a worker: the whole arena."""


class Arena:
    """The parent's side.

    Args:
        slots: Maximum pages with pixels at once.
        slot_bytes: Size of the largest page.
    """

    def __init__(self, slots: int, slot_bytes: int) -> None:
        self.slot_bytes = slot_bytes
        self.fd = os.memfd_create("mineru-accel")
        os.ftruncate(self.fd, slots * slot_bytes)  # sparse: memory is taken when a slot is first written
        self._map = mmap.mmap(self.fd, slots * slot_bytes)
        self._view = memoryview(self._map)
        self._free = list(range(slots))
        self._lock = threading.Lock()

    def acquire(self) -> int | None:
        """A free slot, or None when all are in use."""
        with self._lock:
            return self._free.pop() if self._free else None

    def release(self, slot: int) -> None:
        with self._lock:
            self._free.append(slot)

    def read(self, slot: int, shape: tuple[int, int, int]) -> np.ndarray:
        """Pixels (H, W, C) uint8 in a slot, as a view: use it before the slot is released."""
        import numpy as np

        start = slot * self.slot_bytes
        return np.frombuffer(self._view, np.uint8, int(np.prod(shape)), start).reshape(shape)

    def bytes(self, slot: int, offset: int, length: int) -> memoryview:
        """Some bytes of a slot, as a view: use it before the slot is released."""
        start = slot * self.slot_bytes + offset
        return self._view[start : start + length]

    def close(self) -> None:
        """Give the memory back, once no view of it is left."""
        os.close(self.fd)
        with contextlib.suppress(BufferError):  # a view is still held somewhere: then when that is gone
            self._view.release()
            self._map.close()


def attach(fd: int) -> None:
    """Map the arena in a worker."""
    global _attached
    _attached = memoryview(mmap.mmap(fd, os.fstat(fd).st_size))
    os.close(fd)


def write_bytes(slot: int, slot_bytes: int, offset: int, data: bytes | memoryview) -> bool:
    """Put bytes into a slot, from a worker; False, and nothing done, where they don't fit."""
    if _attached is None or offset + len(data) > slot_bytes:
        return False
    start = slot * slot_bytes + offset
    _attached[start : start + len(data)] = data
    return True


def write(slot: int, slot_bytes: int, pixels: np.ndarray) -> None:
    """Put pixels (H, W, C) uint8 into a slot, from a worker.

    Raises:
        ValueError: if they don't fit.
    """
    import numpy as np

    if pixels.nbytes > slot_bytes:
        raise ValueError(f"{pixels.shape} pixels do not fit a slot of {slot_bytes} bytes")
    if _attached is None:
        raise RuntimeError("no arena in this process")
    out = np.frombuffer(_attached, np.uint8, pixels.nbytes, slot * slot_bytes).reshape(pixels.shape)
    np.copyto(out, pixels)
