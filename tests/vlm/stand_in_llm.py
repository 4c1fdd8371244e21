"""An AsyncLLM of no model, for processes of their own: says what it is asked, and what GPUs its engine would see."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import subprocess
import sys
import time
from types import SimpleNamespace
from typing import Any

from common import wait_until

ENGINE = """
import os, time
from mineru_accel.workers import owner_watch

assert owner_watch.watch()
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
time.sleep(600)
"""


AGAIN = "TEST_STAND_IN_AGAIN"
"""What becomes of a start on the second GPU: it "fails", or waits until there is such a file."""


class StandInLlm:
    """With a process for an engine, which is its child as vLLM's are."""

    def __init__(self, arguments: Any) -> None:
        self.errored = False
        self.arguments = dict(arguments)
        self.vllm_config = SimpleNamespace(scheduler_config=SimpleNamespace(max_num_seqs=8))
        self.engine = subprocess.Popen([sys.executable, "-c", ENGINE], stdout=subprocess.PIPE, text=True)
        assert self.engine.stdout
        self.gpus = self.engine.stdout.readline().strip()
        self.begun: list[str] = []
        self.given_up: list[str] = []

    def shutdown(self, timeout: float) -> None:
        self.engine.kill()
        self.engine.wait()


class Odd(Exception):
    """Can't be pickled."""

    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


class OneWay:
    """Can be pickled, but not made again."""

    def __reduce__(self) -> Any:
        return _fail, ()


def _fail() -> None:
    raise ImportError("no module of that name here")


def make(arguments: Any, needed: Any, patches: str) -> StandInLlm:
    if "fails" in needed:
        raise TypeError("no such argument of vLLM: fails")
    if "ends" in needed:
        os._exit(3)
    if (again := os.environ.get(AGAIN)) and os.environ.get("CUDA_VISIBLE_DEVICES") == "GPU-0a1b":
        if again == "fails":
            raise RuntimeError("no such GPU any more")
        wait_until(lambda: os.path.exists(again))
    return StandInLlm(arguments)


def make_for_ever(arguments: Any, needed: Any, patches: str) -> None:
    """In this process, with a process for an engine that is never ready."""
    process = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(600,))
    process.start()
    process.join()
    raise RuntimeError("engine core initialization failed")


async def answer(llm: StandInLlm) -> int:
    return 1


async def seen(llm: StandInLlm) -> tuple[int, int, str, str | None]:
    """Pids of this process and of the engine, and what each sees."""
    return os.getpid(), llm.engine.pid, llm.gpus, os.environ.get("CUDA_VISIBLE_DEVICES")


async def echo(llm: StandInLlm, picture: Any, seconds: float = 0.0) -> tuple[Any, int]:
    """The picture's mean colour, and who says so."""
    import numpy as np

    await asyncio.sleep(seconds)
    return np.asarray(picture).mean(axis=(0, 1)).round(3).tolist(), os.getpid()


async def fail(llm: StandInLlm, how: str) -> None:
    if how == "dead":
        llm.errored = True
    raise {"odd": Odd(1, 2), "dead": RuntimeError("the core is gone")}.get(how) or ValueError(how)


async def one_way(llm: StandInLlm) -> OneWay:
    return OneWay()


async def cancelled(llm: StandInLlm) -> None:
    """By itself, not by who asks."""
    raise asyncio.CancelledError


async def for_ever(llm: StandInLlm, name: str) -> None:
    llm.begun.append(name)
    try:
        await asyncio.sleep(600)
    finally:
        llm.given_up.append(name)


async def begun(llm: StandInLlm) -> list[str]:
    return llm.begun


async def given_up(llm: StandInLlm) -> list[str]:
    return llm.given_up


async def count(llm: StandInLlm, picture: Any) -> tuple[Any, int, int, bool]:
    """Of patches: their grid, bytes and sum, and whether torch may have them without a copy."""
    return picture.grid, len(picture.data), sum(picture.data[:1000]), not memoryview(picture.data).readonly
