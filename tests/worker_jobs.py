"""Jobs that the worker pool's tests run."""

from __future__ import annotations

import os
import time

import numpy as np
from common import wait_until

from mineru_accel.errors import InputError
from mineru_accel.workers import arena

_IMPORTED_BY = os.getpid()


def imported_here() -> bool:
    """Whether this module was imported in this process, rather than in the one it was forked from."""
    return os.getpid() == _IMPORTED_BY


def square(x: int) -> int:
    return x * x


def expected() -> None:
    raise InputError("as expected")


def divide() -> float:
    return 1 / 0


def crash() -> None:
    os.abort()


def hog(megabytes: int) -> int:
    return len(bytes(megabytes << 20))


def hang() -> None:
    time.sleep(1000)


def wait_for(path: str) -> None:
    wait_until(lambda: os.path.exists(path))


def pid() -> int:
    return os.getpid()


def fill(slot: int, slot_bytes: int, value: int) -> None:
    arena.write(slot, slot_bytes, np.full((10, 20, 3), value, np.uint8))
