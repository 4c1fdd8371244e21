"""Where a benchmark's report goes: standard output, a JSON file, or a folder with JSON, Markdown and plot."""

from __future__ import annotations

import argparse
import json
import os
import sys
from pathlib import Path

from .plots import draw_chart
from .report import Report, markdown


def add_output(parser: argparse.ArgumentParser) -> None:
    """Add ``--json`` and ``--out``, the options of every benchmark that say where its report is written."""
    group = parser.add_argument_group("results (Markdown on standard output unless told otherwise)")
    group.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="as JSON, into FILE; without FILE on standard output"
    )
    group.add_argument("--out", type=Path, metavar="DIR", help="write NAME.json, NAME.md and NAME.svg there")


def finish(report: Report, args: argparse.Namespace, *, printed: bool = False) -> None:
    """Write and print a report according to the options of :func:`add_output`.

    Args:
        report: the finished report; the load average after the run is added to it.
        args: parsed arguments.
        printed: whether the Markdown has been printed already, row by row.
    """
    report.machine["load"].append(round(os.getloadavg()[0], 1))
    data = report.to_dict()
    text = json.dumps(data, indent=1, ensure_ascii=False) + "\n"
    if args.json == "-":
        print(text, end="")
    else:
        if args.json:
            Path(args.json).write_text(text, encoding="utf-8")
        if not printed:
            print(markdown(data), end="")
    if args.out:
        args.out.mkdir(parents=True, exist_ok=True)
        stem = args.out / report.benchmark
        stem.with_suffix(".json").write_text(text, encoding="utf-8")
        stem.with_suffix(".md").write_text(markdown(data), encoding="utf-8")
        if why_not := draw_chart(data, stem.with_suffix(".svg")):
            print(f"no plot: {why_not}", file=sys.stderr)
