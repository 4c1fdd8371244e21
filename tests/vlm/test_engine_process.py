"""Engines in processes of their own: what they see of GPUs, what goes to and fro, what becomes of it if one dies."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import pickle
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import stand_in_llm as far
from common import PATIENCE, ROOT
from PIL import Image

from mineru_accel.hardware import accelerator, gpus
from mineru_accel.hardware.visible_devices import pinned
from mineru_accel.vlm.errors import EngineError
from mineru_accel.vlm.types import Patches
from mineru_accel.vlm.vllm_host import async_llm
from mineru_accel.vlm.vllm_host.channel import Unreadable
from mineru_accel.vlm.vllm_host.process import EngineProcess, apply
from mineru_accel.vlm.vllm_host.supervisor import EngineSupervisor, Replica

psutil = pytest.importorskip("psutil")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """What the processes import is what is tested."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(map(str, (ROOT, ROOT / "tests", Path(__file__).parent))))


@pytest.fixture
def two_gpus(hoppers: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A checkpoint's folder, on a host that gives this process two of its GPUs."""
    pytest.importorskip("vllm")
    monkeypatch.setattr(async_llm, "create", far.make)
    monkeypatch.setattr(async_llm, "generate_one_token", far.answer)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-0a1b")
    return hoppers


def gone(pids: list[int]) -> bool:
    """Whether these processes end."""
    running = [psutil.Process(pid) for pid in pids if psutil.pid_exists(pid)]
    left = psutil.wait_procs(running, timeout=PATIENCE)[1]
    return all(process.status() == psutil.STATUS_ZOMBIE for process in left)


@pytest.mark.parametrize(
    ("environment", "kind", "devices", "expected"),
    [
        ({}, "cuda", (1,), {"CUDA_VISIBLE_DEVICES": "1"}),
        ({"CUDA_VISIBLE_DEVICES": ""}, "cuda", (1,), {"CUDA_VISIBLE_DEVICES": "1"}),
        ({"CUDA_VISIBLE_DEVICES": "2, 3", "A": "b"}, "cuda", (1,), {"CUDA_VISIBLE_DEVICES": "3", "A": "b"}),
        ({"CUDA_VISIBLE_DEVICES": "4,5,6,7"}, "cuda", (2, 3), {"CUDA_VISIBLE_DEVICES": "6,7"}),
        ({"CUDA_VISIBLE_DEVICES": "MIG-a,MIG-b"}, "cuda", (0,), {"CUDA_VISIBLE_DEVICES": "MIG-a"}),
        ({"HIP_VISIBLE_DEVICES": "4,5", "CUDA_VISIBLE_DEVICES": "4,5"}, "hip", (1,), {"HIP_VISIBLE_DEVICES": "5"}),
        ({"CUDA_VISIBLE_DEVICES": "4,5"}, "hip", (0,), {"HIP_VISIBLE_DEVICES": "4"}),
        ({"ROCR_VISIBLE_DEVICES": "6,7"}, "hip", (1,), {"ROCR_VISIBLE_DEVICES": "6,7", "HIP_VISIBLE_DEVICES": "1"}),
        ({"CUDA_VISIBLE_DEVICES": "2,3"}, "cpu", (), {"CUDA_VISIBLE_DEVICES": "2,3"}),
    ],
)
def test_what_a_process_sees(environment: Any, kind: str, devices: tuple[int, ...], expected: Any) -> None:
    assert pinned(environment, kind, devices) == expected


def test_a_gpu_that_is_not_there() -> None:
    with pytest.raises(ValueError, match="no GPU 2"):
        pinned({"CUDA_VISIBLE_DEVICES": "0,1"}, "cuda", (2,))


@pytest.mark.parametrize(
    ("args", "devices", "expected"),
    [
        ({}, None, [(0,), (1,), (2,), (3,), (4,)]),
        ({}, [3, 1], [(3,), (1,)]),
        ({"tensor_parallel_size": 2}, None, [(0, 1), (2, 3)]),
        ({"tensor_parallel_size": 2, "pipeline_parallel_size": 2}, None, [(0, 1, 2, 3)]),
        ({"device_ids": [4]}, None, [(0, 1, 2, 3, 4)]),
    ],
)
def test_gpus_of_each_engine(args: Any, devices: Any, expected: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accelerator, "accelerator", lambda: accelerator.Accelerator("cuda", "sm_90"))
    monkeypatch.setattr(gpus, "visible", lambda: 5)
    assert EngineSupervisor("model", args=args, devices=devices).gpu_groups() == expected
    with pytest.raises(EngineError, match="an engine of 8 GPUs does not fit on 5"):
        EngineSupervisor("model", args={"tensor_parallel_size": 8}).gpu_groups()


def test_each_engine_sees_its_gpu_alone_also_when_it_is_started_again(two_gpus: Path) -> None:
    async def work() -> list[int]:
        killed = asyncio.Event()

        async def ask(replica: Replica) -> Any:
            await killed.wait()
            return await apply(replica.llm, far.seen)

        async with EngineSupervisor(two_gpus, patches="none") as engine:
            assert [r.devices for r in engine.replicas] == [(0,), (1,)]
            first = [await apply(llm, far.seen) for llm in engine.llms]
            assert [what[2:] for what in first] == [("2", "2"), ("GPU-0a1b", "GPU-0a1b")]
            assert len({os.getpid(), *(pid for what in first for pid in what[:2])}) == 5
            assert os.environ["CUDA_VISIBLE_DEVICES"] == "2,GPU-0a1b"

            running = [asyncio.create_task(engine.run(f"crop {i}", ask)) for i in range(8)]
            await until(lambda: [r.busy for r in engine.replicas] == [4, 4])
            os.kill(first[1][0], signal.SIGKILL)
            await until(lambda: engine.llms[1].errored)
            killed.set()
            answers = await asyncio.gather(*running)
            again = await apply(engine.llms[1], far.seen)
            assert engine.generation == 3 and again[0] != first[1][0] and again[2] == "GPU-0a1b"
            assert set(answers) == {first[0], again}

            with pytest.raises(ValueError, match="too long"):
                await engine.run("bad", lambda replica: apply(replica.llm, far.fail, "too long"))
            assert engine.generation == 3
            killer: list[int] = []

            async def dies(replica: Replica) -> Any:
                killer.append(replica.index)
                return await apply(
                    replica.llm, far.fail if len(killer) == 1 else far.seen, *["dead"][len(killer) - 1 :]
                )

            assert (await engine.run("worse", dies))[2] in ("2", "GPU-0a1b")
            assert len(killer) == 2
            last = [await engine.run(f"{i}", ask) for i in range(2)]
            return [pid for what in (*first, again, *last) for pid in what[:2]]

    assert gone(asyncio.run(work()))


async def until(condition: Callable[[], object]) -> None:
    while not condition():
        await asyncio.sleep(0.01)


def engine_processes() -> list[int]:
    """Processes of engines that run now."""
    found = []
    for process in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it has just ended
            found += [process.pid] if "vllm_host.process" in " ".join(process.cmdline()) else []
    return found


def test_one_that_cannot_be_started_again_leaves_the_work_to_the_other(
    two_gpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(replica: Replica) -> Any:
        return await apply(replica.llm, far.seen)

    async def work() -> None:
        async with EngineSupervisor(two_gpus, patches="none") as engine:
            dead = (await apply(engine.llms[1], far.seen))[0]
            monkeypatch.setenv(far.AGAIN, "fails")
            os.kill(dead, signal.SIGKILL)
            answers = await asyncio.gather(*(engine.run(f"crop {i}", ask) for i in range(20)))
            answers += await asyncio.gather(*(engine.run(f"crop {i}", ask) for i in range(20)))
            assert {what[2] for what in answers} == {"2"}
            assert len(engine.replicas[1].restarts) == 1  # and is left alone for a while

    asyncio.run(asyncio.wait_for(work(), PATIENCE))


def test_a_start_goes_on_if_who_waits_for_it_gives_up(
    two_gpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(replica: Replica) -> Any:
        return await apply(replica.llm, far.seen)

    async def work() -> None:
        async with EngineSupervisor(two_gpus, patches="none", devices=[1]) as engine:
            dead = (await apply(engine.llm, far.seen))[0]
            monkeypatch.setenv(far.AGAIN, str(tmp_path / "go"))
            os.kill(dead, signal.SIGKILL)
            await until(lambda: engine.llm.errored)
            impatient = asyncio.create_task(engine.run("impatient", ask))
            await until(lambda: set(engine_processes()) - {dead})
            impatient.cancel()
            with pytest.raises(asyncio.CancelledError):
                await impatient
            (starting,) = set(engine_processes()) - {dead}
            (tmp_path / "go").touch()
            assert (await engine.run("patient", ask))[0] == starting
            assert engine.generation == 2 and len(engine.replicas[0].restarts) == 1

    asyncio.run(asyncio.wait_for(work(), PATIENCE))


def test_closing_while_it_starts_leaves_nothing(
    two_gpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(far.AGAIN, str(tmp_path / "never"))

    async def work() -> list[int]:
        engine = EngineSupervisor(two_gpus, patches="none")
        starting = asyncio.create_task(engine.start())
        await until(lambda: engine.replicas and engine.replicas[0].llm is not None and len(engine_processes()) == 2)
        running = engine_processes()
        await engine.close()
        with pytest.raises(asyncio.CancelledError):
            await starting
        return running

    assert gone(asyncio.run(asyncio.wait_for(work(), PATIENCE)))


def test_closing_while_one_of_this_process_starts(two_gpus: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(async_llm, "create", far.make_for_ever)
    other = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))  # of somebody else
    other.start()

    async def work() -> None:
        engine = EngineSupervisor(two_gpus, devices=[0], patches="none", own_processes=False)
        starting = asyncio.create_task(engine.start())
        await until(lambda: len(multiprocessing.active_children()) == 2)
        await engine.close()
        with pytest.raises(asyncio.CancelledError):
            await starting

    try:
        asyncio.run(asyncio.wait_for(work(), PATIENCE))
        assert multiprocessing.active_children() == [other]
    finally:
        other.kill()
        other.join()


def test_an_engine_that_does_not_start_takes_the_others_with_it(two_gpus: Path) -> None:
    for args, message in (({"fails": 1}, "no such argument of vLLM: fails"), ({"ends": 1}, "process ended")):
        with pytest.raises(EngineError, match=message):
            asyncio.run(EngineSupervisor(two_gpus, args=args, patches="none").start())
        assert not engine_processes()


def test_pictures_exceptions_and_second_thoughts() -> None:
    async def work() -> None:
        process = await EngineProcess.start(far.make, {}, [], "none", environment=os.environ)
        try:
            pictures = [Image.new("RGB", (1400 + i, 1000), (i, 2 * i, 255 - i)) for i in range(8)]  # 4 MB each
            answers = await asyncio.gather(*(process.apply(far.echo, p, 0.1) for p in pictures))
            assert answers == [([i, 2 * i, 255 - i], process.pid) for i in range(8)]
            slot = memoryview(bytearray([7]) * 3_000_001)[1:]  # of an arena
            assert await process.apply(far.count, Patches((9, 9), (2, 3), slot)) == ((2, 3), 3_000_000, 7000, True)
            with pytest.raises(ValueError, match="one"):
                await process.apply(far.fail, "one")
            with pytest.raises(RuntimeError, match="Odd: 1 and 2"):
                await process.apply(far.fail, "odd")
            slow = asyncio.create_task(process.apply(far.for_ever, "slow"))
            while not await process.apply(far.begun):
                pass
            slow.cancel()
            with pytest.raises(asyncio.CancelledError):
                await slow
            assert await process.apply(far.given_up) == ["slow"] and not process.errored
            with pytest.raises((AttributeError, pickle.PicklingError)):
                await process.apply(lambda llm: None)  # type: ignore[arg-type, return-value]
            assert await process.apply(far.given_up) == ["slow"]
            with pytest.raises(Unreadable, match="ImportError: no module of that name here"):
                await process.apply(far.count, far.OneWay())
            with pytest.raises(Unreadable, match="ImportError: no module of that name here"):
                await process.apply(far.one_way)
            with pytest.raises(RuntimeError, match="given up"):
                await process.apply(far.cancelled)
            assert await process.apply(far.given_up) == ["slow"] and not process.errored
        finally:
            await asyncio.to_thread(process.shutdown)
        with pytest.raises(ConnectionError):
            await process.apply(far.given_up)
        process.shutdown()  # may be called twice

    asyncio.run(asyncio.wait_for(work(), PATIENCE))


def test_ctrl_c_does_not_reach_an_engine_of_this_process() -> None:
    """Also not if its processes are the first that multiprocessing starts."""
    code = (
        "import multiprocessing, signal; from mineru_accel.vlm.vllm_host.environment import call_with_environment\n"
        "def start():\n"
        "    process = multiprocessing.get_context('spawn').Process(target=print)\n"
        "    process.start(); status = open(f'/proc/{process.pid}/status').read(); process.join()\n"
        "    return bool(int(status.split('SigBlk:')[1].split()[0], 16) & 1 << signal.SIGINT - 1)\n"
        "if __name__ == '__main__':\n"
        "    print(call_with_environment({}, start), signal.SIGINT in signal.pthread_sigmask(0, []))"
    )
    assert subprocess.check_output([sys.executable, "-c", code], text=True).split() == ["True", "False"]


OWNER = """
import asyncio, os, sys, stand_in_llm as far
from mineru_accel.vlm.vllm_host.process import EngineProcess

async def main():
    process = await EngineProcess.start(far.make, {}, [], "none", environment=os.environ)
    print(*(await process.apply(far.seen))[:2], flush=True)
    await process.apply(far.for_ever, "x")

asyncio.run(main())
"""


def test_it_ends_with_its_parent() -> None:
    owner = subprocess.Popen([sys.executable, "-c", OWNER], stdout=subprocess.PIPE, text=True)
    assert owner.stdout
    pids = [int(pid) for pid in owner.stdout.readline().split()]
    assert len(pids) == 2 and all(psutil.pid_exists(pid) for pid in pids)
    assert os.getpgid(owner.pid) not in {os.getpgid(pid) for pid in pids}  # Ctrl-C reaches the owner alone
    owner.kill()
    owner.wait()
    assert gone(pids)
