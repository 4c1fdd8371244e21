"""Processes that start together and are measured in turn: starting an engine takes minutes, measuring it half a one.

A job is a dictionary with at least "name" and "result", the path of the JSON file that its process writes. The process
touches the file's ``.ready`` sibling once it could be measured and then waits for ``.go``.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

Job = dict[str, Any]
LEAST = 45.0
"""Seconds to measure that a process has once it is ready, whatever the deadline: starting it was the dear part."""


def file(job: Job, kind: str) -> Path:
    """A job's file of a kind: json, ready, go or log."""
    return Path(job["result"]).with_suffix(f".{kind}")


def measure(
    jobs: Sequence[Job],
    start: Callable[[Job], subprocess.Popen[bytes]],
    *,
    at_once: int = 1,
    ready: float = 240.0,
    limit: float = 180.0,
    deadline: float = float("inf"),
) -> Iterator[dict[str, Any]]:
    """Yield each job's result, with "name", and "error" if it has none; jobs that were never started are left out.

    Args:
        jobs: in the order in which they start.
        start: starts a job's process.
        at_once: how many start together; the next ones start when these are measured and gone.
        ready: seconds that a process may take to start. One that is ready by the time the others are measured counts.
        limit: seconds to measure each.
        deadline: seconds for everything; with less than `LEAST` left nothing is started, what starts is waited for
            no longer than leaves `LEAST` for each, and what is ready is measured nevertheless.
    """
    end = time.monotonic() + deadline
    for group in (jobs[i : i + at_once] for i in range(0, len(jobs), at_once)):
        if end - time.monotonic() < LEAST:
            return
        waiting = {job["name"]: (job, _fresh(job, start)) for job in group}
        try:
            latest = min(time.monotonic() + ready, end - LEAST * len(group))
            while time.monotonic() < latest and not all(_settled(*each) for each in waiting.values()):
                time.sleep(0.1)
            while waiting:
                name = next((name for name, each in waiting.items() if _settled(*each)), None)
                if name is None:
                    break
                job, child = waiting[name]
                yield _result(job, child, max(min(limit, end - time.monotonic()), min(limit, LEAST)))
                del waiting[name]
            for job, child in waiting.values():
                _kill(child)
                yield {"name": job["name"], "error": "not ready in time"}
        finally:
            for _, child in waiting.values():
                _kill(child)


def _fresh(job: Job, start: Callable[[Job], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    for stale in ("json", "ready", "go"):
        file(job, stale).unlink(missing_ok=True)
    return start(job)


def _settled(job: Job, child: subprocess.Popen[bytes]) -> bool:
    """Ready or dead."""
    return child.poll() is not None or file(job, "ready").exists()


def _result(job: Job, child: subprocess.Popen[bytes], limit: float) -> dict[str, Any]:
    file(job, "go").touch()
    late = False
    try:
        code = child.wait(limit)
    except subprocess.TimeoutExpired:
        late, code = True, _kill(child)
    row: dict[str, Any] = {"name": job["name"]}
    with contextlib.suppress(OSError, ValueError):  # none yet, or killed while writing
        row |= json.loads(file(job, "json").read_text(encoding="utf-8"))
    if code != 0 and "rate" not in row:
        row["error"] = f"time limit of {limit:.0f} s" if late else _tail(file(job, "log"))
    return row


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return "no log"
    return " / ".join(lines[-3:])[-400:]


def _kill(child: subprocess.Popen[bytes]) -> int:
    child.kill()  # its engine's processes follow it (vlm.lifeline)
    return child.wait()
