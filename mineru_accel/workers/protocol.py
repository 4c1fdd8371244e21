"""What the parent, the zygote and the workers say to each other."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import struct
import sys
from dataclasses import dataclass
from typing import Any

PR_SET_PDEATHSIG = 1

FORK, FORK_COMPLETE = b"fork", b"full"
"""What the parent asks the zygote for: a worker now, or one that has everything imported."""
FORKED = struct.Struct("<q?")
"""The answer: the worker's pid, and whether it is complete."""


@dataclass(frozen=True, slots=True)
class Job:
    """Call ``function`` (``"package.module:name"``) with ``kwargs`` in a worker, within ``timeout`` seconds."""

    function: str
    timeout: float
    kwargs: dict[str, Any]
    complete: bool = False
    """Run it in a worker that has everything imported."""
    alone: bool = False
    """Run it in a process of its own, whose memory is given back when it is done."""
    what: str = ""
    """What it works on, for people who look at a trace."""


@dataclass(frozen=True, slots=True)
class Done:
    """A job's value."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failed:
    """A job raised. ``expected`` tells our own one-line errors from surprises."""

    kind: str
    message: str
    expected: bool
    traceback: str


def limit_memory(size: int) -> None:
    """Let this process have ``size`` more bytes of data (0: any), and be the first that the kernel kills for memory.

    Data is what malloc and private mappings take; shared memory and files don't count, nor does what it has already.
    """
    if sys.platform == "linux":
        import resource

        if size:
            with open("/proc/self/statm") as file:
                size += int(file.read().split()[5]) * resource.getpagesize()
            with contextlib.suppress(ValueError):  # a stricter limit is set already
                resource.setrlimit(resource.RLIMIT_DATA, (size, size))
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w") as file:
            file.write("500")


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent dies, however that happens (Linux).

    The parent must have a single thread: the kernel means the thread that forked.
    """
    if sys.platform == "linux":
        parent = os.getppid()
        ctypes.CDLL(None, use_errno=True).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it died before the call
            os._exit(1)
