"""An estimate of a cluster's pages per second and of what limits them, from the cost of pages on this machine.

Where this machine has no GPU, the rates of one H200 are taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from ..document import PageResult, Source
from ..errors import UsageError
from .pools import Node

WRITE_SHARE, OPEN_SHARE = 0.08, 0.003
"""Shares of a page's CPU time that its timings leave out, as measured (README.md)."""
CALLS_PER_SECOND = 140.0
"""Maximum calls per second of Ray Data's driver, as measured (README.md)."""
LINK = 1.25e9
"""Bytes a second of a node's network: 10 Gbit/s."""
LAYOUT_PAGES = 1237.0
"""Pages a second of the layout model on a GPU: one H200, ``bench layout`` (docs/benchmarks.md)."""
VLM_CROPS = 114.9
"""Crops a second of the VLM on a GPU: one H200, 1400 x 150 pixels, 70 tokens out, our arguments (docs/patches.md)."""
_SPEC = re.compile(r"(\d+)x(\d+)(?:\+(\d+))?")


@dataclass(frozen=True, slots=True)
class PageCost:
    """The mean cost of a page."""

    seconds: Mapping[str, float]
    """Seconds of a core by stage; of a GPU for the layout model where ``layout_on_gpu``."""
    bytes: float
    """Bytes sent over the network."""
    layout_on_gpu: bool
    crops: float = 0.0
    """Crops read by VLMs of the cluster; 0 where servers elsewhere read them, or nobody does."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """Pages per second of a cluster: the least of its limits."""

    limits: Mapping[str, float]
    """Pages per second by what limits them: CPUs, GPUs, Ray Data's driver, the network."""
    most: Mapping[str, tuple[str, float]]
    """For CPUs and GPUs: the stage that takes most of their time, and its share."""

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


def page_cost(
    results: Iterable[PageResult], read: float, written: float, layout_on_gpu: bool, vlm_here: bool = False
) -> PageCost:
    """The mean cost of converted pages.

    Args:
        results: Converted pages.
        read, written: Bytes per page of the source and of the results.
        layout_on_gpu: Whether the layout model ran on a GPU.
        vlm_here: Whether the VLM runs on the cluster's GPUs, not on servers elsewhere.
    """
    pages = [r for r in results if r.timings]
    seconds: dict[str, float] = {}
    for page in pages:
        for stage, spent in page.timings.items():
            if stage == "vlm":  # it waited for a GPU, among others
                continue
            name = "render" if stage == "probe" else stage
            seconds[name] = seconds.get(name, 0.0) + spent / len(pages)
    own = sum(seconds.values()) / (1 - OPEN_SHARE - WRITE_SHARE)
    seconds |= {"open": own * OPEN_SHARE, "write": own * WRITE_SHARE}
    crops = sum(page.sources.count(Source.VLM) for page in pages) / len(pages) if vlm_here and pages else 0.0
    # The file to the nodes that open and convert it; of long documents the pages to the store and back, which are
    # about as many bytes as the results; the results to OUT.
    return PageCost(seconds, 2 * read + 2 * written, layout_on_gpu, crops)


def estimate(cost: PageCost, count: int, node: Node, part_pages: int) -> Estimate:
    """Estimate ``count`` nodes of a kind.

    Args:
        cost: Of a page.
        count: Number of nodes.
        node: Each of them.
        part_pages: Pages of a batch.
    """
    on_gpu = node.gpus > 0 and "layout" in cost.seconds
    seconds = {"CPUs": {stage: s for stage, s in cost.seconds.items() if not (on_gpu and stage == "layout")}}
    units = {"CPUs": count * node.cpus, "GPUs": count * node.gpus}
    if on_gpu:
        seconds["GPUs"] = {"layout": cost.seconds["layout"] if cost.layout_on_gpu else 1 / LAYOUT_PAGES}
    if cost.crops:
        seconds.setdefault("GPUs", {})["vlm"] = cost.crops / VLM_CROPS
    limits = {unit: units[unit] / sum(stages.values()) for unit, stages in seconds.items()}
    limits |= {
        "Ray Data's driver": CALLS_PER_SECOND * part_pages,
        "the network": count * LINK / cost.bytes if cost.bytes else float("inf"),
    }
    most = {}
    for unit, stages in seconds.items():
        stage = max(stages, key=lambda name: stages[name])
        most[unit] = stage, stages[stage] / sum(stages.values())
    return Estimate(limits, most)


def describe(cost: PageCost, count: int, node: Node, part_pages: int) -> str:
    """The estimate in lines for people."""
    found = estimate(cost, count, node, part_pages)
    gpus = f" and {node.gpus:.0f} GPUs" if node.gpus else ""
    stages = ", ".join(f"{stage} {s * 1000:.0f}" for stage, s in sorted(cost.seconds.items(), key=lambda i: -i[1]))
    crops = f"; {cost.crops:.1f} crops for the VLM" if cost.crops else ""
    stage, share = found.most.get(found.limit, ("", 0.0))
    lines = [
        f"{count} node(s) of {node.cpus:.0f} CPUs{gpus}: about {found.pages_per_second:.4g} pages/s, "
        f"limited by {found.limit}" + (f" ({stage}: {share:.0%})" if stage else ""),
        f"  a page: {stages} ms{crops}; about {cost.bytes / 1000:.0f} kB over the network",
        "  limits in pages/s: " + ", ".join(f"{name} {value:.4g}" for name, value in found.limits.items()),
    ]
    if "GPUs" in found.limits and (cost.crops or not cost.layout_on_gpu):
        lines.append("  GPUs: by the rates of one H200, not measured here")
    return "\n".join(lines)
