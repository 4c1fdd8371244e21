"""Runs of several systems in turn, and the median of their times."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Callable, Mapping, Sequence


def run_in_turn(runs: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Seconds of every run by name, in the order A B A B, so that a disturbance of the machine hits all of them."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, measured in runs.items():
            times[name].append(measured())
    return times


def median(times: Sequence[float]) -> float:
    """The median, rounded to a millisecond."""
    return round(statistics.median(times), 3)


def print_progress(line: str) -> None:
    """Print a line on standard error."""
    print(line, file=sys.stderr, flush=True)
