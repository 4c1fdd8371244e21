"""``mineru-accel bench plot``: plots of reports that benchmarks have written.

Draws ``throughput.svg`` (pages/s by system, of every row that has them) and ``stages.svg`` (time of a page by stage, of
every row that has it) from reports of any benchmarks.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from ...errors import EXIT_OK, UsageError
from .plots import draw_stages, draw_throughput
from .report import load


def run(argv: Sequence[str]) -> int:
    """Draw both plots from existing reports."""
    parser = argparse.ArgumentParser(prog="mineru-accel bench plot", description=__doc__)
    parser.add_argument("reports", nargs="+", type=Path, metavar="FILE", help="JSON files that benchmarks wrote")
    parser.add_argument("-o", "--out", type=Path, default=Path(), metavar="DIR", help="default: here")
    args = parser.parse_args(argv)
    reports = [load(path) for path in args.reports]
    args.out.mkdir(parents=True, exist_ok=True)
    for name, why_not in (
        ("throughput.svg", draw_throughput(reports, args.out / "throughput.svg")),
        ("stages.svg", draw_stages(reports, args.out / "stages.svg")),
    ):
        if why_not and "matplotlib" in why_not:
            raise UsageError(why_not)
        print(f"{name}: {why_not}" if why_not else args.out / name)
    return EXIT_OK
