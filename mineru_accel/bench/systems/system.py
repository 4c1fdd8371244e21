"""A system under test: its command line, run in a process of its own, and where it writes its Markdown."""

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
from ...storage.inputs import Input, find_paths
from ...version import __version__


@dataclass(slots=True)
class Conversion:
    """Result of one process that converted some files."""

    seconds: float
    """Wall time from the command line to the end of the process."""
    texts: dict[Path, str] = field(default_factory=dict)
    """Markdown by input file; files without Markdown are missing."""
    error: str | None = None
    """Message of a process that failed."""
    stages_ms: dict[str, float] = field(default_factory=dict)
    """Milliseconds of work per page by stage, where the system reports them."""


class System(Protocol):
    """A program that converts files into Markdown."""

    @property
    def name(self) -> str:
        """Name in tables and plots."""

    @property
    def version(self) -> str:
        """Version of its package."""

    @property
    def settings(self) -> str:
        """Its settings in a few words."""

    def command(self, files: Sequence[Path], out: Path) -> list[str]:
        """Command line that converts ``files`` into the folder ``out``."""
        ...

    def environment(self, out: Path) -> dict[str, str]:
        """Environment variables to set for the process."""
        ...

    def text(self, out: Path, file: Path) -> str | None:
        """Markdown that was written for a file; None if there is none."""
        ...


@dataclass(frozen=True, slots=True)
class MineruAccel:
    """This package, through its command."""

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
        return read_text(out / "out" / stem / f"{stem}.md")

    def stages_ms(self, out: Path) -> dict[str, float]:
        """Milliseconds of work per page and stage, from the reports of a conversion."""
        sums: dict[str, float] = {}
        pages = 0
        for report in (out / "out").glob("*/*_report.json"):
            for page in json.loads(report.read_text(encoding="utf-8"))["page_results"]:
                pages += 1
                for stage, seconds in page["timings"].items():
                    sums[stage] = sums.get(stage, 0.0) + 1000 * seconds
        return {stage: round(ms / pages, 2) for stage, ms in sums.items()} if pages else {}


def convert(system: System, files: Sequence[Path], *, timeout: float) -> Conversion:
    """Convert some files in one process, in a temporary folder.

    Args:
        system: the system to run.
        files: absolute paths with distinct stems (:func:`input_files`).
        timeout: seconds after which the process is ended.
    """
    with tempfile.TemporaryDirectory(prefix="mineru-accel-bench-") as folder:
        out = Path(folder)
        command = system.command(files, out)
        env = {**os.environ, **system.environment(out)}
        env.pop("PYTHONDONTWRITEBYTECODE", None)  # users' Pythons keep compiled modules, too
        log = out / "standard-error.txt"
        started = time.perf_counter()
        with log.open("wb") as stderr:
            try:
                code = subprocess.run(
                    command, env=env, stdin=subprocess.DEVNULL, stdout=stderr, stderr=stderr, timeout=timeout
                ).returncode
                error = None if code == 0 else f"exit code {code}: {_error_message(log)}"
            except subprocess.TimeoutExpired:
                error = f"not finished after {timeout:.0f} s"
            except OSError as problem:
                error = f"can't be started: {problem}"
        done = Conversion(time.perf_counter() - started, error=error)
        for file in files:
            text = system.text(out, file)
            if text is not None:
                done.texts[file] = text
        if isinstance(system, MineruAccel):
            done.stages_ms = system.stages_ms(out)
    return done


def input_files(paths: Sequence[Path]) -> list[Path]:
    """Absolute paths of the files that some paths, folders and globs name.

    Raises:
        UsageError: if a file is missing, or two have the same stem (systems name their results by it).
    """
    files = [path.resolve() for path in find_paths(paths)]
    stems: dict[str, Path] = {}
    for file in files:
        if not file.exists():
            raise UsageError(f"{file}: no such file")
        if file.stem in stems:
            raise UsageError(f"{stems[file.stem]} and {file} have the same name: give one of them at a time")
        stems[file.stem] = file
    return files


def read_text(path: Path) -> str | None:
    """A text file, or None if it isn't there."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None


def _error_message(log: Path) -> str:
    """End of a process's log, from the last line with "error" in it; up to 300 characters."""
    lines = [line.strip() for line in log.read_text(encoding="utf-8", errors="replace").splitlines() if line.strip()]
    starts = [i for i, line in enumerate(lines) if "error" in line.lower()]
    tail = lines[starts[-1] :] if starts and len(lines) - starts[-1] <= 6 else lines[-1:]
    return " ".join(tail)[:300] or "no message"
