"""The zygote: imports what workers need once, then forks a worker whenever the parent asks for one.

Started as ``python -m mineru_accel.workers.zygote FD MODULE...``, so that it never runs the user's main module (scripts
without an ``if __name__ == "__main__"`` guard and notebooks work) and has a single thread when it forks. A forked
worker shares the imported modules' memory and is ready in milliseconds. The first message over FD says how much memory
a worker may have, what else it has imported before its first job, and what is imported when nobody is waiting: workers
forked after that are complete.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import select
import signal
import socket
import sys
import traceback
from multiprocessing.connection import Connection

from ..errors import AccelError
from .protocol import FORK_COMPLETE, FORKED, Done, Failed, Job, die_with_parent, limit_memory


def main(argv: list[str]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to handle
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps dead workers
    gc.disable()  # while importing: nothing of it is garbage
    control = socket.socket(fileno=int(argv[0]))
    _import(argv[1:])
    settings = control.recv(1 << 16)
    if not settings:  # the parent is gone
        return
    memory, modules, later = json.loads(settings)
    _import(modules)
    while True:
        if later and not select.select([control], [], [], 0)[0]:
            _import([later.pop(0)])
            continue
        message, fds, _, _ = socket.recv_fds(control, 16, 2)
        if not message:  # the parent is gone
            return
        if message == FORK_COMPLETE:
            _import(later)
            later.clear()
        pid = os.fork()
        if pid == 0:
            control.close()
            limit_memory(memory)
            _serve(Connection(fds[0]), arena=fds[1] if len(fds) > 1 else None)
            os._exit(0)
        for fd in fds:
            os.close(fd)
        control.sendall(FORKED.pack(pid, not later))


def _import(modules: list[str]) -> None:
    for module in modules:
        with contextlib.suppress(Exception):  # the job that needs it says so
            importlib.import_module(module)
    gc.freeze()  # keep the imported objects' pages shared with the workers


def _serve(connection: Connection, arena: int | None) -> None:
    """Answer jobs until the parent closes the connection."""
    die_with_parent()  # the zygote, which ends when its parent does
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    # Young objects of one page die together: the default threshold makes the collector a third of the time.
    gc.set_threshold(200_000, 20, 100)
    gc.enable()
    if arena is not None:
        from . import arena as arena_module

        arena_module.attach(arena)
    while True:
        try:
            job: Job = connection.recv()
        except (EOFError, OSError):
            return
        try:
            answer: Done | Failed = Done(job.call())
        except AccelError as error:
            answer = Failed(type(error).__name__, str(error), True, "")
        except MemoryError:
            answer = Failed("MemoryError", "out of memory", True, "")
        except Exception as error:
            answer = Failed(type(error).__name__, str(error) or type(error).__name__, False, traceback.format_exc())
        try:
            connection.send(answer)
        except OSError:
            return


if __name__ == "__main__":
    main(sys.argv[1:])
