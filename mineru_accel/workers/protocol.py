"""Messages between the parent, the zygote and the workers."""

from __future__ import annotations

import contextlib
import ctypes
import importlib
import operator
import os
import signal
import struct
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ParamSpec

P = ParamSpec("P")

PR_SET_PDEATHSIG = 1

FORK, FORK_COMPLETE = b"fork", b"full"
"""The parent's requests to the zygote: a worker now, or a complete one, which has imported everything."""
FORKED = struct.Struct("<q?")
"""The answer: the worker's pid, and whether it is complete."""


@dataclass(frozen=True, slots=True)
class Job:
    """A call of a function in a worker, within ``timeout`` seconds; made by :func:`job`."""

    function: str
    """See :func:`function_name`: the parent need not import what only the worker needs, nor the worker the parent's."""
    timeout: float
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    complete: bool = False
    """Whether to run it in a complete worker."""
    alone: bool = False
    """Whether to run it in a process of its own, whose memory is given back when it is done."""
    what: str = ""
    """Its subject, for people who look at a trace."""

    @property
    def name(self) -> str:
        """The function's name without its module."""
        return self.function.partition(":")[2]

    def call(self) -> Any:
        """Import the function and call it: in the worker."""
        module, _, name = self.function.partition(":")
        return operator.attrgetter(name)(importlib.import_module(module))(*self.args, **self.kwargs)


def job(function: Callable[P, Any], timeout: float, what: str = "", /, *args: P.args, **kwargs: P.kwargs) -> Job:
    """A call of ``function`` with the arguments that follow.

    Args:
        function: of a module that imports nothing heavy itself: the parent imports it, too.
        timeout: seconds.
        what: its subject, for people who look at a trace.

    Raises:
        ValueError: if the function can't be found by its name.
    """
    return Job(function_name(function), timeout, args, kwargs, what=what)


def function_name(function: Callable[..., Any]) -> str:
    """``"package.module:name"``, by which another process finds a function.

    Raises:
        ValueError: if none can: a nested function, a lambda, or one of the main module.
    """
    if function.__module__ == "__main__" or "<" in function.__qualname__:
        raise ValueError(f"{function.__qualname__} of {function.__module__} can't be imported in a worker")
    return f"{function.__module__}:{function.__qualname__}"


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
