"""Crops cut into patches by a pool of processes, like a conversion's workers; all data lies in shared memory."""

from __future__ import annotations

import asyncio
import importlib
import mmap
import multiprocessing
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import Any

from ...patches.image_patches import MODULES, Cutter, cut
from ...vlm.types import Patches
from ...workers import owner_watch

_MARGIN = 28
"""Maximum pixels that a side gains when it is scaled to whole patches."""
_pictures: Sequence[Any] = ()
_memory: mmap.mmap
_room = 0


class CropCutterPool:
    """A pool of forked processes that cut crops. Make it before any thread or CUDA context, which must not be forked.

    Args:
        pictures: PIL images; :meth:`cut` takes the index of one.
        processes: number of processes.
    """

    def __init__(self, pictures: Sequence[Any], processes: int) -> None:
        global _pictures, _memory, _room
        _pictures = pictures
        _room = max(3 * (p.width + _MARGIN) * (p.height + _MARGIN) for p in pictures)
        _memory = mmap.mmap(-1, _room * len(pictures))
        self._view = memoryview(_memory)
        self._pool = ProcessPoolExecutor(processes, multiprocessing.get_context("fork"))
        self._started = [self._pool.submit(_import) for _ in range(processes)]

    async def cut(self, number: int, cutter: Cutter) -> Patches:
        """Patches of a picture; valid until the same picture is cut again."""
        grid, length = await asyncio.get_running_loop().run_in_executor(self._pool, _cut, number, cutter)
        start = number * _room
        return Patches(_pictures[number].size, grid, self._view[start : start + length])

    def close(self) -> None:
        """End the processes."""
        self._pool.shutdown(cancel_futures=True)


def _import() -> None:
    owner_watch.watch()
    for module in MODULES:
        importlib.import_module(module)
    import torch

    torch.set_num_threads(1)


def _cut(number: int, cutter: Cutter) -> tuple[tuple[int, int], int]:
    import torch

    patches, grid = cut(_pictures[number], cutter)
    target = torch.frombuffer(_memory, dtype=torch.uint8, count=patches.numel(), offset=number * _room)
    target.copy_(patches.flatten())
    return grid, patches.numel()
