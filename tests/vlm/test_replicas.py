"""Several GPUs of one machine: the way of crops from the stage to vLLM's engines, of which only these are stand-ins."""

from __future__ import annotations

import asyncio
import builtins
import heapq
import itertools
import random
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import AsyncMock

import pytest
from common import PATIENCE

from mineru_accel.hardware import gpus as machine_gpus
from mineru_accel.vlm.crop_queue import VlmStage
from mineru_accel.vlm.engines.vllm import VllmEngine
from mineru_accel.vlm.errors import NoAnswer, Refused
from mineru_accel.vlm.types import Answer, Crop, Generated
from mineru_accel.vlm.vllm_host import async_llm
from mineru_accel.vlm.vllm_host.supervisor import EngineSupervisor, Replica

pytest.importorskip("vllm")
SEATS = 4


class Clock:
    """Time that passes when everybody waits for it, so that how busy this machine is changes nothing."""

    def __init__(self) -> None:
        self.running = asyncio.Event()
        self._now = 0.0
        self._sleepers: list[tuple[float, int, asyncio.Future[None]]] = []
        self._count = itertools.count()
        self._task: asyncio.Task[None] | None = None

    async def sleep(self, seconds: float) -> None:
        future = asyncio.get_running_loop().create_future()
        heapq.heappush(self._sleepers, (self._now + seconds, next(self._count), future))
        if not self._task or self._task.done():
            self._task = asyncio.create_task(self._run())
        await future

    async def _run(self) -> None:
        await self.running.wait()
        while self._sleepers:
            for _ in range(40):  # an answer takes a dozen steps back to the stage, and its successor to its seat
                await asyncio.sleep(0)
            self._now, _, future = heapq.heappop(self._sleepers)
            if not future.cancelled():
                future.set_result(None)


class Gpu:
    """An AsyncLLM of so many seats; an answer takes as long as its picture is wide, over ``speed``."""

    errored = False

    def __init__(self, devices: tuple[int, ...], speed: float, clock: Clock) -> None:
        self.clock = clock
        self.devices = devices
        self.vllm_config = SimpleNamespace(scheduler_config=SimpleNamespace(max_num_seqs=SEATS))
        self.seats = asyncio.Semaphore(SEATS)
        self.speed = speed
        self.work = 0
        """Sum of the widths of its pictures."""
        self.crops = 0

    async def aio_predict(self, picture: Any, prompt: str, sampling: Any) -> Generated:
        self.work += picture.width
        self.crops += 1
        async with self.seats:
            await self.clock.sleep(picture.width / self.speed)
        return Generated(f"{picture.width} wide")

    def shutdown(self, timeout: float) -> None:
        pass


@pytest.fixture
def answer(hoppers: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[list[Gpu], list[list[Answer]]]]:
    """``answer(pages, speeds)``: the GPUs afterwards and each page's answers."""
    monkeypatch.setattr(async_llm, "generate_one_token", AsyncMock(return_value=1))
    monkeypatch.setattr(async_llm, "missing_patches", AsyncMock(return_value={}))
    monkeypatch.setattr(VllmEngine, "generate_on", lambda self, replica, *request: replica.llm.aio_predict(*request))

    def run(pages: list[list[int]], speeds: list[float]) -> tuple[list[Gpu], list[list[Answer]]]:
        monkeypatch.setattr(machine_gpus, "visible", lambda: len(speeds))
        clock = Clock()

        async def make(self: Any, replica: Replica) -> Gpu:
            return Gpu(replica.devices, speeds[replica.devices[0]], clock)

        monkeypatch.setattr(EngineSupervisor, "create", make)
        stage = VlmStage(VllmEngine(hoppers), None, timeout=PATIENCE)  # type: ignore[arg-type]
        found: dict[int, list[Answer]] = {}
        over = threading.Event()

        def then(number: int, answers: list[Answer], error: Exception | None) -> None:
            assert error is None and number not in found
            found[number] = answers
            if len(found) == len(pages):
                over.set()

        stage.post = lambda call: call()
        try:
            stage.start()
            gpus = stage.engine.supervisor.llms  # type: ignore[attr-defined]
            for number, widths in enumerate(pages):
                crops = [Crop("text", "Text Recognition:", {}, (w, 1), 0, 0, bytes(3 * w)) for w in widths]
                stage.ask((0, number), crops, None, lambda a, s, e, n=number: then(n, a, e))
            stage.loop.call_soon_threadsafe(clock.running.set)
            assert over.wait(PATIENCE)
        finally:
            stage.close()
        return gpus, [found[n] for n in range(len(pages))]

    return run


def some_pages() -> list[list[int]]:
    """Widths of crops: on every fifth page a table forty times as dear as a paragraph."""
    rng = random.Random(0)
    return [[rng.randint(20, 80) for _ in range(12)] + ([2000] if n % 5 == 0 else []) for n in range(150)]


def test_an_engine_a_gpu_and_the_work_shared_out_evenly(answer: Any) -> None:
    pages = some_pages()
    gpus, answers = answer(pages, [1.0, 1.0])
    assert sorted(gpu.devices for gpu in gpus) == [(0,), (1,)]
    assert [[a.text for a in page] for page in answers] == [[f"{w} wide" for w in page] for page in pages]
    assert sum(gpu.crops for gpu in gpus) == sum(map(len, pages))  # each once
    assert min(gpu.work for gpu in gpus) > 0.8 * max(gpu.work for gpu in gpus)


def test_a_slow_gpu_gets_less(answer: Any) -> None:
    (fast, slow), _ = answer(some_pages(), [1.0, 0.25])
    assert 0.12 < slow.work / (slow.work + fast.work) < 0.35  # a fifth of the speed of both


@pytest.mark.parametrize("name", ["VLLMValidationError", "ValueError", "VLLMServerError", "RuntimeError"])
def test_what_vllm_raises(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from vllm import exceptions

    error = getattr(exceptions, name, None) or getattr(builtins, name, None)
    if error is None:
        pytest.skip(f"this vLLM has no {name}")

    async def run(*_: Any) -> Any:
        raise error("too long")

    engine = VllmEngine(tmp_path)
    monkeypatch.setattr(engine.supervisor, "run", run)
    with pytest.raises(Refused if name in ("VLLMValidationError", "ValueError") else NoAnswer, match="vLLM: too long"):
        asyncio.run(engine.predict(None, "", {}, 1.0))
