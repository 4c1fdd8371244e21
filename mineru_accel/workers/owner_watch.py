"""Every process of an engine watches the process that started it, its owner, and ends with it.

The owner writes itself into the environment, which every process of the engine inherits; the plugin of
:mod:`mineru_accel.patches` calls `watch` in each. A pidfd tells at once, and is safe when a pid is reused.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import select
import signal
import threading
import time

VARIABLE = "MINERU_ACCEL_ENGINE_OWNER"
"""``pid:starttime`` of the process that started the engine."""

_watched: set[str] = set()


def owner_id(pid: int | None = None) -> str:
    """The value of `VARIABLE` for the processes of an engine that this process (or `pid`) owns."""
    pid = pid or os.getpid()
    return f"{pid}:{_started(pid)}"


def watch() -> bool:
    """Start to watch the owner that the environment names; False if it is watched already, none or this process."""
    owner = os.environ.get(VARIABLE, "")
    if not owner or owner in _watched or owner == owner_id():
        return False
    _watched.add(owner)
    pid, _, started = owner.partition(":")
    threading.Thread(target=_watch, args=(int(pid), started), name="owner-watch", daemon=True).start()
    return True


def end_children() -> None:
    """Kill the processes that this one has started for its engines; those end theirs."""
    mark = f"{VARIABLE}={owner_id()}".encode()
    for process in multiprocessing.active_children():
        with contextlib.suppress(OSError), open(f"/proc/{process.pid}/environ", "rb") as file:
            if mark in file.read().split(b"\0"):
                process.kill()


def _watch(pid: int, started: str) -> None:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return _end()
    except (AttributeError, OSError):  # old kernel or sandbox: look now and then
        while _started(pid) == started:
            time.sleep(0.5)
        return _end()
    if _started(pid) != started:
        return _end()
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    while not poll.poll():
        pass
    _end()


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _started(pid: int) -> str:
    """Start time of a process in clock ticks since boot, empty if there is none (a zombie is none)."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in "ZX" else fields[19]
