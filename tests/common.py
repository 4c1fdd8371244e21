"""Names that several test files share."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[1]
SAMPLES = ROOT / "samples"
COMMAND = [sys.executable, "-m", "mineru_accel"]
CASES = ROOT / "tests" / "cases"

MakePdf = Callable[..., Path]
"""The fixture ``make_pdf``."""

FILLER = (
    "for a few lines more, so that nobody takes the paragraph for a running head,",
    "since headers and footers stand in no Markdown. The last line is a short one.",
)
"""Lines that make a paragraph of one line, so that nobody takes it for a running head."""

PATIENCE = 300.0
"""Seconds after which a test gives up on what should have happened at once: no bound on how fast anything is."""

_YARDSTICK = 0.0055
"""CPU seconds of `_loop` on the machine on which bounds in seconds were written."""


def run_command(*args: object, **options: object) -> subprocess.CompletedProcess[str]:
    """Run ``mineru-accel`` with arguments; ``options`` are those of :func:`subprocess.run`."""
    return subprocess.run(
        [*COMMAND, *map(str, args)],
        capture_output=True,
        text=True,
        timeout=2 * PATIENCE,
        **options,  # type: ignore[call-overload]
    )


def wait_until(condition: Callable[[], object], patience: float = PATIENCE) -> bool:
    """Whether a condition comes true; however slow the machine is, nothing is waited for longer than it takes."""
    deadline = time.monotonic() + patience
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def slowness() -> float:
    """How much longer this machine takes for Python than the one on which bounds in seconds were written."""
    return max(1.0, min(_cpu_seconds(_loop) for _ in range(5)) / _YARDSTICK)


def cpu_seconds(call: Callable[[], object], repeats: int = 3) -> float:
    """Least CPU time of a call in this thread, as that machine would have needed: who else is at work counts little."""
    return min(_cpu_seconds(call) / slowness() for _ in range(repeats))


def _cpu_seconds(call: Callable[[], object]) -> float:
    started = time.thread_time()
    call()
    return time.thread_time() - started


def _loop() -> int:
    return sum(i % 7 for i in range(200_000))
