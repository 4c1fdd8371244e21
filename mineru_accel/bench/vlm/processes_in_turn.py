"""Processes that start together and are measured in turn: an engine needs minutes to start, half a one to be measured.

A job is a dictionary with at least "name" and "result", the path of the JSON file that its process writes. The process
touches the file's ``.ready`` sibling when it is ready, and waits for ``.go`` before it measures.
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
MIN_MEASURE_SECONDS = 45.0
"""Seconds that a ready process gets at least, even past the deadline: its start was the expensive part."""


def job_file(job: Job, kind: str) -> Path:
    """A job's file with the suffix ``kind``: json, ready, go or log."""
    return Path(job["result"]).with_suffix(f".{kind}")


def measure_in_turn(
    jobs: Sequence[Job],
    start: Callable[[Job], subprocess.Popen[bytes]],
    *,
    at_once: int = 1,
    ready: float = 240.0,
    limit: float = 180.0,
    deadline: float = float("inf"),
) -> Iterator[dict[str, Any]]:
    """Yield the result of each job that was started: "name" and what its process wrote, or "name" and "error".

    Args:
        jobs: in the order in which they start.
        start: starts a job's process.
        at_once: number of processes that start together; the next ones start when these have been measured and ended.
        ready: maximum seconds until a process is ready. One that gets ready while others are measured still counts.
        limit: maximum seconds to measure each.
        deadline: maximum seconds for all jobs. With less than `MIN_MEASURE_SECONDS` left no process starts. Processes
            must be ready in time to leave `MIN_MEASURE_SECONDS` for each; ready ones are measured in any case.
    """
    end = time.monotonic() + deadline
    for group in (jobs[i : i + at_once] for i in range(0, len(jobs), at_once)):
        if end - time.monotonic() < MIN_MEASURE_SECONDS:
            return
        waiting = {job["name"]: (job, _start_anew(job, start)) for job in group}
        try:
            latest = min(time.monotonic() + ready, end - MIN_MEASURE_SECONDS * len(group))
            while time.monotonic() < latest and not all(_settled(*each) for each in waiting.values()):
                time.sleep(0.1)
            while waiting:
                name = next((name for name, each in waiting.items() if _settled(*each)), None)
                if name is None:
                    break
                job, child = waiting[name]
                yield _result(job, child, max(min(limit, end - time.monotonic()), min(limit, MIN_MEASURE_SECONDS)))
                del waiting[name]
            for job, child in waiting.values():
                _kill(child)
                yield {"name": job["name"], "error": "not ready in time"}
        finally:
            for _, child in waiting.values():
                _kill(child)


def _start_anew(job: Job, start: Callable[[Job], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    for stale in ("json", "ready", "go"):
        job_file(job, stale).unlink(missing_ok=True)
    return start(job)


def _settled(job: Job, child: subprocess.Popen[bytes]) -> bool:
    """Ready or dead."""
    return child.poll() is not None or job_file(job, "ready").exists()


def _result(job: Job, child: subprocess.Popen[bytes], limit: float) -> dict[str, Any]:
    job_file(job, "go").touch()
    late = False
    try:
        code = child.wait(limit)
    except subprocess.TimeoutExpired:
        late, code = True, _kill(child)
    row: dict[str, Any] = {"name": job["name"]}
    with contextlib.suppress(OSError, ValueError):  # none yet, or killed while writing
        row |= json.loads(job_file(job, "json").read_text(encoding="utf-8"))
    if code != 0 and "rate" not in row:
        row["error"] = f"time limit of {limit:.0f} s" if late else _tail(job_file(job, "log"))
    return row


def _tail(log: Path) -> str:
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    except OSError:
        return "no log"
    return " / ".join(lines[-3:])[-400:]


def _kill(child: subprocess.Popen[bytes]) -> int:
    child.kill()  # its engine's processes end with it (workers/owner_watch.py)
    return child.wait()
