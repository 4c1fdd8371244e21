"""How a cluster's CPUs and GPUs are shared out among the actors of a run."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ..conversion.plan import Plan
from ..errors import UsageError
from ..options import Engine, Layout, Options

_MAX_CPUS = 8
"""CPUs of one actor that converts pages: the more, the more is lost with it."""
_MAX_ENGINE_CPUS = 16
"""The same where the actor holds an engine for the VLM, which all its workers feed."""
_OPEN_SHARE = 0.02
"""Share of the CPUs for the actors that open documents, with room to spare (measured: README.md)."""
_CALLS, _ENGINE_CALLS = 2, 8
"""Calls of 16 pages under way in an actor: enough to keep its workers, or the engine, busy."""


@dataclass(frozen=True, slots=True)
class Node:
    """A machine of the cluster, with the CPUs and GPUs that Ray counts."""

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
    """Number of these actors."""
    gpus: float
    """GPUs, or a fraction, of each of these actors."""
    calls: int = 2
    """Calls that each of them works on at once."""

    @property
    def page_cpus(self) -> float:
        """CPUs, in Ray's count, of an actor that converts pages."""
        return round(self.size * (1 - _OPEN_SHARE), 2)

    @property
    def open_cpus(self) -> float:
        """CPUs, in Ray's count, of an actor that opens documents."""
        return round(self.size * _OPEN_SHARE, 2)


def plan_pools(nodes: list[Node], options: Options, plan: Plan) -> Pools:
    """The actors for a cluster: each has a group of a node's CPUs, and its share of the node's GPUs.

    With the VLM's engine in process it is one for every GPU (or ``ray_gpus``), with its share of the node's CPUs,
    whatever number of engines it starts there.

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
        size = options.workers or max(1, min(_MAX_ENGINE_CPUS, fits))
    else:
        size = options.workers or max(1, min(_MAX_CPUS, *(int(n.cpus) for n in nodes)))
        groups = [max(1, int(n.cpus / size)) for n in nodes]
        share = min(n.gpus / g for n, g in zip(nodes, groups, strict=True)) if with_gpus else 0.0
        gpus = options.ray_gpus if options.ray_gpus is not None else min(1.0, math.floor(share * 100) / 100)
    calls = _ENGINE_CALLS if plan.engine else _CALLS
    return Pools(size, options.ray_actors or sum(groups), gpus, calls)
