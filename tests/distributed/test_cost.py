"""The estimate of what a cluster would do."""

from __future__ import annotations

import pytest

from mineru_accel import PageResult, PageStatus, UsageError
from mineru_accel.distributed.estimate import (
    LAYOUT_PAGES,
    LINK,
    OPEN_SHARE,
    VLM_CROPS,
    WRITE_SHARE,
    PageCost,
    describe,
    estimate,
    page_cost,
    parse_cluster,
)
from mineru_accel.distributed.pools import Node


def test_clusters_as_text() -> None:
    assert parse_cluster("100x64") == (100, Node(64, 0))
    assert parse_cluster("125x192+8") == (125, Node(192, 8))
    for wrong in ("100", "0x4", "4x0", "4x4+", "many", "-1x4"):
        with pytest.raises(UsageError, match="expected NODESxCPUS"):
            parse_cluster(wrong)


def test_mean_cost_of_pages() -> None:
    timings = [{"probe": 0.1, "render": 0.1, "extract": 0.2}, {"render": 0.2, "extract": 0.6, "vlm": 9.0}, {}]
    pages = [PageResult(i, PageStatus.OK, timings=t, sources=["vlm", "image"] * i) for i, t in enumerate(timings)]
    cost = page_cost(pages, read=10.0, written=100.0, layout_on_gpu=False, vlm_here=True)
    assert cost.seconds["render"] == pytest.approx(0.2) and cost.seconds["extract"] == pytest.approx(0.4)
    assert sum(cost.seconds.values()) == pytest.approx(0.6 / (1 - WRITE_SHARE - OPEN_SHARE))
    assert cost.bytes == 220.0 and cost.crops == 0.5
    assert page_cost(pages, 10.0, 100.0, False).crops == 0  # servers elsewhere read them


def test_what_limits() -> None:
    cost = PageCost({"render": 0.1, "layout": 0.05, "extract": 0.25}, bytes=1e5, layout_on_gpu=False)
    on_cpus = estimate(cost, 10, Node(64), part_pages=64)
    assert on_cpus.limit == "CPUs" and on_cpus.most["CPUs"] == ("extract", pytest.approx(0.625))
    assert on_cpus.pages_per_second == pytest.approx(10 * 64 / 0.4)
    assert estimate(cost, 20, Node(64), 64).pages_per_second == pytest.approx(2 * on_cpus.pages_per_second)
    assert estimate(cost, 10_000, Node(64), 16).limit == "Ray Data's driver"
    huge = estimate(PageCost(cost.seconds, 1e9, False), 1, Node(64), 16)
    assert huge.limit == "the network" and huge.pages_per_second == pytest.approx(LINK / 1e9)
    assert "limited by CPUs (extract: 62%)" in describe(cost, 10, Node(64), 64)


def test_gpus() -> None:
    cost = PageCost({"render": 0.1, "layout": 0.05, "extract": 0.25}, bytes=1e5, layout_on_gpu=True)
    measured = estimate(cost, 10, Node(64, 1), 64)
    assert measured.limit == "GPUs" and measured.pages_per_second == pytest.approx(10 / 0.05)
    assert measured.limits["CPUs"] == pytest.approx(10 * 64 / 0.35)
    elsewhere = PageCost(cost.seconds, 1e5, layout_on_gpu=False)  # the nodes have GPUs, this machine has none
    assert estimate(elsewhere, 10, Node(64, 1), 64).limits["GPUs"] == pytest.approx(10 * LAYOUT_PAGES)
    assert "one H200" in describe(elsewhere, 10, Node(64, 1), 64) and "H200" not in describe(cost, 10, Node(64, 1), 64)
    with_vlm = PageCost(cost.seconds, 1e5, layout_on_gpu=False, crops=10.0)
    found = estimate(with_vlm, 125, Node(192, 8), 64)
    assert found.most["GPUs"][0] == "vlm"
    assert found.limits["GPUs"] == pytest.approx(1000 / (10 / VLM_CROPS + 1 / LAYOUT_PAGES))
    assert estimate(with_vlm, 10, Node(64), 64).pages_per_second == 0  # nobody there to run it
