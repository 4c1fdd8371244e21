"""A Ray cluster: getting to it, what it has, and how that is shared out among the stages."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import signal
import socket
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from ..errors import AccelError, UsageError
from ..options import Engine, Layout, Options
from ..plan import Plan
from ..urls import line

_MAX_GROUP = 8
"""CPUs of one actor that converts pages, at most: what one lost actor may cost."""
_MAX_ENGINE_GROUP = 16
"""The same where the actor holds an engine for the VLM, which they all feed."""
_OPEN_SHARE = 0.02
"""Of the CPUs: what the actors that open documents need, with room to spare (measured: README.md)."""
_OBJECT_STORE = 1 << 30
"""Bytes for objects on a cluster of our own: nothing large is ever among them."""
_STARTS = 3
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

    With the VLM's engine in process it is one for every GPU (or ``ray_gpus``), with its share of the node's CPUs.

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


def connect(address: str | None) -> bool:
    """Connect this process to a cluster, unless it is already.

    Args:
        address: ``auto`` for one that runs on this machine, ``HOST:PORT``, or None for ``$RAY_ADDRESS``, one that runs
            here, or one of our own.

    Returns:
        Whether the connection is ours to close.

    Raises:
        UsageError: if Ray is not installed, or there is no cluster at the address.
        AccelError: if one of our own does not start.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # before Ray is imported: it would send them
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")  # it has much to say about what Ray Data does
    try:
        import ray
    except ModuleNotFoundError as error:
        raise UsageError("--executor ray needs: pip install 'mineru-accel[ray]'") from error
    if ray.is_initialized():
        return False
    threading.Thread(
        target=importlib.import_module, args=("ray.data",), daemon=True
    ).start()  # while the cluster starts
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
    address = address or os.environ.get("RAY_ADDRESS")
    with _own_signals():
        try:
            _check(address)
            ray.init(address=address or "auto", **quiet)
        except (OSError, ValueError, RuntimeError) as error:
            if address is not None:
                raise UsageError(f"no Ray cluster at {address}: {line(error)}") from error
            _start(ray, quiet)
    return True


@contextlib.contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what this process does when it is asked to end: Ray would exit at once, in its own way."""
    handler = signal.getsignal(signal.SIGTERM)
    yield
    if threading.current_thread() is threading.main_thread() and handler is not None:
        signal.signal(signal.SIGTERM, handler)


def _check(address: str | None) -> None:
    """See that somebody listens there: Ray itself would try for many minutes."""
    host, colon, port = (address or "").removeprefix("ray://").rpartition(":")
    if colon:
        socket.create_connection((host, int(port)), timeout=10).close()


def _start(ray: Any, quiet: dict[str, Any]) -> None:
    """A cluster of our own: this machine, reachable from nowhere else."""
    cpus = len(os.sched_getaffinity(0))
    size = {"num_cpus": cpus, "object_store_memory": _OBJECT_STORE}
    for left in reversed(range(_STARTS)):  # its daemons give up on each other too soon for a busy machine
        try:
            ray.init("local", include_dashboard=False, _node_ip_address="127.0.0.1", **size, **quiet)
            return
        except Exception as error:  # Ray raises bare ones
            ray.shutdown()
            if not left:
                raise AccelError(f"Ray does not start: {line(error)}") from error


def nodes() -> list[Node]:
    """What the connected cluster has."""
    import ray

    alive = [n["Resources"] for n in ray.nodes() if n["Alive"]]
    return [Node(r.get("CPU", 0.0), r.get("GPU", 0.0)) for r in alive]
