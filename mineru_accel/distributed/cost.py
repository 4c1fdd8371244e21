"""What a cluster would do: pages a second, and which stage limits it, from what pages cost on this machine."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..document import PageResult
from ..errors import UsageError
from .cluster import OPEN_SHARE, WRITE_SHARE, Node

CALLS_PER_SECOND = 100.0
"""Rows that Ray Data's driver moves through three stages, as measured (README.md)."""
LINK = 1.25e9
"""Bytes a second of a node's network: 10 Gbit/s."""
_SPEC = re.compile(r"(\d+)x(\d+)(?:\+(\d+))?")


@dataclass(frozen=True, slots=True)
class PageCost:
    """What a page costs.

    ``seconds`` of a core by stage, the layout model's of a GPU where ``layout_on_gpu``; ``bytes`` that cross the
    network.
    """

    seconds: Mapping[str, float]
    bytes: float
    layout_on_gpu: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """Pages a second of a cluster: the least of what each of its parts could do."""

    limits: Mapping[str, float]
    """Pages a second by what would limit them."""
    most_cpu: str
    """The stage that takes most of the CPU time."""

    @property
    def limit(self) -> str:
        return min(self.limits, key=lambda name: self.limits[name])

    @property
    def pages_per_second(self) -> float:
        return self.limits[self.limit]


def parse_cluster(text: str) -> tuple[int, Node]:
    """``100x64`` is a hundred nodes of 64 CPUs, ``125x192+8`` such with 8 GPUs each.

    Raises:
        UsageError: for anything else.
    """
    found = _SPEC.fullmatch(text.strip())
    if found is None or not int(found[1]) or not int(found[2]):
        raise UsageError(f"--cluster {text}: expected NODESxCPUS or NODESxCPUS+GPUS, like 100x64 or 125x192+8")
    return int(found[1]), Node(int(found[2]), int(found[3] or 0))


def page_cost(results: Iterable[PageResult], read: float, written: float, layout_on_gpu: bool) -> PageCost:
    """The mean cost of converted pages.

    Args:
        read, written: bytes a page of the source and of the results.
    """
    pages = [r for r in results if r.timings]
    seconds: dict[str, float] = {}
    for page in pages:
        for stage, spent in page.timings.items():
            name = "render" if stage == "probe" else stage
            seconds[name] = seconds.get(name, 0.0) + spent / len(pages)
    own = sum(seconds.values()) / (1 - OPEN_SHARE - WRITE_SHARE)
    seconds |= {"open": own * OPEN_SHARE, "write": own * WRITE_SHARE}
    # The file to the nodes that open, convert and write it; the pages to the node that writes; the results to OUT.
    return PageCost(seconds, 3 * read + 2 * written, layout_on_gpu)


def estimate(cost: PageCost, count: int, node: Node, part_pages: int) -> Estimate:
    """What so many nodes of a kind would do.

    Args:
        part_pages: pages that travel together.
    """
    on_gpu = cost.layout_on_gpu and node.gpus > 0
    cpu = {stage: s for stage, s in cost.seconds.items() if not (on_gpu and stage == "layout")}
    limits = {
        "CPUs": count * node.cpus / sum(cpu.values()),
        "Ray Data's driver": CALLS_PER_SECOND * part_pages,
        "the network": count * LINK / cost.bytes if cost.bytes else float("inf"),
    }
    if on_gpu:
        limits["layout on GPUs"] = count * node.gpus / cost.seconds["layout"]
    return Estimate(limits, max(cpu, key=lambda stage: cpu[stage]))


def describe(cost: PageCost, count: int, node: Node, part_pages: int) -> str:
    """The estimate in lines for people."""
    found = estimate(cost, count, node, part_pages)
    gpus = f" and {node.gpus:.0f} GPUs" if node.gpus else ""
    stages = ", ".join(f"{stage} {s * 1000:.0f}" for stage, s in sorted(cost.seconds.items(), key=lambda i: -i[1]))
    share = cost.seconds[found.most_cpu] / sum(cost.seconds.values())
    lines = [
        f"{count} node(s) of {node.cpus:.0f} CPUs{gpus}: about {found.pages_per_second:.4g} pages/s, "
        f"limited by {found.limit}" + (f" ({found.most_cpu}: {share:.0%})" if found.limit == "CPUs" else ""),
        f"  a page: {stages} ms; about {cost.bytes / 1000:.0f} kB over the network",
        "  limits in pages/s: " + ", ".join(f"{name} {value:.4g}" for name, value in found.limits.items()),
    ]
    return "\n".join(lines)
