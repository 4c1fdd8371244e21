"""Measuring: which tile sizes and which implementation are fastest for a problem on this device.

Nothing here runs unless asked to. A configuration counts only if its result is right; times are medians of replayed
graphs (host time excluded) with a cold L2; an implementation must beat the vendor's by more than `TIE` to be chosen.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
import triton.testing
from torch import Tensor

from .dilated_block import JOINT, SPLIT
from .ops import split_columns
from .problems import Problem
from .shape_cache import SHAPES, Choice, Config, arch_of, forced

TIE = 1.03
REPEATS = 8  # a race shows as a result that moves


@dataclass(frozen=True)
class Measured:
    """A configuration's time. error: relative RMS against float64; failure: why it has no time."""

    implementation: str
    config: Config
    milliseconds: float
    error: float
    failure: str = ""


def tolerance(dtype: torch.dtype, depth: int) -> float:
    """Largest relative RMS error that counts as right, by the depth of the reduction."""
    if dtype == torch.float32:
        return 2e-6 if depth < 4096 else 4e-6
    ulp = 2**-11 if dtype == torch.float16 else 2**-8
    return ulp * (1.0 if depth < 1024 else 1.5 if depth < 4096 else 2.0)


def relative_rms(y: Tensor, truth: Tensor) -> float:
    """RMS of y - truth over RMS of truth; NaN stays NaN, so compare with `<=`."""
    y, truth = y.detach().double(), truth.detach().double()
    return float((y - truth).square().mean().sqrt() / truth.square().mean().sqrt().clamp_min(1e-300))


def time_graph(run: Callable[[], Tensor], repeat_ms: int = 60) -> float:
    """Median milliseconds of one call, replayed as a graph."""
    for _ in range(3):
        run()
    torch.cuda.synchronize()
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        run()
    return float(triton.testing.do_bench(graph.replay, warmup=10, rep=repeat_ms, return_mode="median"))


def candidates(problem: Problem) -> Iterator[Config]:
    """Tile sizes worth trying for a problem on its device."""
    arch = arch_of(problem.x.device)
    nvidia = arch.startswith("sm_")
    tma = nvidia and int(arch[3:]) >= 90
    shared = 65_536 if not nvidia else 220_000 if arch in ("sm_90", "sm_100") else 98_304
    if problem.op.startswith("patch_embed"):
        blocks = [(64, 64, 4), (64, 128, 4), (64, 256, 4), (128, 128, 4), (128, 128, 8), (128, 256, 8), (256, 128, 8)]
        for (bm, bn, warps), bk, stages in itertools.product(blocks, (32, 64), (2, 3, 4) if nvidia else (1, 2)):
            if (bm + bn) * bk * 2 * stages > shared or (not nvidia and bm * bn > 16384):
                continue
            for use in (0, 1) if tma and problem.op == "patch_embed" else (0,):
                yield {"BM": bm, "BN": bn, "BK": bk, "GROUP": 8, "TMA": use, "num_warps": warps, "num_stages": stages}
        return
    if problem.op == "conv2d":
        yield from _conv_candidates(problem, nvidia, shared)
        return
    channels = problem.x.shape[-1]
    block = problem.op == "dilated_block"
    rows = [(64, 4), (128, 4), (128, 8)] if nvidia else [(32, 4), (32, 8), (64, 4), (64, 8)]
    fast = int(nvidia and problem.x.dtype != torch.float32)
    modes: list[Config] = [{}]
    if block:
        modes = [{"MODE": SPLIT, "TANH": fast, "ROLL": 0}, {"MODE": SPLIT, "TANH": fast, "ROLL": 1}]
        modes += [{"MODE": JOINT, "TANH": fast, "ROLL": 1}]
    for (bm, warps), bk, stages, mode in itertools.product(rows, (32, 64), (3, 4) if nvidia else (1, 2), modes):
        pixels = (3 if mode.get("MODE") == JOINT else 1) * bm
        if channels % bk or (pixels + channels) * bk * 2 * stages > shared or pixels * channels // warps > 128 * 48:
            continue
        for tw in (0, 16):
            config = {"BM": bm, "BK": bk, "TW": tw, **mode, "num_warps": warps, "num_stages": stages}
            yield config
            if nvidia and channels == 96 and (bm, warps) == (128, 4) and not mode.get("ROLL"):
                yield {**config, "maxnreg": 168}  # three programs a multiprocessor instead of two
            if not block and channels >= 128 and bm == 64 and tw == 0:
                yield from ({**config, "BN0": 64, "BN1": bn1} for bn1 in (0, 32))
                yield {**config, "BN0": 128, "BN1": 64}


