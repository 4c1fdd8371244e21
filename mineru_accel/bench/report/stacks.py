"""Where processes spend their time: stacks sampled by py-spy while something runs, and the functions seen most."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path

_RATE = 100
"""Samples a second."""
_MOST = 14
_TRUNK = (
    "(threading.py",
    "multiprocessing/",
    "concurrent/futures/",
    "asyncio/",
    "(runpy.py",
    "<module>",
    "(contextlib.py",
)
"""What every stack stands on."""


@contextlib.contextmanager
def sampled(processes: Mapping[str, int], path: Path, seconds: float) -> Iterator[None]:
    """Sample processes (name -> pid) for so many seconds, less if they end; a summary of each is appended to ``path``.

    The stacks themselves go to ``{path}.{name}`` in the folded form that flame graphs are made of. Without py-spy, or
    where it may not look, the file says so; nothing is raised.
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
    """The functions seen most: by themselves, and with what they call, in per cent of the time of one core.

    Args:
        folded: lines of ``outer;inner;innermost count``.
    """
    alone: Counter[str] = Counter()
    in_all: Counter[str] = Counter()
    for line in folded.splitlines():
        stack, _, count = line.rpartition(" ")
        frames = stack.split(";")
        alone[frames[-1]] += int(count)
        for frame in {f for f in frames if not any(trunk in f for trunk in _TRUNK)}:
            in_all[frame] += int(count)
    ticks = _RATE * seconds / 100
    parts = []
    for title, counted in (("itself", alone), ("with what it calls", in_all)):
        parts += [f"-- {title}", *(f"{n / ticks:6.1f} %  {frame}" for frame, n in counted.most_common(_MOST))]
    return "\n".join(parts)
