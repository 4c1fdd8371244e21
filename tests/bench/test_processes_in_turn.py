"""Processes measured in turn: small stand-ins that start, wait to be measured, hang or die."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mineru_accel.bench.vlm import processes_in_turn

CHILD = """
import json, pathlib, sys, time
job = json.loads(sys.argv[1])
at = pathlib.Path(job["result"])
log = lambda word: at.with_name("events").open("a").write(f"{word} {job['name']}\\n")
def wait(name):
    while name and not at.with_name(name).exists():
        time.sleep(0.01)
log("start")
wait(job.get("starts_after"))
if "dies" in job:
    sys.exit(job["dies"])
at.with_suffix(".ready").touch()
log("ready")
wait(at.stem + ".go")
at.write_text(json.dumps({"start_s": 1} if "ends_after" in job else {"rate": 5}))
wait(job.get("ends_after"))
log("end")
"""


@pytest.fixture
def children() -> dict[str, subprocess.Popen[bytes]]:
    """Processes started by `go`, by job name."""
    return {}


@pytest.fixture
def go(tmp_path: Path, children: dict[str, subprocess.Popen[bytes]]) -> Callable[..., list[dict[str, Any]]]:
    def start(job: dict[str, Any]) -> subprocess.Popen[bytes]:
        with processes_in_turn.job_file(job, "log").open("wb") as log:
            child = subprocess.Popen([sys.executable, "-S", "-c", CHILD, json.dumps(job)], stderr=log)
        children[job["name"]] = child
        return child

    def run(*jobs: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
        named = [
            {"name": name, **job, "result": str(tmp_path / f"{name}.json")}
            for name, job in zip("abcde", jobs, strict=False)
        ]
        return list(processes_in_turn.measure_in_turn(named, start, **options))

    return run


@pytest.fixture
def jump(monkeypatch: pytest.MonkeyPatch) -> Callable[[float, Callable[[], bool]], None]:
    """``jump(seconds, when)``: the module's clock jumps ahead once a condition is true."""

    def set_clock(seconds: float, when: Callable[[], bool]) -> None:
        gone = []

        def monotonic() -> float:
            if not gone and when():
                gone.append(seconds)
            return time.monotonic() + sum(gone)

        monkeypatch.setattr(processes_in_turn, "time", SimpleNamespace(monotonic=monotonic, sleep=time.sleep))

    return set_clock


def events(folder: Path) -> list[str]:
    return (folder / "events").read_text().split("\n")[:-1]


def test_some_start_together_and_the_next_when_they_are_gone(go, tmp_path):
    assert [row["rate"] for row in go({}, {}, {}, at_once=2)] == [5, 5, 5]
    found = events(tmp_path)
    assert sorted(found[:4]) == ["ready a", "ready b", "start a", "start b"]
    assert found[4:] == ["end a", "end b", "start c", "ready c", "end c"]


def test_what_is_ready_is_measured_and_what_is_not_costs_it_nothing(go, children, jump, tmp_path):
    jump(1000, lambda: (tmp_path / "a.ready").exists() and children["c"].poll() is not None)
    rows = go({}, {"starts_after": "never"}, {"dies": 3}, at_once=3, ready=1000)
    assert rows[0] == {"name": "a", "rate": 5}
    assert {row["name"]: row.get("error") for row in rows[1:]} == {"b": "not ready in time", "c": ""}


def test_one_that_gets_ready_while_another_is_measured_counts(go, jump, tmp_path):
    jump(1000, lambda: (tmp_path / "a.ready").exists())
    rows = go({"ends_after": "b.ready"}, {"starts_after": "a.go"}, at_once=2, ready=1000)
    assert [row["name"] for row in rows] == ["a", "b"] and rows[1]["rate"] == 5


def test_starting_does_not_eat_the_time_to_measure(go, jump, monkeypatch, tmp_path):
    monkeypatch.setattr(processes_in_turn, "MIN_MEASURE_SECONDS", 2000.0)
    jump(3000, lambda: all((tmp_path / f"{name}.ready").exists() for name in "bc"))
    # 9000 - 3 x 2000: 3000 s to start
    rows = go({"starts_after": "never"}, {}, {}, at_once=3, ready=60_000, deadline=9000)
    assert sorted((row["name"], row.get("rate")) for row in rows) == [("a", None), ("b", 5), ("c", 5)]
    assert [row["name"] for row in go({}, {}, at_once=2, deadline=1)] == []  # too late to start anything


def test_a_process_that_hangs_is_ended_and_said_to_be_late(go):
    assert go({"ends_after": "never"}, limit=3.4) == [{"name": "a", "start_s": 1, "error": "time limit of 3 s"}]


def test_a_result_of_an_earlier_run_is_no_result(go, tmp_path):
    (tmp_path / "a.json").write_text('{"rate": 1}')
    (tmp_path / "a.ready").touch()
    (row,) = go({"dies": 1})
    assert "rate" not in row


def test_nothing_is_left_running_when_the_caller_stops(tmp_path):
    children = []

    def start(job: dict[str, Any]) -> subprocess.Popen[bytes]:
        children.append(subprocess.Popen([sys.executable, "-S", "-c", CHILD, json.dumps(job)]))
        return children[-1]

    jobs = [{"name": n, "result": str(tmp_path / f"{n}.json"), "starts_after": s} for n, s in [("a", None), ("b", "x")]]
    results = processes_in_turn.measure_in_turn(jobs, start, at_once=2, ready=1.0)
    next(results)
    results.close()
    assert all(child.returncode is not None for child in children)
