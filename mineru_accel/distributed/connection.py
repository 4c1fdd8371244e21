"""Connecting to a Ray cluster, or starting one on this machine."""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

from ..errors import AccelError, UsageError, one_line
from ..hardware.cores import usable_cores
from ..hardware.packages import is_installed
from .pools import Node
from .ray_internals import ErrorLog, bookkeeping_in_driver, minimal_daemons, without_environment_notice

_OBJECT_STORE = 1 << 30
"""Bytes for objects on a cluster of our own: nothing large is ever among them."""
_STARTS = 3
"""Attempts to start a cluster of our own."""
_LOCAL = "local"
"""Address of a cluster that is to be started, as Ray has it."""
_connecting = threading.Lock()
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}


class Connection:
    """This process's connection to a cluster. One of our own starts in a thread, while the caller goes on.

    Args:
        address: ``auto`` for any that runs on this machine, ``HOST:PORT``, ``local`` for one of our own, or None for
            ``$RAY_ADDRESS``, one that ``ray start`` has started here, or one of our own.

    Raises:
        UsageError: if Ray is not installed, or there is no cluster at the address.
    """

    def __init__(self, address: str | None) -> None:
        if not is_installed("ray"):
            raise UsageError("--executor ray needs: pip install 'mineru-accel[ray]'")
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before Ray is imported: it would send them
        os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it has much to say about what Ray Data does
        self.started: Future[None] = Future()
        """Done when the cluster can be used; raises :class:`AccelError` if one of our own does not start."""
        self._joined = "ray" in sys.modules and sys.modules["ray"].is_initialized()
        self.errors = ErrorLog()
        self._leave = threading.Event()
        self._thread: threading.Thread | None = None
        if self._joined:
            self.started.set_result(None)
        elif (address := address or os.environ.get("RAY_ADDRESS")) and address != _LOCAL:
            with _connecting:
                _join(address)
                self.errors.listen()
            self.started.set_result(None)
        else:
            self._thread = threading.Thread(target=self._run_own, args=(address,), name="ray", daemon=True)
            self._thread.start()

    def _run_own(self, address: str | None) -> None:
        """In a thread that lasts as long as the cluster: its daemons end with the thread that has started them."""
        with contextlib.ExitStack() as until_left:
            try:
                import ray

                threading.Thread(target=importlib.import_module, args=("ray.data",), daemon=True).start()  # meanwhile
                with _connecting:
                    self.errors.listen()
                    self._joined = ray.is_initialized()
                    if not self._joined:
                        if _start(address):
                            until_left.enter_context(bookkeeping_in_driver())
                        until_left.callback(ray.shutdown)
            except BaseException as error:
                self.started.set_exception(error)
                return
            self.started.set_result(None)
            self._leave.wait()

    def close(self) -> None:
        """Leave the cluster; end it if it is our own."""
        self.errors.expected = True
        if self._thread:
            self._leave.set()
            self._thread.join()
        elif not self._joined:
            sys.modules["ray"].shutdown()
        self.errors.close()


def _join(address: str) -> None:
    """Connect to a cluster that is there.

    Raises:
        UsageError: if there is none.
    """
    import ray

    with _keeping_signals():
        try:
            _check_listening(address)
            with without_environment_notice():
                ray.init(address=address, **_QUIET)
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(f"no Ray cluster at {address}: {one_line(error)}") from error


@contextlib.contextmanager
def _keeping_signals() -> Iterator[None]:
    """Keep this process's handler of SIGTERM: Ray would set one that exits at once."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and handler is not None:
            signal.signal(signal.SIGTERM, handler)


def _check_listening(address: str) -> None:
    """Raise OSError if nobody listens there: Ray itself would try for many minutes."""
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=10).close()


def _start(address: str | None) -> bool:
    """A cluster of our own: this machine, reachable from nowhere else.

    Args:
        address: None to connect to one that ``ray start`` has started here, if there is one.

    Returns:
        Whether it is our own.

    Raises:
        AccelError: if it does not start.
    """
    import ray

    cpus = usable_cores()
    size: dict[str, Any] = {"num_cpus": cpus, "object_store_memory": _OBJECT_STORE}
    for left in reversed(range(_STARTS)):  # its daemons give up on each other too soon for a busy machine
        try:
            with minimal_daemons() if left else contextlib.nullcontext():  # at last as Ray would have it
                ray.init(address, include_dashboard=False, _node_ip_address="127.0.0.1", **size, **_QUIET)
            return True
        except Exception as error:  # Ray raises bare ones
            ray.shutdown()
            if isinstance(error, ValueError) and "existing cluster" in str(error):
                _join("auto")
                return False
            if not left:
                raise AccelError(f"Ray does not start: {one_line(error)}") from error
    return True


def nodes() -> list[Node]:
    """The nodes of the connected cluster."""
    import ray

    alive = [n["Resources"] for n in ray.nodes() if n["Alive"]]
    return [Node(r.get("CPU", 0.0), r.get("GPU", 0.0)) for r in alive]
