"""GPU time by kernel, from vLLM's own profiler of its worker."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import defaultdict
from pathlib import Path
from typing import Any

_SHOWN = 30
"""Kernels in the summary."""
_ON_GPU = ("kernel", "gpu_memcpy", "gpu_memset")


def arguments(folder: Path) -> dict[str, Any]:
    """Engine arguments that make profiling possible; no cost until `profile_kernels` runs."""
    return {
        "profiler_config": {
            "profiler": "torch",
            "torch_profiler_dir": str(folder.resolve()),
            "torch_profiler_with_stack": False,
            "torch_profiler_dump_cuda_time_total": False,
            "ignore_frontend": True,
        }
    }


async def profile_kernels(llm: Any, seconds: float, folder: Path) -> str:
    """Profile an AsyncLLM that was started with `arguments`; returns the summary.

    The profiler itself slows the host down: shares between kernels hold, the idle share is an upper bound.
    """
    await llm.start_profile()
    await asyncio.sleep(seconds)
    await llm.stop_profile()
    traces = sorted(folder.glob("*.trace.json*"), key=lambda path: path.stat().st_mtime)
    if not traces:
        return "vLLM wrote no trace"
    return summary(await asyncio.to_thread(_events, traces[-1]))


def _events(trace: Path) -> list[dict[str, Any]]:
    data = trace.read_bytes()
    return list(json.loads(gzip.decompress(data) if trace.suffix == ".gz" else data)["traceEvents"])


def summary(events: list[dict[str, Any]]) -> str:
    """Share of time with a kernel on the GPU, and the kernels with most time, from a Chrome trace's events (in us)."""
    spans = sorted((e["ts"], e["ts"] + e["dur"], e["name"]) for e in events if e.get("cat") in _ON_GPU)
    if not spans:
        return "nothing ran on a GPU"
    total: dict[str, list[float]] = defaultdict(lambda: [0.0, 0])
    working, until = 0.0, spans[0][0]
    for begin, end, name in spans:
        working += max(0.0, end - max(begin, until))
        until = max(until, end)
        total[name][0] += end - begin
        total[name][1] += 1
    wall = until - spans[0][0]
    lines = [f"{wall / 1e3:.0f} ms, of which the GPU worked {100 * working / wall:.1f} %"]
    for name, (time, count) in sorted(total.items(), key=lambda item: -item[1][0])[:_SHOWN]:
        lines.append(f"{100 * time / wall:6.2f} %  {count:6d} x {time / count:8.1f} us  {name[:150]}")
    return "\n".join(lines)
