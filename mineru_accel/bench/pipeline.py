"""``mineru-accel bench pipeline``: whole processes, from the command line to files on disk, in turn with a peer's."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from ..errors import EXIT_FAILED, EXIT_OK


def run(argv: Sequence[str]) -> int:
    """Convert files with us and with MinerU's flash tier, A B A B, and print medians."""
    parser = argparse.ArgumentParser(prog="mineru-accel bench pipeline", description=__doc__)
    parser.add_argument("paths", nargs="+", type=Path, help="PDFs")
    parser.add_argument("--repeats", type=int, default=5, help="of each; default: %(default)s")
    parser.add_argument("--layout", default="auto", help="as the command's; default: %(default)s")
    parser.add_argument("--no-mineru", action="store_true", help="only us")
    parser.add_argument("--json", action="store_true", help="as JSON")
    args = parser.parse_args(argv)
    systems = {"mineru-accel": lambda path, out: _ours(path, out, args.layout)}
    if not args.no_mineru:
        if _mineru_kit() is None:
            print("mineru-kit is not installed: only mineru-accel is measured", file=sys.stderr)
        else:
            systems["mineru-kit flash"] = _flash
    rows = []
    for path in args.paths:
        times: dict[str, list[float]] = {name: [] for name in systems}
        for _ in range(args.repeats):
            for name, convert in systems.items():
                with tempfile.TemporaryDirectory() as folder:
                    started = time.perf_counter()
                    done = convert(path, Path(folder))
                    times[name].append(time.perf_counter() - started)
                    text = "".join(p.read_text(encoding="utf-8") for p in Path(folder).rglob("*.md"))
                if done != 0 or len(text) < 100:
                    print(f"{name} failed on {path}: no figure for it", file=sys.stderr)
                    return EXIT_FAILED
        rows.append({"file": path.name, **{n: statistics.median(t) for n, t in times.items()}, "all": times})
    report = {"date": time.strftime("%Y-%m-%d"), "machine": _machine(), "repeats": args.repeats, "files": rows}
    print(json.dumps(report, indent=2) if args.json else _table(report, list(systems)))
    return EXIT_OK


def _ours(path: Path, out: Path, layout: str) -> int:
    command = [sys.executable, "-m", "mineru_accel", str(path), "-o", str(out), "--layout", layout, "-q"]
    return subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def _mineru_kit() -> str | None:
    beside = Path(sys.executable).with_name("mineru-kit")
    return str(beside) if beside.exists() else shutil.which("mineru-kit")


def _flash(path: Path, out: Path) -> int:
    kit = _mineru_kit()
    assert kit is not None
    env = {**os.environ, "MINERU_MODEL_SOURCE": "local", "MINERU_HOME": str(out / "home")}
    command = [kit, "parse", str(path), "-o", str(out / "out"), "--tier", "flash"]
    return subprocess.run(command, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode


def _machine() -> str:
    model = next(
        (
            line.partition(":")[2].strip()
            for line in Path("/proc/cpuinfo").read_text().splitlines()
            if line.startswith("model name")
        ),
        platform.processor(),
    )
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores of {model}, Python {platform.python_version()}, mineru {version('mineru')}"


def _table(report: dict, systems: list[str]) -> str:
    lines = [f"{report['date']}, {report['machine']}; medians of {report['repeats']}, seconds of wall time", ""]
    lines.append(f"| file | {' | '.join(systems)} | ratio |")
    lines.append("|---" * (len(systems) + 2) + "|")
    for row in report["files"]:
        times = [row[name] for name in systems]
        ratio = f"{times[1] / times[0]:.2f}x" if len(times) > 1 else ""
        lines.append(f"| {row['file']} | {' | '.join(f'{t:.2f}' for t in times)} | {ratio} |")
    return "\n".join(lines)
