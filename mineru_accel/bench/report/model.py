"""What every benchmark writes: one JSON format, the same as Markdown, and a plot. Needs the standard library only.

The JSON (``format`` 1)::

    {"format": 1, "benchmark": "pipeline", "date": "2026-11-22", "command": "mineru-accel bench pipeline ...",
     "machine": {"cpu", "cores", "memory_gib", "gpus": [...], "system", "load": [before, after]},
     "versions": {"python": ..., "mineru-accel": ..., ...}, "settings": {...},
     "rows": [{"case": ..., "system": ..., ...}], "columns": [...], "chart": {...},
     "not_run": [{"system": ..., "why": ...}], "notes": [...]}

``load`` is the machine's load average over a minute before the first and after the last run: much more before than
0 means that others were at work, and that times are too long.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...errors import InputError
from ...hardware import gpus
from ...hardware.cores import usable_cores

FORMAT = 1
_PACKAGES = ("mineru", "docvortex", "onnxruntime", "torch", "triton", "vllm", "mineru-vl-utils")


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the Markdown table: ``row[key]`` under ``title``, formatted with ``spec`` (as in ``format``)."""

    key: str
    title: str
    spec: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """What of the rows is drawn: a bar of ``row[value]`` per row, labelled with ``row[label]``, in groups."""

    title: str
    value: str
    unit: str
    label: str = "system"
    group: str = "case"


@dataclass
class Report:
    """One run of one benchmark."""

    benchmark: str
    columns: Sequence[Column]
    chart: Chart | None = None
    argv: Sequence[str] = ()
    """What the benchmark was called with, for the command that repeats it."""
    settings: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    not_run: list[dict[str, str]] = field(default_factory=list)
    """Systems that gave no figure here, and why."""
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=lambda: versions())
    machine: dict[str, Any] = field(default_factory=lambda: machine())
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))

    def leave_out(self, system: str, why: str) -> None:
        """Say that a system gave no figure."""
        self.not_run.append({"system": system, "why": why})

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, see the module."""
        return {
            "format": FORMAT,
            "benchmark": self.benchmark,
            "date": self.date,
            "command": shlex.join(["mineru-accel", "bench", self.benchmark, *self.argv]),
            "machine": self.machine,
            "versions": self.versions,
            "settings": self.settings,
            "columns": [{"key": c.key, "title": c.title, "spec": c.spec} for c in self.columns],
            "chart": {n: getattr(self.chart, n) for n in Chart.__slots__} if self.chart else None,
            "rows": self.rows,
            "not_run": self.not_run,
            "notes": self.notes,
        }


def load(path: Path) -> dict[str, Any]:
    """A report as it was written.

    Raises:
        InputError: if the file is not one.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read as a report of a benchmark: {error}") from error
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise InputError(f"{path}: not a report of a benchmark (no 'format': {FORMAT})")
    return report


def machine() -> dict[str, Any]:
    """What this machine is."""
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "gpus": gpus.names(),
        "system": f"{platform.system()} {platform.release()}",
        "load": [round(os.getloadavg()[0], 1)],
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions(packages: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Of Python, of this package and of those installed among ``packages``."""
    from ...version import __version__

    found = {"python": platform.python_version(), "mineru-accel": __version__}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def describe(report: dict[str, Any]) -> str:
    """Machine and versions in one line."""
    m = report["machine"]
    names = ", ".join(m["gpus"]) or "no GPU"
    load = " -> ".join(str(x) for x in m["load"])
    packages = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    return f"{m['cores']} cores of {m['cpu']}, {m['memory_gib']} GiB, {names}; {packages}; load {load}"


def markdown(report: dict[str, Any]) -> str:
    """A report for people."""
    lines = [f"{report['date']}, {describe(report)}", "", f"`{report['command']}`", ""]
    if report["rows"]:
        lines += [row(c["title"] for c in report["columns"]), "|" + "---|" * len(report["columns"])]
        lines += [row(cell(r.get(c["key"]), c["spec"]) for c in report["columns"]) for r in report["rows"]]
        lines.append("")
    lines += [f"- No figure for {x['system']}: {x['why']}" for x in report["not_run"]]
    lines += [f"- {note}" for note in report["notes"]]
    return "\n".join(lines).rstrip() + "\n"


def row(cells: Iterable[str]) -> str:
    """A row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def cell(value: Any, spec: str) -> str:
    """A value of a row as its column shows it."""
    if value is None:
        return "-"
    return format(value, spec) if not isinstance(value, str) else value


def add_output(parser: argparse.ArgumentParser) -> None:
    """The options of every benchmark that say where its results go."""
    group = parser.add_argument_group("results (Markdown on standard output unless told otherwise)")
    group.add_argument(
        "--json", nargs="?", const="-", metavar="FILE", help="as JSON, into FILE; without FILE on standard output"
    )
    group.add_argument("--out", type=Path, metavar="DIR", help="write NAME.json, NAME.md and NAME.svg there")


def finish(report: Report, args: argparse.Namespace, *, printed: bool = False) -> None:
    """Write and print a report as the options of :func:`add_output` say; ``printed``: its Markdown was, on the way."""
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
        from .plot import draw

        if why_not := draw(data, stem.with_suffix(".svg")):
            print(f"no plot: {why_not}", file=sys.stderr)
