"""A Ray cluster: getting to it, what it has, and how that is shared out among the stages."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from ..conversion.plan import Plan
from ..errors import AccelError, UsageError, one_line
from ..hardware.cores import usable_cores
from ..hardware.packages import is_installed
from ..options import Engine, Layout, Options
from .ray_internals import ErrorLog, bookkeeping_in_driver, minimal_daemons, without_environment_notice

_MAX_GROUP = 8
"""CPUs of one actor that converts pages, at most: what one lost actor may cost."""
_MAX_ENGINE_GROUP = 16
"""The same where the actor holds an engine for the VLM, which they all feed."""
_OPEN_SHARE = 0.02
"""Of the CPUs: what the actors that open documents need, with room to spare (measured: README.md)."""
_OBJECT_STORE = 1 << 30
"""Bytes for objects on a cluster of our own: nothing large is ever among them."""
_STARTS = 3
_OUR_OWN = "local"
"""Address of a cluster that is to be started, as Ray has it."""
_connecting = threading.Lock()
_QUIET: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
_CALLS, _ENGINE_CALLS = 2, 8
"""Calls of 16 pages under way in an actor: enough for its workers, or the engine, always to have something to do."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine, as Ray counts."""

    cpus: float
    gpus: float = 0.0


@dataclass(frozen=True, slots=True)
class Pools:
    """The actors of a run. ``size`` CPUs are shared by one actor that converts pages and one that opens documents.

    Fractions of CPUs: the two take turns on the same cores, as the stages of a local run do.
    """

    size: int
    """Worker processes of an actor that converts pages."""
    groups: int
    """How many of these."""
    gpus: float
    """Of each of these."""
    calls: int = 2
    """Calls that an actor that converts pages works on at once."""

    @property
    def page_cpus(self) -> float:
        return round(self.size * (1 - _OPEN_SHARE), 2)

    @property
    def open_cpus(self) -> float:
        return round(self.size * _OPEN_SHARE, 2)


def plan_pools(nodes: list[Node], options: Options, plan: Plan) -> Pools:
    """Actors for a cluster: one for every so many CPUs, with its share of their node's GPUs.

    With the VLM's engine in process it is one for every GPU (or ``ray_gpus``), with its share of the node's CPUs,
    whichever number of engines it starts there.

    Raises:
        UsageError: if no node has a CPU.
    """
    nodes = [n for n in nodes if n.cpus >= 1]
    if not nodes:
        raise UsageError("no node of the Ray cluster has a CPU for this")
    engine = plan.engine in (Engine.VLLM, Engine.TRANSFORMERS)
    models = (engine or plan.layout is Layout.DOCLAYOUT_YOLO) and options.device != "cpu" and options.ray_gpus != 0
    with_gpus = [n for n in nodes if n.gpus > 0] if models else []
    nodes = with_gpus or nodes
    if engine and with_gpus:
        gpus = options.ray_gpus or 1.0
        groups = [max(1, min(int(n.gpus / gpus + 1e-6), int(n.cpus))) for n in nodes]
        fits = min(int(n.cpus / g) for n, g in zip(nodes, groups, strict=True))
        size = options.workers or max(1, min(_MAX_ENGINE_GROUP, fits))
    else:
        size = options.workers or max(1, min(_MAX_GROUP, *(int(n.cpus) for n in nodes), _MAX_GROUP))
        groups = [max(1, int(n.cpus / size)) for n in nodes]
        share = min(n.gpus / g for n, g in zip(nodes, groups, strict=True)) if with_gpus else 0.0
        gpus = options.ray_gpus if options.ray_gpus is not None else min(1.0, math.floor(share * 100) / 100)
    calls = _ENGINE_CALLS if plan.engine else _CALLS
    return Pools(size, options.ray_actors or sum(groups), gpus, calls)


class Connection:
    """Of this process to a cluster. One of our own starts in a thread, so that the caller can go on meanwhile.

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
        self._theirs = "ray" in sys.modules and sys.modules["ray"].is_initialized()
        self.errors = ErrorLog()
        self._leave = threading.Event()
        self._thread: threading.Thread | None = None
        if self._theirs:
            self.started.set_result(None)
        elif (address := address or os.environ.get("RAY_ADDRESS")) and address != _OUR_OWN:
            with _connecting:
                _join(address)
                self.errors.listen()
            self.started.set_result(None)
        else:
            self._thread = threading.Thread(target=self._live, args=(address,), name="ray", daemon=True)
            self._thread.start()

    def _live(self, address: str | None) -> None:
        """In a thread that lasts as long as the cluster: its daemons end with the thread that has started them."""
        with contextlib.ExitStack() as until_left:
            try:
                import ray

                threading.Thread(target=importlib.import_module, args=("ray.data",), daemon=True).start()  # meanwhile
                with _connecting:
                    self.errors.listen()
                    self._theirs = ray.is_initialized()
                    if not self._theirs:
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
        elif not self._theirs:
            sys.modules["ray"].shutdown()
        self.errors.close()


def _join(address: str) -> None:
    """Connect to a cluster that is there.

    Raises:
        UsageError: if there is none.
    """
    import ray

    with _own_signals():
        try:
            _check(address)
            with without_environment_notice():
                ray.init(address=address, **_QUIET)
        except (OSError, ValueError, RuntimeError) as error:
            raise UsageError(f"no Ray cluster at {address}: {one_line(error)}") from error


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what this process does when it is asked to end: Ray would exit at once, in its own way."""
    handler = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and handler is not None:
            signal.signal(signal.SIGTERM, handler)


def _check(address: str) -> None:
    """See that somebody listens there: Ray itself would try for many minutes."""
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
    """What the connected cluster has."""
    import ray

    alive = [n["Resources"] for n in ray.nodes() if n["Alive"]]
    return [Node(r.get("CPU", 0.0), r.get("GPU", 0.0)) for r in alive]
