"""The parent's side of the zygote. The command starts the zygote first of all, so that both import at the same time."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import socket
import subprocess
import sys
from collections.abc import Sequence

from .protocol import FORK, FORK_COMPLETE, FORKED

# One thread a worker: the pool already has a process for each core.
_SINGLE_THREADED = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS")
started_early: list[Zygote] = []
"""Zygotes that no pool has taken yet."""


class Zygote:
    """A process that imports modules and forks workers; see :mod:`mineru_accel.workers.zygote`.

    Args:
        modules: what it imports at once, whatever it is told later.
        quiet: whether what native libraries print is thrown away.
    """

    def __init__(self, modules: Sequence[str], quiet: bool) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        environment = {**os.environ, **dict.fromkeys(_SINGLE_THREADED, "1")}
        command = [sys.executable, "-m", "mineru_accel.workers.zygote", str(theirs.fileno()), *modules]
        out = subprocess.DEVNULL if quiet else None
        self._process = subprocess.Popen(
            command, pass_fds=[theirs.fileno()], env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
        )
        theirs.close()

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def configure(self, memory: int, modules: Sequence[str], later: Sequence[str]) -> None:
        """Set up its workers; to be called once, before :meth:`fork`.

        Args:
            memory: bytes of data that each may have; 0: any.
            modules: imported before their first job.
            later: imported by complete ones, too.
        """
        with contextlib.suppress(OSError):  # somebody killed it: the first fork says so
            self._control.send(json.dumps([memory, list(modules), list(later)]).encode())

    def fork(self, complete: bool, fds: list[int]) -> tuple[int, bool]:
        """Fork a worker; gives its pid, and whether it is complete.

        Raises:
            OSError: if the zygote is gone.
        """
        socket.send_fds(self._control, [FORK_COMPLETE if complete else FORK], fds)
        answer = self._control.recv(FORKED.size)
        if len(answer) != FORKED.size:
            raise ConnectionResetError("the zygote ended")
        pid, is_complete = FORKED.unpack(answer)
        return pid, is_complete

    def hang_up(self) -> None:
        """End the conversation: a call of :meth:`fork` that waits fails at once."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)

    def kill(self) -> None:
        """End its process; its workers end with it."""
        self._control.close()
        self._process.kill()
        self._process.wait()


def start_early(modules: Sequence[str]) -> None:
    """Start a zygote for the pool that will come; if none does, it ends with this process."""
    zygote = Zygote(modules, quiet=True)
    started_early.append(zygote)
    atexit.register(_end_early)


def _end_early() -> None:
    while started_early:
        started_early.pop().kill()


def take(modules: Sequence[str], quiet: bool) -> Zygote:
    """The zygote that was started early, if it suits, or a new one."""
    if quiet and started_early:
        return started_early.pop()
    return Zygote(modules, quiet)
