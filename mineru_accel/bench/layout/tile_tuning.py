"""The part of ``bench layout`` that measures the tile sizes of the network's convolutions."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ...layout.tune import export

if TYPE_CHECKING:
    from accel_kernels.problems import Problem

    from .benchmark import LayoutBenchmark

H200_LIMITS = (760e12, 4.2e12)
"""float16 operations and bytes per second of an H200 (measured, see kernels/README.md), for lower bounds of times."""

Shape = tuple[int, ...]
"""A convolution: rows, columns, channels in and out, kernel, stride, residual, low-resolution input."""


def tune(bench: LayoutBenchmark) -> None:
    """Measure the convolutions' tile sizes at this model's shapes, and store the fastest."""
    import torch

    shapes = sorted(bench.model.convolutions())
    _compile_candidates(bench, shapes)
    measured = (_tune_shape(bench, shape, batch) for shape in shapes for batch in bench.args.tune_batch)
    table = [row for row in measured if row]
    torch.cuda.empty_cache()
    bench.results["tune"] = table
    _export(bench)


def _problem(bench: LayoutBenchmark, batch: int, shape: Shape) -> Problem:
    import torch
    from accel_kernels.problems import fused_conv_problem

    (h, w), (c, n, k, stride), residual, low = shape[:2], shape[2:6], shape[6], shape[7]
    return fused_conv_problem(
        batch, h, w, c, n, k, stride, torch.float16, bench.model.device, bool(residual), bool(low)
    )


def _compile_candidates(bench: LayoutBenchmark, shapes: Sequence[Shape]) -> None:
    """Compile every candidate kernel in parallel, on 8x8 maps, so that the measurement finds it compiled."""
    import torch
    from accel_kernels import tuning
    from accel_kernels.shape_cache import Choice, forced

    small = {shape: _problem(bench, 1, (8, 8, *shape[2:])) for shape in shapes}
    jobs = {}
    for shape in shapes:
        h, w = shape[:2]
        for batch in bench.args.tune_batch:
            probe = _with_pixels(small[shape], batch * h * w // shape[5] ** 2)
            for config in tuning.candidates(probe):
                whole_tiles = shape[2] % config["BK"] == 0, shape[3] % (config["BN0"] + config["BN1"]) == 0
                jobs[(whole_tiles, shape[4:], tuple(sorted(config.items())))] = (shape, config)

    def compile_one(job: tuple[Shape, dict[str, int]]) -> None:
        shape, config = job
        with forced(Choice("triton", config, "forced")), torch.cuda.device(bench.model.device):
            try:
                small[shape].run("triton")
            except Exception as error:  # measured again, and reported, by tune()
                print(f"{small[shape].title} {config}: {type(error).__name__} {str(error)[:120]}")

    began = time.perf_counter()
    with ThreadPoolExecutor(12) as pool:
        list(pool.map(compile_one, jobs.values()))
    torch.cuda.synchronize()
    print(f"{len(jobs)} kernels compiled in {time.perf_counter() - began:.1f} s")


def _tune_shape(bench: LayoutBenchmark, shape: Shape, batch: int) -> dict[str, Any] | None:
    """Measure one shape; None if no implementation works."""
    from accel_kernels import tuning

    problem = _problem(bench, batch, shape)
    try:
        entry, measured = tuning.tune(problem, repeat_ms=8)
    except RuntimeError as error:
        print(error)
        return None
    best: dict[str, tuple[float, dict[str, int]]] = {}
    for m in measured:
        if not m.failure and m.milliseconds < best.get(m.implementation, (1e9, {}))[0]:
            best[m.implementation] = (m.milliseconds, m.config)
    floor = 1e3 * max(problem.flops / H200_LIMITS[0], problem.bytes / H200_LIMITS[1])
    _print(problem.title, floor, best, entry, [m.failure for m in measured if m.failure])
    return {"title": problem.title, "key": problem.key, "floor": floor, "best": best, "entry": entry}


def _print(
    title: str,
    floor: float,
    best: Mapping[str, tuple[float, dict[str, int]]],
    entry: Mapping[str, Any],
    failures: Sequence[str],
) -> None:
    shown = " ".join(f"{k}={v}" for k, v in best.get("triton", (0, {}))[1].items())
    times = " ".join(f"{name} {ms:.4f}" for name, (ms, _) in sorted(best.items(), key=lambda i: i[1][0]))
    line = f"{title:38} floor {floor:.4f} {times} | {entry['implementation']} {shown}"
    print(line + (f" | {len(failures)} failed: {failures[0][:80]}" if failures else ""), flush=True)


def _export(bench: LayoutBenchmark) -> None:
    """Write the tuned configurations under ``--out``, merged into the shipped file so that it can replace that."""
    from accel_kernels.shape_cache import SHIPPED, arch_of, user_file

    path = user_file("conv2d", bench.model.device)
    if bench.args.out and path.exists():
        arch = arch_of(bench.model.device)
        target = bench.args.out / "configs" / arch
        target.mkdir(parents=True, exist_ok=True)
        if (SHIPPED / arch / path.name).exists():
            shutil.copy(SHIPPED / arch / path.name, target)
        export(path, target.parent, bench.model.device)


def _with_pixels(problem: Problem, pixels: int) -> Problem:
    return replace(problem, key=(problem.key[0], problem.key[1], pixels))
