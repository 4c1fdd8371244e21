"""CPU time of processes by function: stacks sampled by py-spy."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

_RATE = 100
"""Samples a second."""
_SHOWN = 14
"""Functions in each list of a summary."""
_COMMON_FRAMES = (
    "(threading.py",
    "multiprocessing/",
    "concurrent/futures/",
    "asyncio/",
    "(runpy.py",
    "<module>",
    "(contextlib.py",
)
"""Parts of the names of frames that are below most stacks; left out of the totals."""


@contextlib.contextmanager
def sampled(processes: Mapping[str, int], path: Path, seconds: float) -> Iterator[None]:
    """Sample the stacks of processes while the context is open; a summary of each is appended to ``path``.

    The stacks are written to ``{path}.{name}`` in the folded form of flame graphs. Without py-spy, or without the
    permission to use it, the file says so, and nothing is raised.

    Args:
        processes: pid by name.
        path: file of the summaries.
        seconds: duration; shorter if a process ends.
    """
    program = shutil.which("py-spy")
    if program is None:
        path.write_text("py-spy is not installed\n", encoding="utf-8")
        yield
        return
    command = [program, "record", "--format", "raw", "--rate", str(_RATE)]
    running = {}
    for name, pid in processes.items():
        out = path.with_name(f"{path.name}.{name}")
        more = ["--duration", str(max(1, round(seconds))), "--pid", str(pid), "--output", str(out)]
        running[name] = out, subprocess.Popen([*command, *more], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    try:
        yield
    finally:
        with path.open("a", encoding="utf-8") as file:
            for name, (out, sampler) in running.items():
                try:
                    problem = sampler.communicate(timeout=seconds + 10)[1].decode(errors="replace").strip()
                except subprocess.TimeoutExpired:
                    sampler.kill()
                    problem = "py-spy did not end"
                text = out.read_text(encoding="utf-8") if out.exists() else ""
                file.write(f"== {name}\n{summary(text, seconds) if text else problem}\n")


def summary(folded: str, seconds: float) -> str:
    """Functions with most samples, alone and with their callees, in per cent of one core's time.

    Args:
        folded: lines of ``outer;inner;innermost count``.
    """
    alone: Counter[str] = Counter()
    in_all: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        alone[frames[-1]] += int(count)
        for frame in {f for f in frames if not any(part in f for part in _COMMON_FRAMES)}:
            in_all[frame] += int(count)
    ticks = _RATE * seconds / 100
    parts = []
    for title, counted in (("itself", alone), ("with what it calls", in_all)):
        parts += [f"-- {title}", *(f"{n / ticks:6.1f} %  {frame}" for frame, n in counted.most_common(_SHOWN))]
    return "\n".join(parts)
