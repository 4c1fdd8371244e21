"""Processes measured in turn: small stand-ins that start, wait to be measured, hang or die."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mineru_accel.bench import turns

CHILD = """
import json, pathlib, sys, time
job = json.loads(sys.argv[1])
at = pathlib.Path(job["result"])
log = lambda word: at.with_name("events").open("a").write(f"{word} {job['name']}\\n")
log("start")
time.sleep(job.get("start", 0))
if "dies" in job:
    sys.exit(job["dies"])
at.with_suffix(".ready").touch()
log("ready")
while not at.with_suffix(".go").exists():
    time.sleep(0.01)
at.write_text(json.dumps({"start_s": 1} if job.get("takes") else {"rate": 5}))
time.sleep(job.get("takes", 0))
log("end")
"""


@pytest.fixture
def go(tmp_path: Path) -> Callable[..., list[dict[str, Any]]]:
    def start(job: dict[str, Any]) -> subprocess.Popen[bytes]:
        with turns.file(job, "log").open("wb") as log:
            return subprocess.Popen([sys.executable, "-S", "-c", CHILD, json.dumps(job)], stderr=log)

    def run(*jobs: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
        named = [
            {"name": name, **job, "result": str(tmp_path / f"{name}.json")}
            for name, job in zip("abcde", jobs, strict=False)
        ]
        return list(turns.measure(named, start, **options))

    return run


def events(folder: Path) -> list[str]:
    return (folder / "events").read_text().split("\n")[:-1]


def test_some_start_together_and_the_next_when_they_are_gone(go, tmp_path):
    assert [row["rate"] for row in go({}, {}, {}, at_once=2)] == [5, 5, 5]
    found = events(tmp_path)
    assert sorted(found[:4]) == ["ready a", "ready b", "start a", "start b"]
    assert found[4:] == ["end a", "end b", "start c", "ready c", "end c"]


def test_what_is_ready_is_measured_and_what_is_not_costs_it_nothing(go):
    started = time.monotonic()
    rows = go({}, {"start": 60}, {"dies": 3}, at_once=3, ready=1.0)
    assert rows[0] == {"name": "a", "rate": 5}
    assert {row["name"]: row.get("error") for row in rows[1:]} == {"b": "not ready in time", "c": ""}
    assert time.monotonic() - started < 20


def test_one_that_gets_ready_while_another_is_measured_counts(go, monkeypatch):
    monkeypatch.setattr(turns, "LEAST", 0.0)
    rows = go({"takes": 2.5}, {"start": 1.5}, at_once=2, ready=0.6)
    assert [row["name"] for row in rows] == ["a", "b"] and rows[1]["rate"] == 5


def test_starting_does_not_eat_the_time_to_measure(go, monkeypatch):
    monkeypatch.setattr(turns, "LEAST", 2.0)
    rows = go({"start": 60}, {}, {}, at_once=3, ready=60, deadline=9)  # 9 - 3 x 2: 3 s to start
    assert sorted((row["name"], row.get("rate")) for row in rows) == [("a", None), ("b", 5), ("c", 5)]
    assert [row["name"] for row in go({}, {}, at_once=2, deadline=1)] == []  # too late to start anything


def test_a_process_that_hangs_is_ended_and_said_to_be_late(go):
    assert go({"takes": 60}, limit=0.5) == [{"name": "a", "start_s": 1, "error": "time limit of 0 s"}]


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

    jobs = [{"name": n, "result": str(tmp_path / f"{n}.json"), "start": s} for n, s in [("a", 0), ("b", 60)]]
    results = turns.measure(jobs, start, at_once=2, ready=1.0)
    next(results)
    results.close()
    assert all(child.returncode is not None for child in children)
