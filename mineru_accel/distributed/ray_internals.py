"""Ray on one machine, started for one run: without the processes that have something to do only for several.

Left out are, with the CPU time they took in a run of 83 s (Ray 2.60, 2 cores):

- the dashboard (0.7 s, which start waits for), there for usage statistics even with ``include_dashboard=False``;
- the monitor (0.5 s), which adds nodes;
- the log monitor (1.0 s), which would show the logs of actors here;
- three actors of Ray Data's (4.5 s): figures for the dashboard, where actors are, and sharing out nodes among runs.

What is replaced is Ray's own business (Remove when: Ray has options for it): what another version does not have stays
as it is there. Clusters that others have started are never touched.
"""

from __future__ import annotations

import contextlib
import importlib
import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from loguru import logger

from .ray_errors import without_notice

_BOOKKEEPERS = (
    ("ray.data._internal.stats", "get_or_create_stats_actor"),
    (
        "ray.data._internal.cluster_autoscaler.default_autoscaling_coordinator",
        "get_or_create_autoscaling_coordinator",
    ),
    ("ray.data._internal.utils.cached_ray_internals", "get_or_create_actor_location_tracker"),
    ("ray.data._internal.execution.operators.actor_pool_map_operator", "get_or_create_actor_location_tracker"),
)
"""Functions, where they are looked up, that start an actor or return its handle."""


@contextlib.contextmanager
def few_daemons() -> Iterator[None]:
    """``ray.init`` starts what one node needs, while this lasts."""
    try:
        module: Any = importlib.import_module("ray._private.node")
        known = module.Node
    except (ImportError, AttributeError) as error:
        logger.debug("Ray starts as it is: {}", error)
        yield
        return

    with contextlib.ExitStack() as started:

        class Node(known):  # type: ignore[misc,valid-type]
            def __init__(self, ray_params: Any, *args: Any, **kwargs: Any) -> None:
                if kwargs.get("head"):
                    ray_params.include_log_monitor, ray_params.no_monitor = False, True
                super().__init__(ray_params, *args, **kwargs)
                started.enter_context(without_notice())

            def start_api_server(self, **kwargs: Any) -> None:
                pass

        module.Node = Node
        try:
            yield
        finally:
            module.Node = known


@contextlib.contextmanager
def books_kept_here() -> Iterator[None]:
    """Ray Data's three actors are an object of this process, the driver, while this lasts."""
    handle = Handle(Books())
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
        for module, function, known in replaced:
            setattr(module, function, known)


class Books:
    """What the three actors are asked, on a cluster of one node and one run. The rest they are told is forgotten."""

    def __init__(self) -> None:
        import ray

        self._nodes = {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}

    def gen_dataset_id(self) -> str:
        return uuid.uuid4().hex

    def get_actor_locations(self, actors: Sequence[str]) -> dict[str, str]:
        return dict.fromkeys(actors, next(iter(self._nodes)))

    def get_reserved_resources(self, requester: str) -> dict[str, dict[str, float]]:
        return self._nodes


class Handle:
    """Is called as an actor's handle is, and runs the method in this process. Copies in other processes do nothing."""

    def __init__(self, books: Books | None) -> None:
        self._books = books

    def __getattr__(self, name: str) -> _Method:
        if name.startswith("_"):
            raise AttributeError(name)
        return _Method(getattr(self._books, name, None))

    def __reduce__(self) -> Any:
        return Handle, (None,)


class _Method:
    def __init__(self, method: Any) -> None:
        self._method = method

    def remote(self, *args: Any, **kwargs: Any) -> Any:
        import ray

        return ray.put(self._method(*args, **kwargs)) if self._method else None
