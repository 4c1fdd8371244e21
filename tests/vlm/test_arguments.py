"""What vLLM is started with on which machine, and with how many engines."""

from __future__ import annotations

import asyncio
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from common import PATIENCE
from packaging.version import Version

from mineru_accel.hardware import gpus
from mineru_accel.hardware.accelerator import Accelerator
from mineru_accel.options import Engine, Options
from mineru_accel.vlm.engines.choose import make_engine
from mineru_accel.vlm.errors import EngineError
from mineru_accel.vlm.vllm_host import arguments, async_llm
from mineru_accel.vlm.vllm_host.arguments import cuda_graph_sizes, engine_arguments, longest_context, replicas_per_gpu
from mineru_accel.vlm.vllm_host.supervisor import EngineSupervisor, Replica

HOPPER, AMPERE = Accelerator("cuda", "sm_90"), Accelerator("cuda", "sm_80")
GIB = 1 << 30


@pytest.fixture(autouse=True)
def newest(monkeypatch: pytest.MonkeyPatch) -> None:
    """vLLM's version, whatever is installed."""
    monkeypatch.setattr(arguments, "version_of", lambda package: Version("0.28.0"))


@pytest.mark.parametrize(
    ("arch", "memory", "cores", "given", "expected"),
    [
        ("sm_90", 139.8, 16, {}, 2),
        ("sm_100", 178.3, 24, {"max_num_seqs": 256}, 2),
        ("sm_90", 79.1, 24, {}, 2),
        ("sm_90", 79.1, 15.5, {}, 1),
        ("sm_80", 79.1, 64, {}, 1),
        ("sm_120", 31.4, 64, {}, 1),
        ("gfx942", 191.5, 64, {}, 1),
        ("", 0.0, 64, {}, 1),
        ("sm_90", 139.8, 64, {"gpu_memory_utilization": 0.9}, 1),
        ("sm_90", 139.8, 64, {"kv_cache_memory_bytes": GIB}, 1),
        ("sm_90", 139.8, 64, {"tensor_parallel_size": 1}, 1),
        ("sm_90", 139.8, 64, {"device_ids": [0]}, 1),
    ],
)
def test_engines_on_each_gpu(arch: str, memory: float, cores: float, given: dict[str, Any], expected: int) -> None:
    kind = {"sm": "cuda", "gf": "hip", "": "cpu"}[arch[:2]]
    assert replicas_per_gpu(Accelerator(kind, arch), memory, cores, given) == expected


def test_memory_is_shared_out() -> None:
    """Several engines are told what each may have, so that none of them measures while others start."""
    one, two, three = (engine_arguments(HOPPER, 139.8, n, {}) for n in (1, 2, 3))
    assert "kv_cache_memory_bytes" not in one
    assert (one["gpu_memory_utilization"], two["gpu_memory_utilization"]) == (0.6, 0.3)
    assert two["kv_cache_memory_bytes"] == three["kv_cache_memory_bytes"] == 12 * GIB
    assert engine_arguments(HOPPER, 79.1, 4, {})["kv_cache_memory_bytes"] == int((79.1 * 0.15 - 8) * GIB)
    assert "kv_cache_memory_bytes" not in engine_arguments(AMPERE, 23.7, 2, {})  # too little to be said beforehand
    assert "kv_cache_memory_bytes" not in engine_arguments(HOPPER, 139.8, 2, {"gpu_memory_utilization": 0.5})
    assert engine_arguments(HOPPER, 139.8, 2, {"kv_cache_memory_bytes": GIB})["kv_cache_memory_bytes"] == GIB
    with pytest.raises(EngineError, match=r"^gpu_memory_utilization=0.6 is of each engine, and 2 share a GPU$"):
        engine_arguments(HOPPER, 139.8, 2, {"gpu_memory_utilization": 0.6})


def test_graphs_by_gpu() -> None:
    """One for a whole step on Hopper; the user's own sizes replace ours, and nothing else of ours."""
    hopper, ampere = (engine_arguments(each, 79.1, 1, {})["compilation_config"] for each in (HOPPER, AMPERE))
    assert hopper == {"cudagraph_capture_sizes": cuda_graph_sizes(4096), "cudagraph_mode": "FULL"}
    assert ampere == {"cudagraph_capture_sizes": cuda_graph_sizes(4096)}
    assert engine_arguments(HOPPER, 79.1, 1, {"max_cudagraph_capture_size": 512})["compilation_config"] == {
        "cudagraph_mode": "FULL"
    }
    given = {"compilation_config": {"cudagraph_capture_sizes": [1, 2], "cudagraph_mode": "PIECEWISE"}}
    assert engine_arguments(HOPPER, 79.1, 1, given)["compilation_config"] == given["compilation_config"]
    for small in (engine_arguments(HOPPER, 23.7, 1, {}), engine_arguments(Accelerator("hip", "gfx942"), 191.5, 1, {})):
        assert "compilation_config" not in small
    assert engine_arguments(Accelerator("cpu"), 0.0, 1, {})["enforce_eager"] is True


