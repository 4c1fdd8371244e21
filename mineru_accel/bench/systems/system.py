"""A system under test: how it is called, in a process of its own, and where its Markdown is found afterwards."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from ...errors import UsageError
from ...storage.inputs import Input, expand
from ...version import __version__


@dataclass(slots=True)
class Conversion:
    """What one process made of some files."""

    seconds: float
    """Wall time from the command line to the end of the process."""
    texts: dict[Path, str] = field(default_factory=dict)
    """Markdown by input file; files that gave none are missing."""
    error: str | None = None
    """What it said, if it failed."""
    stages_ms: dict[str, float] = field(default_factory=dict)
    """Milliseconds of work a page by stage, where the system says so."""


class System(Protocol):
    """Something that turns files into Markdown."""

    @property
    def name(self) -> str:
        """As in tables and plots."""

    @property
    def version(self) -> str:
        """Of its package."""

    @property
    def settings(self) -> str:
        """What was chosen for it, in a few words."""

    def command(self, files: Sequence[Path], out: Path) -> list[str]:
        """The command line that converts ``files`` into the folder ``out``."""
        ...

    def environment(self, out: Path) -> dict[str, str]:
        """Variables to set for it."""
        ...

    def text(self, out: Path, file: Path) -> str | None:
        """The Markdown that it wrote for a file."""
        ...


@dataclass(frozen=True, slots=True)
class Ours:
    """This package, called as a user calls it."""

    backend: str = "pipeline"
    layout: str = "auto"
    extra: tuple[str, ...] = ()
    executor: str = "local"

    @property
    def name(self) -> str:
        layout = {"auto": "", "doclayout-yolo": ", DocLayout-YOLO"}.get(self.layout, f", {self.layout} layout")
        return f"mineru-accel -b {self.backend}{layout}{', on Ray' if self.executor == 'ray' else ''}"

    @property
    def version(self) -> str:
        return __version__

    @property
    def settings(self) -> str:
        return " ".join(self._options)

    @property
    def _options(self) -> list[str]:
        return ["-b", self.backend, "--layout", self.layout, "--executor", self.executor, *self.extra]

    def command(self, files: Sequence[Path], out: Path) -> list[str]:
        jobs = out / "jobs.txt"
        jobs.write_text("".join(f"{file}\n" for file in files), encoding="utf-8")
        where = ["--jobs-from", str(jobs), "-o", str(out / "out"), "-q"]
        return [sys.executable, "-m", "mineru_accel", *where, *self._options]

    def environment(self, out: Path) -> dict[str, str]:
        return {}

    def text(self, out: Path, file: Path) -> str | None:
        stem = Input(file).stem
        return read(out / "out" / stem / f"{stem}.md")

    def stages_ms(self, out: Path) -> dict[str, float]:
        """Milliseconds of work a page, by stage, from the reports of a conversion."""
        sums: dict[str, float] = {}
        pages = 0
        for report in (out / "out").glob("*/*_report.json"):
            for page in json.loads(report.read_text(encoding="utf-8"))["page_results"]:
                pages += 1
                for stage, seconds in page["timings"].items():
                    sums[stage] = sums.get(stage, 0.0) + 1000 * seconds
        return {stage: round(ms / pages, 2) for stage, ms in sums.items()} if pages else {}


def convert(system: System, files: Sequence[Path], *, timeout: float) -> Conversion:
    """Run a system once over some files, in a temporary folder.

    Args:
        files: absolute paths, stems all different (:func:`distinct`).
        timeout: seconds after which the process is ended.
    """
    with tempfile.TemporaryDirectory(prefix="mineru-accel-bench-") as folder:
        out = Path(folder)
        command = system.command(files, out)
        env = {**os.environ, **system.environment(out)}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # users' Pythons compile a package once, not for every run
        log = out / "standard-error.txt"
        started = time.perf_counter()
        with log.open("wb") as stderr:
            try:
                code = subprocess.run(
                    command, env=env, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, timeout=timeout
                ).returncode
                error = None if code == 0 else f"exit code {code}: {_complaint(log)}"
            except subprocess.TimeoutExpired:
                error = f"not finished after {timeout:.0f} s"
            except OSError as problem:
                error = f"can't be started: {problem}"
        done = Conversion(time.perf_counter() - started, error=error)
        for file in files:
            text = system.text(out, file)
            if text is not None:
                done.texts[file] = text
        if isinstance(system, Ours):
            done.stages_ms = system.stages_ms(out)
    return done


def distinct(paths: Sequence[Path]) -> list[Path]:
    """The files of some paths, folders and globs, absolute.

    Raises:
        UsageError: if there are none, or two have the same stem (systems name their results by it).
    """
    files = [path.resolve() for path in expand(paths)]
    stems: dict[str, Path] = {}
    for file in files:
        if not file.exists():
            raise UsageError(f"{file}: no such file")
        if file.stem in stems:
            raise UsageError(f"{stems[file.stem]} and {file} have the same name: give one of them at a time")
        stems[file.stem] = file
    return files


def read(path: Path) -> str | None:
    """A text file, or None if it isn't there."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _complaint(log: Path) -> str:
    """The end of what a process said, from the last line that speaks of an error."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    starts = [i for i, line in enumerate(lines) if "error" in line.lower()]
    tail = lines[starts[-1] :] if starts and len(lines) - starts[-1] <= 6 else lines[-1:]
    return " ".join(tail)[:300] or "no message"
