"""One configuration of the VLM's engine, measured in a process of its own: ``python -m ... JOB``, a job as JSON."""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

from ...vlm.engines import vllm
from ...vlm.vllm_host.arguments import merge
from ...vlm.vllm_host.process import apply
from ...vlm.vllm_host.supervisor import EngineSupervisor
from ...workers import owner_watch
from . import engine_requests, gpu_profile, stack_samples
from .crop_cutters import CropCutterPool
from .gpu_utilization import GpuUtilization
from .logits import compare_logits
from .processes_in_turn import job_file
from .random_crops import random_crops

_CUTTERS = 8
"""Processes that cut crops, as a conversion's workers do."""
_WARM_UP_SECONDS = 1.5
"""Seconds after which an engine's steps are typical."""


async def measure_engine(job: dict[str, Any]) -> None:
    """Start a configuration's engine, compare its logits and measure its rate; the result is saved after each step."""
    owner_watch.watch()  # ends with the benchmark, and its engine with it
    os.environ[owner_watch.VARIABLE] = owner_watch.owner_id()
    row: dict[str, Any] = {}

    def save() -> None:
        new = job_file(job, "new")
        new.write_text(json.dumps(row), encoding="utf-8")
        new.replace(job["result"])  # whole or not at all: this process may be killed

    images = random_crops(job | {"crops": job["crops"] * max(job.get("gpus", [1]))})
    cutters = CropCutterPool(images, _CUTTERS) if job.get("ours") else None  # before anything that must not be forked
    started = time.perf_counter()
    llms, close = await _start_engine(job, row)
    row["start_s"] = time.perf_counter() - started
    if cutters:
        job["cut"] = await _patch_cutter(llms, cutters)
    try:
        save()
        await _wait_for_turn(job)
        with GpuUtilization(job["devices"]) as before:
            await asyncio.sleep(0.5)
        row["busy_before"] = before.mean()
        compared = llms if job.get("gpus") else llms[:1]
        row["error_logits"] = max([await compare_logits(llm, images, Path(job["reference"]), job) for llm in compared])
        save()
        await _rate(llms, images[: max(64, len(images) // 8)], job | {"tokens": 16})  # warm-up
        if job.get("gpus"):
            await _compare_gpus(llms, images, job, row, save)
        else:
            await _measure_rates(llms, images, job, row, save)
            await _observe(llms, images, job)
    finally:
        await close()
        if cutters:
            cutters.close()


async def _start_engine(job: dict[str, Any], row: dict[str, Any]) -> tuple[list[Any], Callable[[], Awaitable[None]]]:
    """AsyncLLMs and the function that ends them: this package's engine, or vLLM as MinerU starts it."""
    extra: dict[str, Any] = {"logprobs_mode": "raw_logits", "max_logprobs": engine_requests.LOGITS}
    if job["profile"]:
        extra |= gpu_profile.arguments(job_file(job, "traces"))
    if not job.get("ours"):
        return _start_plain_vllm(merge(job["args"], extra) | {"model": job["model"]})
    engine = EngineSupervisor(
        job["model"],
        args=merge(job.get("args", {}), extra),
        replicas=job.get("replicas", 1),
        patches=job.get("patches", "auto"),
        devices=job["devices"],
        own_processes=job.get("apart"),
    )
    await engine.start()
    row["patches"] = await apply(engine.llm, engine_requests.patches)
    states = (await engine.patch_states() or [{}])[0]
    row["worker"] = {name: text.partition(":")[0] for name, text in states.items()}
    return engine.llms, engine.close


async def _wait_for_turn(job: dict[str, Any]) -> None:
    """Report readiness, and wait until this process is to be measured."""
    job_file(job, "ready").touch()
    while not job_file(job, "go").exists():
        await asyncio.sleep(0.2)


async def _measure_rates(
    llms: list[Any], images: list[Any], job: dict[str, Any], row: dict[str, Any], save: Callable[[], None]
) -> None:
    """Measure the rate ``job["repeats"]`` times; ``row`` gets all rates, and the best run."""
    runs = []
    for _ in range(job["repeats"]):
        runs.append(await _rate(llms, images, job))
        row.update(max(runs, key=lambda r: r["rate"]), rates=[round(r["rate"], 1) for r in runs])
        save()


async def _observe(llms: list[Any], images: list[Any], job: dict[str, Any]) -> None:
    """Sample stacks and profile GPU kernels during runs of their own, where the job asks for it."""
    if job["stacks"]:
        with stack_samples.sampled(await _processes(llms), job_file(job, "stacks"), job["stacks"]):
            await _rate(llms, images, job)
    if job["profile"]:
        work = asyncio.create_task(_rate(llms, images, job))
        await asyncio.sleep(_WARM_UP_SECONDS)
        found = await apply(llms[0], gpu_profile.profile_kernels, job["profile"], job_file(job, "traces"))
        job_file(job, "kernels").write_text(found + "\n", encoding="utf-8")
        await work


async def _patch_cutter(llms: list[Any], cutters: CropCutterPool) -> Callable[[int], Awaitable[Any]] | None:
    """A function that cuts a crop into patches, as the workers of a conversion do; None where vLLM cuts them itself."""
    how = {await apply(llm, vllm.find_cutter) for llm in llms}
    return partial(cutters.cut, cutter=how.pop()) if len(how) == 1 and None not in how else None


async def _compare_gpus(
    llms: list[Any], images: list[Any], job: dict[str, Any], row: dict[str, Any], save: Callable[[], None]
) -> None:
    """Measure the rates of each number of engines in turn; ``row`` gets all of them, and the best of the largest."""
    runs: dict[int, list[dict[str, Any]]] = {count: [] for count in job["gpus"]}
    for _ in range(job["repeats"]):
        for count, done in runs.items():
            devices = job["devices"][:count] if job["devices"] else None
            part = job | {"in_flight": job["in_flight"] * count, "devices": devices}
            done.append(await _rate(llms[:count], images[: job["crops"] * count], part))
            row["gpus"] = {n: _median_rate(each) for n, each in runs.items() if each}
            most = max(row["gpus"])
            row.update(max(runs[most], key=lambda r: r["rate"]), rates=row["gpus"][most]["rates"])
            save()
    first = row["gpus"][job["gpus"][0]]["rate"]
    for found in row["gpus"].values():
        found["times"] = found["rate"] / first
    save()


def _median_rate(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Median crops/s of some runs, and the rate of each run."""
    rates = [run["rate"] for run in runs]
    return {"rate": statistics.median(rates), "rates": [round(rate, 1) for rate in rates]}


def _start_plain_vllm(arguments: dict[str, Any]) -> tuple[list[Any], Any]:
    os.environ.pop("MINERU_ACCEL_PATCHES", None)
    from vllm import AsyncEngineArgs
    from vllm.v1.engine.async_llm import AsyncLLM

    llm = AsyncLLM.from_engine_args(AsyncEngineArgs(**arguments))

    async def close() -> None:
        llm.shutdown()

    return [llm], close


async def _rate(llms: list[Any], images: list[Any], job: dict[str, Any]) -> dict[str, Any]:
    tokens = job["tokens"]
    how = tokens, job["sampling"] == "mineru", bool(job.get("ours"))
    waiting = asyncio.Semaphore(job["in_flight"])
    processes = await _processes(llms)
    tag = f"{time.time_ns()}"

    async def one(i: int, image: Any) -> None:
        async with waiting:
            if job.get("cut"):
                image = await job["cut"](i)
            said = await apply(llms[i % len(llms)], engine_requests.answer, image, f"{tag}-{i}", *how)
            assert said == tokens

    with GpuUtilization(job["devices"]) as busy:
        before, started = {name: _cpu(pid) for name, pid in processes.items()}, time.perf_counter()
        await asyncio.gather(*(one(i, image) for i, image in enumerate(images)))
        seconds = time.perf_counter() - started
    cpu = {name: round((_cpu(pid) - before[name]) / seconds, 2) for name, pid in processes.items()}
    return {
        "rate": len(images) / seconds,
        "tokens_s": len(images) * tokens / seconds,
        "busy": busy.mean(),
        "client_cpu": cpu["client"],
        "front_cpu": [share for name, share in cpu.items() if name.startswith("front")],
        "engine_cpu": [share for name, share in cpu.items() if name.startswith("core")],
    }


async def _processes(llms: list[Any]) -> dict[str, int]:
    """Pids by name: this process, the processes of AsyncLLMs, and their engine cores."""
    found = {"client": os.getpid()}
    cores: list[int] = []
    for i, llm in enumerate(llms):
        pid, own = await apply(llm, engine_requests.processes)
        cores += own
        if pid != os.getpid():
            found[f"front-{i}"] = pid
    return found | {f"core-{i}": pid for i, pid in enumerate(cores)}


def _cpu(pid: int) -> float:
    """CPU seconds that a process has used; 0.0 if it is gone."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


if __name__ == "__main__":
    asyncio.run(measure_engine(json.loads(sys.argv[1])))
