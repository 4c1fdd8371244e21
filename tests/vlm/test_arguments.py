"""What vLLM is started with on which machine, and with how many engines."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from common import PATIENCE

from mineru_accel.patches import machine
from mineru_accel.patches.machine import Accelerator
from mineru_accel.vlm import gpus
from mineru_accel.vlm.arguments import engines_each, fitted, graphs, longest_context
from mineru_accel.vlm.engine import Replica, VllmEngine

HOPPER, AMPERE = Accelerator("cuda", "sm_90"), Accelerator("cuda", "sm_80")
GIB = 1 << 30


@pytest.mark.parametrize(
    ("kind", "memory", "cores", "given", "expected"),
    [
        ("cuda", 139.8, 16, {}, 2),
        ("cuda", 79.1, 24, {"max_num_seqs": 256}, 2),
        ("cuda", 79.1, 15.5, {}, 1),
        ("cuda", 47.5, 64, {}, 1),
        ("hip", 191.5, 64, {}, 1),
        ("cpu", 0.0, 64, {}, 1),
        ("cuda", 139.8, 64, {"gpu_memory_utilization": 0.9}, 1),
        ("cuda", 139.8, 64, {"kv_cache_memory_bytes": GIB}, 1),
        ("cuda", 139.8, 64, {"tensor_parallel_size": 1}, 1),
        ("cuda", 139.8, 64, {"device_ids": [0]}, 1),
    ],
)
def test_engines_on_each_gpu(kind: str, memory: float, cores: float, given: dict[str, Any], expected: int) -> None:
    assert engines_each(kind, memory, cores, given) == expected


def test_memory_is_shared_out() -> None:
    """Several engines are told what each may have, so that none of them measures while others start."""
    one, two, three = (fitted(HOPPER, 139.8, n, {}) for n in (1, 2, 3))
    assert "kv_cache_memory_bytes" not in one
    assert (one["gpu_memory_utilization"], two["gpu_memory_utilization"]) == (0.6, 0.3)
    assert two["kv_cache_memory_bytes"] == three["kv_cache_memory_bytes"] == 12 * GIB
    assert fitted(HOPPER, 79.1, 4, {})["kv_cache_memory_bytes"] == int((79.1 * 0.15 - 8) * GIB)
    assert "kv_cache_memory_bytes" not in fitted(AMPERE, 23.7, 2, {})  # too little to be said beforehand
    assert "kv_cache_memory_bytes" not in fitted(HOPPER, 139.8, 2, {"gpu_memory_utilization": 0.2})
    assert fitted(HOPPER, 139.8, 2, {"kv_cache_memory_bytes": GIB})["kv_cache_memory_bytes"] == GIB


def test_graphs_by_gpu() -> None:
    """One for a whole step on Hopper; the user's own sizes replace ours, and nothing else of ours."""
    hopper, ampere = (fitted(each, 79.1, 1, {})["compilation_config"] for each in (HOPPER, AMPERE))
    assert hopper == {"cudagraph_capture_sizes": graphs(4096), "cudagraph_mode": "FULL"}
    assert ampere == {"cudagraph_capture_sizes": graphs(4096)}
    assert fitted(HOPPER, 79.1, 1, {"max_cudagraph_capture_size": 512})["compilation_config"] == {
        "cudagraph_mode": "FULL"
    }
    given = {"compilation_config": {"cudagraph_capture_sizes": [1, 2], "cudagraph_mode": "PIECEWISE"}}
    assert fitted(HOPPER, 79.1, 1, given)["compilation_config"] == given["compilation_config"]
    for small in (fitted(HOPPER, 23.7, 1, {}), fitted(Accelerator("hip", "gfx942"), 191.5, 1, {})):
        assert "compilation_config" not in small
    assert fitted(Accelerator("cpu"), 0.0, 1, {})["enforce_eager"] is True


def test_a_short_model_limits_what_is_not_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"text_config": {"max_position_embeddings": 4096}}')
    assert longest_context(tmp_path) == 4096
    for given, expected in (({}, 4096), ({"max_model_len": 8192}, 8192)):
        assert VllmEngine(tmp_path, args=given)._arguments(Replica(0))["max_model_len"] == expected


def test_cores_for_each_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(48)))
    for installed, visible, expected in ((8, 1, 6.0), (0, 2, 24.0), (0, 0, 48.0)):
        monkeypatch.setattr(gpus, "_installed", lambda n=installed: n)
        monkeypatch.setattr(gpus, "visible", lambda n=visible: n)
        assert gpus.cores_each() == expected


@pytest.mark.parametrize(
    ("cores", "wanted", "expected"), [(16.0, "auto", [0, 1, 0, 1]), (8.0, "auto", [0, 1]), (2.0, 3, [0, 1] * 3)]
)
def test_engines_of_one_gpu_start_at_once(
    cores: float, wanted: Any, expected: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("vllm")
    (tmp_path / "config.json").write_text("{}")
    monkeypatch.setattr(machine, "accelerator", lambda: HOPPER)
    monkeypatch.setattr(gpus, "visible", lambda: 2)
    monkeypatch.setattr(gpus, "memory_gib", lambda devices: 139.8)
    monkeypatch.setattr(gpus, "cores_each", lambda: cores)

    async def well(*_: Any) -> bool:
        return True

    async def run() -> list[int]:
        all_there = asyncio.Barrier(len(expected))  # passed only if nobody waits for another one's start

        async def make(self: Any, replica: Replica) -> Any:
            await all_there.wait()
            return SimpleNamespace(errored=False, shutdown=lambda timeout: None)

        monkeypatch.setattr(VllmEngine, "_make", make)
        monkeypatch.setattr(VllmEngine, "_answers", well)
        async with asyncio.timeout(PATIENCE), VllmEngine(tmp_path, patches="none", replicas=wanted) as engine:
            return [replica.devices[0] for replica in engine.replicas]

    assert asyncio.run(run()) == expected
