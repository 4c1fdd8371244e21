"""Replaced and relied-on parts of Ray's inside (2.60): the place to look first when its version changes.

A cluster of one node that is started for one run leaves out processes that have work only for several. They, and the
CPU time that they took in a run of 83 s (2 cores):

- the dashboard (0.7 s, for which the start waits), there for usage statistics even with ``include_dashboard=False``;
- the monitor (0.5 s), which adds nodes;
- the log monitor (1.0 s), which would show the logs of actors here;
- three actors of Ray Data's (4.5 s): figures for the dashboard, where actors are, and sharing out nodes among runs.

Ray's errors go to our log, since Ray prints them on standard output, among our events.

Remove when Ray has options for this. What another version of Ray does not have stays as it is there. Clusters that
others have started are never touched.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from loguru import logger

_BOOKKEEPERS = (
    ("ray.data._internal.stats", "get_or_create_stats_actor"),
    (
        "ray.data._internal.cluster_autoscaler.default_autoscaling_coordinator",
        "get_or_create_autoscaling_coordinator",
    ),
    ("ray.data._internal.utils.cached_ray_internals", "get_or_create_actor_location_tracker"),
    ("ray.data._internal.execution.operators.actor_pool_map_operator", "get_or_create_actor_location_tracker"),
)
"""Functions that start an actor or return its handle, by the module in which they are looked up."""
_NOTICE = b"from environment variable RAY_BACKEND_LOG_LEVEL"
_KILLED_ON_PURPOSE = "killed by `ray.kill`"
"""In the error of an actor that Ray Data or we have ended; crashes and kills from outside read otherwise."""


@contextlib.contextmanager
def minimal_daemons() -> Iterator[None]:
    """Within it ``ray.init`` starts the daemons of a single node only. Replaces ``ray._private.node.Node``."""
    try:
        module: Any = importlib.import_module("ray._private.node")
        original = module.Node
    except (ImportError, AttributeError) as error:
        logger.debug("Ray starts as it is: {}", error)
        yield
        return

    with contextlib.ExitStack() as started:

        class Node(original):  # type: ignore[misc,valid-type]
            def __init__(self, ray_params: Any, *args: Any, **kwargs: Any) -> None:
                if kwargs.get("head"):
                    ray_params.include_log_monitor, ray_params.no_monitor = False, True
                super().__init__(ray_params, *args, **kwargs)
                started.enter_context(without_environment_notice())  # until ray.init returns: it connects after this

            def start_api_server(self, **kwargs: Any) -> None:
                """The dashboard."""

        module.Node = Node
        try:
            yield
        finally:
            module.Node = original


@contextlib.contextmanager
def bookkeeping_in_driver() -> Iterator[None]:
    """Within it an object of this process, the driver, stands in for Ray Data's three actors."""
    handle = LocalHandle(DriverBookkeeping())
    replaced = []
    try:
        for name, function in _BOOKKEEPERS:
            module = importlib.import_module(name)
            replaced.append((module, function, getattr(module, function)))
    except (ImportError, AttributeError) as error:
        logger.debug("Ray Data's actors stay: {}", error)
        replaced = []
    for module, function, _ in replaced:
        setattr(module, function, lambda: handle)
    try:
        yield
    finally:
        for module, function, original in replaced:
            setattr(module, function, original)


class DriverBookkeeping:
    """Answers the questions to the three actors, for a cluster of one node and one run."""

    def __init__(self) -> None:
        import ray

        self._nodes = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}

    def gen_dataset_id(self) -> str:
        return uuid.uuid4().hex

    def get_actor_locations(self, actors: Sequence[str]) -> dict[str, str]:
        return dict.fromkeys(actors, next(iter(self._nodes)))

    def get_reserved_resources(self, requester: str) -> dict[str, dict[str, float]]:
        return self._nodes


class LocalHandle:
    """Stands for an actor's handle, and runs the methods in this process.

    Methods that the object does not have do nothing: what they would record is of no use here. Neither does any method
    of a copy in another process.
    """

    def __init__(self, target: DriverBookkeeping | None) -> None:
        self._target = target

    def __getattr__(self, name: str) -> _Method:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Method(getattr(self._target, name, None))

    def __reduce__(self) -> Any:
        return LocalHandle, (None,)


class _Method:
    def __init__(self, method: Any) -> None:
        self._method = method

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        import ray

        return ray.put(self._method(*args, **kwargs)) if self._method else None


class ErrorLog:
    """Ray's errors (lost processes, failed tasks) as warnings of our log.

    Replaces ``ray._private.worker.print_to_stdstream``; where that is not there, Ray prints.
    """

    def __init__(self) -> None:
        self.expected = False
        """Whether the cluster is being left: work under way then fails, and its errors are of no interest."""
        self._original: Any = None

    def listen(self) -> None:
        """Take Ray's errors from now on."""
        module: Any = importlib.import_module("ray._private.worker")
        self._original = getattr(module, "print_to_stdstream", None)
        if self._original is not None:
            module.print_to_stdstream = self._log

    def close(self) -> None:
        """Let Ray print again."""
        if self._original is not None:
            module: Any = importlib.import_module("ray._private.worker")
            if module.print_to_stdstream == self._log:
                module.print_to_stdstream = self._original

    def _log(self, data: dict[str, Any], *args: object, **kwargs: object) -> None:
        for text in data.get("lines", ()):
            quiet = self.expected or _KILLED_ON_PURPOSE in text  # such errors come before we hear of Ctrl-C
            logger.log("DEBUG" if quiet else "WARNING", "Ray: {}", " ".join(text.split())[:200])


@contextlib.contextmanager
def without_environment_notice() -> Iterator[None]:
    """Standard error of this process is held back meanwhile, and then written without one line.

    When it connects, Ray notes that ``RAY_BACKEND_LOG_LEVEL`` is set, whatever its value.
    """
    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as held_back:
        os.dup2(held_back.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(original, 2)
            os.close(original)
            held_back.seek(0)
            for line in held_back:
                if _NOTICE not in line:
                    os.write(2, line)
