"""The engine with all of vLLM's processes, on a CPU: patched and not, killed, orphaned."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import engine_owner as owner
import pytest
from common import PATIENCE

from mineru_accel import patches
from mineru_accel.vlm.vllm_host.environment import make_socket_folder
from mineru_accel.vlm.vllm_host.supervisor import EngineSupervisor, Replica

pytest.importorskip("vllm")
psutil = pytest.importorskip("psutil")
pytestmark = pytest.mark.slow

ON_A_CPU = (
    "vllm-fast-processor",
    "vllm-uint8-pixels",
    "vllm-vit-fused",
    "vllm-sparse-penalties",
    "vllm-final-outputs",
    "vllm-decode-steps",
)


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("VLLM_ENABLE_V1_MULTIPROCESSING", raising=False)
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    monkeypatch.setenv("VLLM_ALLOW_INSECURE_SERIALIZATION", "1")  # `ran` is sent to the worker
    yield
    for name in reversed(patches.names()):
        patches.revert(name)


def ran(worker: Any) -> dict[str, Any]:
    """In the worker: traces that the patched code left when it ran."""
    import os

    model = worker.model_runner.get_model()
    return {
        "pid": os.getpid(),
        "norm": type(model.input_norm).__name__,
        "folded": "_accel_folded" in model.visual.patch_embed.__dict__,
        "forward": type(model.visual).forward.__code__.co_filename,
    }


def gone(processes: list[Any], seconds: float) -> list[Any]:
    """Those that still run after so long."""
    return [p for p in psutil.wait_procs(processes, timeout=seconds)[1] if p.status() != psutil.STATUS_ZOMBIE]


def count_outputs(llm: Any) -> list[int]:
    """How many outputs each message to this AsyncLLM has, from now on."""
    counts, client = [], llm.output_processor
    process = client.process_outputs

    def counting(outputs: list[Any], *rest: Any) -> Any:
        counts.append(len(outputs))
        return process(outputs, *rest)

    client.process_outputs = counting
    return counts


async def patched(model: Path) -> tuple[list[list[int]], list[list[int]], dict[str, Any], dict[str, str], list[Any]]:
    """What an engine with patches says before and while it is killed, and what its worker knows of itself."""
    import cloudpickle

    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    images = owner.pictures()
    async with EngineSupervisor(model, args=owner.ARGUMENTS) as engine:
        received = count_outputs(engine.llm)
        asked = (owner.tokens(engine.llm, p, f"a{i}", kind="FINAL_ONLY") for i, p in enumerate(images))
        before = await asyncio.gather(*asked)
        assert sum(received) == len(images)  # not of each token
        (trace,) = await engine.llm.collective_rpc(ran, 60)
        (states,) = await engine.patch_states()
        assert any(path.is_socket() for path in Path(tempfile.gettempdir()).glob("mineru-accel-*/*"))

        under_way = asyncio.Event()
        core = psutil.Process(engine.llm.engine_core.resources.engine_manager.processes[0].pid)
        victims = [core, *core.children(recursive=True)]

        async def one(i: int) -> list[int]:
            async def ask(replica: Replica) -> list[int]:
                return await owner.tokens(replica.llm, images[i], f"b{i}", under_way.set)

            return await engine.run(f"picture {i}", ask)

        runs = asyncio.gather(*(one(i) for i in range(len(images))))
        await under_way.wait()
        core.kill()
        after = await runs
        assert engine.generation == 2 and not runs.cancelled()
        assert len(victims) > 1  # core and worker
        return before, after, trace, states, gone(victims, PATIENCE)


@pytest.fixture
def temporary(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where this process' temporary files go: a short path, as sockets need."""
    with tempfile.TemporaryDirectory() as folder:
        monkeypatch.setattr(tempfile, "tempdir", folder)
        yield Path(folder)


def test_tokens_are_the_same_patched_killed_and_plain(untrained: Path, tmp_path: Path, temporary: Path) -> None:
    log = (tmp_path / "log").open("wb")
    plain = subprocess.Popen([sys.executable, owner.__file__, str(untrained)], stdout=subprocess.PIPE, stderr=log)
    try:
        before, after, trace, states, left = asyncio.run(patched(untrained))
        while not (line := plain.stdout.readline()).startswith(b"[["):
            assert line, (tmp_path / "log").read_text(errors="replace")[-3000:]
        expected = json.loads(line)
        assert len({tuple(t) for t in expected}) > 1 and all(len(t) == owner.TOKENS for t in expected)
        assert before == expected  # patched
        assert after == expected  # patched, killed with half of it said, started again
        assert {name for name, state in states.items() if state.startswith("active")} == set(ON_A_CPU)
        assert trace["pid"] != os.getpid() and trace["norm"] == "SingleFrameNorm" and trace["folded"]
        assert trace["forward"].endswith("vit_fused.py")
        assert left == []
        assert not [path for path in temporary.rglob("*") if path.is_socket() or "mineru-accel" in path.name]

        orphans = psutil.Process(plain.pid).children(recursive=True)
        assert len(orphans) >= 1
        plain.send_signal(signal.SIGKILL)
        plain.wait()
        assert gone(orphans, PATIENCE) == []
    finally:
        plain.kill()
        plain.wait()
        log.close()


def test_an_engine_that_cannot_start_says_so_and_leaves_nothing(untrained: Path) -> None:
    from mineru_accel.vlm.errors import EngineError

    before = {p.pid for p in psutil.Process().children(recursive=True)}
    with pytest.raises(EngineError, match="no such argument of vLLM: no_such_thing"):
        asyncio.run(EngineSupervisor(untrained, args={"no_such_thing": 1}).start())
    with pytest.raises(EngineError, match="no checkpoint there"):
        asyncio.run(EngineSupervisor(untrained / "nothing").start())
    assert {p.pid for p in psutil.Process().children(recursive=True)} <= before


def test_sockets_of_a_short_path_or_where_the_user_says(
    temporary: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = make_socket_folder()
    assert folder and Path(folder.name).parent == temporary
    folder.cleanup()
    long = tmp_path / ("n" * 60)
    long.mkdir()
    with monkeypatch.context() as patch:
        patch.setattr(tempfile, "tempdir", str(long))
        assert make_socket_folder() is None and not list(long.iterdir())
    monkeypatch.setenv("VLLM_RPC_BASE_PATH", str(tmp_path))
    assert make_socket_folder() is None
