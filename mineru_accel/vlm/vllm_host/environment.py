"""The environment in which vLLM's processes are started: variables, signals, and a folder for their sockets."""

from __future__ import annotations

import os
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping
from multiprocessing import resource_tracker
from typing import Any, TypeVar

T = TypeVar("T")
SOCKET_FOLDER = "VLLM_RPC_BASE_PATH"
"""vLLM's variable for the folder of its sockets."""
_SOCKET_NAME, _MAX_SOCKET_PATH = 37, 107
"""Characters of a slash and the name that vLLM gives a socket, and maximum of a socket's path on Linux."""
_lock = threading.Lock()


def make_socket_folder() -> tempfile.TemporaryDirectory[str] | None:
    """A folder for the sockets of vLLM's processes, which don't delete them.

    None if the user has named a folder, or if paths in ours would be too long for sockets.
    """
    if SOCKET_FOLDER in os.environ:
        return None
    folder = tempfile.TemporaryDirectory(prefix="mineru-accel-", ignore_cleanup_errors=True)
    if len(os.fsencode(folder.name)) + _SOCKET_NAME <= _MAX_SOCKET_PATH:
        return folder
    folder.cleanup()
    return None


def call_with_environment(values: Mapping[str, str], call: Callable[..., T], *args: Any) -> T:
    """``call(*args)`` with these environment variables set, and SIGINT blocked, for the processes that it starts.

    Ctrl-C at a terminal goes to all its processes. It is this process that decides what becomes of the engine, so that
    the others must not see it.
    """
    with _lock:
        before = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        resource_tracker.ensure_running()  # starting it later would unblock the signal
        mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})  # child processes inherit it
        try:
            return call(*args)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, mask)
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value
