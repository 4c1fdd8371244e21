"""The report that every benchmark writes: JSON in one format, and the same as Markdown.

The JSON (``format`` 1)::

    {"format": 1, "benchmark": "pipeline", "date": "2026-11-22", "command": "mineru-accel bench pipeline ...",
     "machine": {"cpu", "cores", "memory_gib", "gpus": [...], "system", "load": [before, after]},
     "versions": {"python": ..., "mineru-accel": ..., ...}, "settings": {...},
     "rows": [{"case": ..., "system": ..., ...}], "columns": [...], "chart": {...},
     "not_run": [{"system": ..., "why": ...}], "notes": [...]}

``load`` is the machine's load average over one minute, before the first and after the last run. A first value well
above 0 means that other processes were running, and that times are too long.
"""

from __future__ import annotations

import json
import shlex
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ...errors import InputError
from .machine import machine, versions

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Column:
    """A column of the Markdown table: ``row[key]`` under ``title``, formatted with ``spec`` (see ``format``)."""

    key: str
    title: str
    spec: str = ""


@dataclass(frozen=True, slots=True)
class Chart:
    """A bar chart of the rows: a bar of length ``row[value]`` per row, with ``row[label]``, in ``row[group]``."""

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
    """The benchmark's arguments, for the command line that repeats it."""
    settings: dict[str, Any] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)
    not_run: list[dict[str, str]] = field(default_factory=list)
    """Systems without a figure, with the reason."""
    notes: list[str] = field(default_factory=list)
    versions: dict[str, str] = field(default_factory=versions)
    machine: dict[str, Any] = field(default_factory=machine)
    date: str = field(default_factory=lambda: time.strftime("%Y-%m-%d"))

    def leave_out(self, system: str, why: str) -> None:
        """Record that a system has no figure, and why."""
        self.not_run.append({"system": system, "why": why})

    def to_dict(self) -> dict[str, Any]:
        """The report as JSON-compatible data, in the format of the module's docstring."""
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
    """Read the JSON file of a report.

    Raises:
        InputError: if the file is not a report.
    """
    try:
        report = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: can't be read as a report of a benchmark: {error}") from error
    if not isinstance(report, dict) or report.get("format") != FORMAT:
        raise InputError(f"{path}: not a report of a benchmark (no 'format': {FORMAT})")
    return report


def describe(report: dict[str, Any]) -> str:
    """The report's machine and package versions in one line."""
    m = report["machine"]
    gpus = ", ".join(m["gpus"]) or "no GPU"
    load = " -> ".join(str(x) for x in m["load"])
    packages = ", ".join(f"{name} {number}" for name, number in report["versions"].items())
    return f"{m['cores']} cores of {m['cpu']}, {m['memory_gib']} GiB, {gpus}; {packages}; load {load}"


def markdown(report: dict[str, Any]) -> str:
    """The report as Markdown."""
    lines = [f"{report['date']}, {describe(report)}", "", f"`{report['command']}`", ""]
    if report["rows"]:
        lines += [row(c["title"] for c in report["columns"]), "|" + "---|" * len(report["columns"])]
        lines += [row(cell(r.get(c["key"]), c["spec"]) for c in report["columns"]) for r in report["rows"]]
        lines.append("")
    lines += [f"- No figure for {x['system']}: {x['why']}" for x in report["not_run"]]
    lines += [f"- {note}" for note in report["notes"]]
    return "\n".join(lines).rstrip() + "\n"


def row(cells: Iterable[str]) -> str:
    """One row of a Markdown table."""
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"


def cell(value: Any, spec: str) -> str:
    """A row's value formatted for its column; ``-`` for None."""
    if value is None:
        return "-"
    return format(value, spec) if not isinstance(value, str) else value