def _conv_candidates(problem: Problem, nvidia: bool, shared: int) -> Iterator[Config]:
    """Few, so that a whole network's layers can be tuned in a minute or two."""
    family, _, pixels = problem.key
    c, n, k, stride = (int(part[1:]) for part in family.split("-"))
    wholes = [(bn0, bn1) for bn0, bn1 in ((128, 64), (128, 0), (64, 32), (64, 0), (32, 16), (16, 0))
              if n % (bn0 + bn1) == 0]  # fmt: skip
    columns = wholes[:2] or [split_columns(n, 128)]
    if n > 64 and sum(columns[0]) < 48:  # many columns that only narrow tiles divide: some of a wider one's may idle
        columns = [(128, 0), (64, 32)]
    rows = [(128, 4), (128, 8), (64, 4)] if nvidia else [(64, 4), (64, 8)]
    depths = [bk for bk in (64, 32) if c % bk == 0] or [32]
    if c % 48 == 0 and nvidia and (c == 48 or k > 1):  # fewer, longer steps, in two parts: 32 + 16, 64 + 32
        depths = [48, 64, 16] if c == 48 else [*depths, 96]
    for (bm, warps), (bn0, bn1), bk in itertools.product(rows, columns, depths):
        if bm * (bn0 + bn1) // warps > 128 * 48 or bm * (bn0 + bn1) // warps < 256:
            continue
        if pixels < 132 * 64 and bm > 64:
            continue
        stages = min(5 if bk < 48 else 3 if bk == 96 else 4, shared // ((bm + bn0 + bn1) * bk * 2))
        for tw in (0, 16) if k > 1 and stride == 1 and bm == 128 and bk < 96 else (0,):
            config = {"BM": bm, "BN0": bn0, "BN1": bn1, "BK": bk, "TW": tw, "num_warps": warps, "num_stages": stages}
            yield config
            if bk == 48 and warps == 4:  # one more program a multiprocessor
                yield {**config, "num_stages": 3}


def measure(problem: Problem, implementation: str, config: Config, truth: Tensor, repeat_ms: int = 60) -> Measured:
    """Check, then time, one implementation with one configuration."""

    def run() -> Tensor:
        return problem.run(implementation)

    with forced(Choice(implementation, config, "forced")):
        try:
            first = run()
            error = relative_rms(first, truth)
            bound = tolerance(torch.bfloat16 if problem.x.dtype == torch.uint8 else problem.x.dtype, problem.depth)
            if not error <= bound:
                return Measured(implementation, config, float("inf"), error, f"error {error:.2e} over {bound:.2e}")
            if implementation == "triton" and not all(torch.equal(run(), first) for _ in range(REPEATS)):
                return Measured(implementation, config, float("inf"), error, "result changes between runs")
            return Measured(implementation, config, time_graph(run, repeat_ms), error)
        except Exception as failure:
            torch.cuda.synchronize()
            return Measured(
                implementation, config, float("inf"), float("nan"), f"{type(failure).__name__}: {failure}"[:200]
            )


def tune(
    problem: Problem, configs: list[Config] | None = None, repeat_ms: int = 60, keep: bool = True
) -> tuple[dict[str, object], list[Measured]]:
    """Measure a problem's implementations and configurations; (the winning entry of shape_cache, all measurements).

    keep: store the entry in the user's cache. Raises RuntimeError if nothing gave a right result.
    """
    truth = problem.truth()
    measured = []
    for implementation in problem.implementations:
        several = implementation == "triton"
        for config in (configs or list(candidates(problem))) if several else [{}]:
            measured.append(measure(problem, implementation, config, truth, repeat_ms))
    right = [m for m in measured if not m.failure]
    if not right:
        raise RuntimeError(f"{problem.title}: no implementation gave a right result")
    best = min(right, key=lambda m: m.milliseconds)
    vendor = [m for m in right if m.implementation == "vendor"]
    if vendor and vendor[0].milliseconds <= best.milliseconds * TIE:
        best = vendor[0]
    entry: dict[str, object] = {
        "implementation": best.implementation,
        "config": _config_for(best, right),
        "ms": round(best.milliseconds, 5),
    }
    if keep:
        SHAPES.store(problem.op, problem.x.device, problem.x.dtype, *problem.key, entry)
    return entry, measured


def _config_for(best: Measured, right: list[Measured]) -> Config:
    """The winner's tile sizes; where it has none, our fastest kernel's, for who asks for that explicitly."""
    ours = [m for m in right if m.implementation == "triton"]
    return best.config or (min(ours, key=lambda m: m.milliseconds).config if ours else {})