@pytest.mark.parametrize("given", [{"optimization_level": 0}, {"compilation_config": {"mode": 0}}])
def test_who_says_how_much_goes_into_graphs_is_heard(given: dict[str, Any]) -> None:
    assert "cudagraph_mode" not in engine_arguments(HOPPER, 79.1, 1, given)["compilation_config"]


def test_older_versions_keep_their_graphs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arguments, "version_of", lambda package: Version("0.27.1"))
    assert engine_arguments(HOPPER, 79.1, 1, {})["compilation_config"] == {
        "cudagraph_capture_sizes": cuda_graph_sizes(4096)
    }


def test_vllm_takes_them(tmp_path: Path) -> None:
    pytest.importorskip("vllm")
    from vllm import AsyncEngineArgs
    from vllm.config import CUDAGraphMode

    made = AsyncEngineArgs(model=str(tmp_path), **engine_arguments(HOPPER, 139.8, 2, {}))
    assert made.compilation_config.cudagraph_mode == CUDAGraphMode.FULL
    assert made.kv_cache_memory_bytes == 12 * GIB


def test_a_short_model_limits_what_is_not_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"text_config": {"max_position_embeddings": 4096}}')
    assert longest_context(tmp_path) == 4096
    for given, expected in (({}, 4096), ({"max_model_len": 8192, "model": "other"}, 8192)):
        made = EngineSupervisor(tmp_path, args=given).arguments(Replica(0))
        assert (made["max_model_len"], made["model"]) == (expected, given.get("model", str(tmp_path)))


def test_cores_for_each_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpus, "usable_cores", lambda: 48)
    for installed, visible, expected in ((8, 1, 6.0), (0, 2, 24.0), (0, 0, 48.0)):
        monkeypatch.setattr(gpus, "installed", lambda n=installed: n)
        monkeypatch.setattr(gpus, "visible", lambda n=visible: n)
        assert gpus.cores_each() == expected


@pytest.mark.parametrize(
    ("cores", "wanted", "memory", "expected"),
    [
        (16.0, "auto", (139.8, 139.8), [0, 1, 0, 1]),
        (16.0, "auto", (139.8, 23.7), [0, 1]),
        (8.0, "auto", (139.8, 139.8), [0, 1]),
        (2.0, 3, (139.8, 139.8), [0, 1] * 3),
    ],
)
def test_engines_of_one_gpu_start_at_once(
    cores: float,
    wanted: Any,
    memory: tuple[float, float],
    expected: list[int],
    two_gpus: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(gpus, "memory_gib", lambda devices: memory[devices[0]])
    monkeypatch.setattr(gpus, "cores_each", lambda: cores)
    assert asyncio.run(started(two_gpus, wanted, len(expected), monkeypatch)) == expected


def test_only_what_is_told_its_memory_starts_beside_others(two_gpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """GPU 1 is too small for that: its engines measure what is left, one after the other."""
    monkeypatch.setattr(gpus, "memory_gib", lambda devices: (139.8, 23.7)[devices[0]])
    engine = EngineSupervisor(two_gpus, replicas=2)
    engine.per_gpu = 2
    engine.replicas = [Replica(i, (i % 2,)) for i in range(4)]
    assert [[r.index for r in batch] for batch in engine.start_sequences([(0,), (1,)])] == [[0], [2], [1, 3]]


def test_the_option_reaches_the_engine(tmp_path: Path) -> None:
    for given, wanted in (({}, None), ({"vlm_replicas": 3}, 3)):
        options = Options(backend="vlm", engine="vllm", vlm=str(tmp_path), **given)
        assert make_engine(options, Engine.VLLM, tmp_path).supervisor.wanted == wanted  # type: ignore[attr-defined]


@pytest.fixture
def two_gpus(hoppers: Path) -> Path:
    pytest.importorskip("vllm")
    return hoppers


async def started(model: Path, wanted: Any, count: int, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The GPU of each engine, if none of so many waits for another one's start."""
    all_there = asyncio.Barrier(count)

    async def make(self: Any, replica: Replica) -> Any:
        await all_there.wait()
        return SimpleNamespace(errored=False, shutdown=lambda timeout: None)

    monkeypatch.setattr(EngineSupervisor, "create", make)
    monkeypatch.setattr(async_llm, "generate_one_token", AsyncMock(return_value=1))
    async with asyncio.timeout(PATIENCE), EngineSupervisor(model, patches="none", replicas=wanted) as engine:
        return [replica.devices[0] for replica in engine.replicas]
