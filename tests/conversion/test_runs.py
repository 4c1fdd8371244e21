"""What a long run needs: limits, resuming, summary, trace."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
import zoo
from common import PATIENCE, MakePdf, run_command, wait_until

from mineru_accel import PageStatus, Pipeline
from mineru_accel.events import DocumentDone, DocumentStarted, Event, PageDone, RunDone

FAST = {"layout": "native", "formats": "md", "workers": 1}


def _damaged(folder: Path, count: int) -> list[Path]:
    return [zoo.write(folder, f"d{i}.pdf", zoo.damaged_page()) for i in range(count)]


@pytest.mark.parametrize(("limit", "stops"), [({"fail_fast": True}, True), ({"max_failed_pages": 99}, False)])
def test_run_is_given_up(tmp_path: Path, limit: dict[str, object], stops: bool) -> None:
    paths = _damaged(tmp_path / "in", 12)
    events: list[Event] = []
    with Pipeline(on_event=events.append, **FAST, **limit) as pipeline:  # type: ignore[arg-type]
        results = list(pipeline.convert_batch(paths, tmp_path / "out"))
    assert len(results) == 12
    given_up = [r for r in results if r.error and "given up" in r.error]
    assert bool(given_up) is stops
    done = events[-1]
    assert isinstance(done, RunDone) and bool(done.stopped) is stops
    assert not list((tmp_path / "out").glob("*.partial"))  # not in a folder: nothing is kept


def test_failed_pages_stay_failed_when_skipped(tmp_path: Path) -> None:
    (path,) = _damaged(tmp_path / "in", 1)
    with Pipeline(**FAST) as pipeline:  # type: ignore[arg-type]
        assert not pipeline.convert(path, tmp_path / "out").ok
        again = pipeline.convert(path, tmp_path / "out")
    assert again.skipped and not again.ok and again.pages[1].status is PageStatus.FAILED


def test_file_that_changed_and_kept_size_and_time(tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", ["the first version"])
    times = path.stat()
    with Pipeline(**FAST) as pipeline:  # type: ignore[arg-type]
        assert pipeline.convert(path, tmp_path / "out").ok
        path.write_bytes(path.read_bytes().replace(b"the first version", b"the other version"))
        os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
        assert "another version" in (pipeline.convert(path, tmp_path / "out").error or "")


def test_file_that_changes_between_two_conversions(tmp_path: Path, make_pdf: MakePdf) -> None:
    with Pipeline(overwrite=True, **FAST) as pipeline:  # type: ignore[arg-type]
        for text in ("the first version", "the second version, which is longer"):
            assert text in pipeline.convert(make_pdf("a.pdf", [text]), tmp_path / "out").markdown


def test_document_timeout(tmp_path: Path, make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch) -> None:
    make_pdf("in/a.pdf", ["some text"] * 150)
    make_pdf("in/b.pdf", ["some text"])
    over, passed = [], [0.0]

    def listen(event: Event) -> None:
        over.extend([event.result.name] if isinstance(event, DocumentDone) else [])
        if isinstance(event, PageDone) and over == ["b"]:  # the clock jumps in the midst of the other one
            passed[0] = 4000.0

    def step() -> None:  # the scheduler always has something to do
        inbox.post(step)

    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + passed[0], perf_counter=time.perf_counter)
    monkeypatch.setattr("mineru_accel.conversion.scheduler.time", clock)
    with Pipeline(document_timeout=3600, on_event=listen, **FAST) as pipeline:  # type: ignore[arg-type]
        inbox = pipeline.executor.scheduler.inbox
        step()
        results = {r.name: r for r in pipeline.convert_batch([tmp_path / "in"], tmp_path / "out")}
    assert "took longer than 3600 s" in (results["a"].error or "") and results["b"].ok
    with Pipeline(resume=True, **FAST) as pipeline:  # type: ignore[arg-type]
        assert pipeline.convert(tmp_path / "in" / "a.pdf", tmp_path / "out").ok  # and what was done is of use


def test_short_documents_do_not_wait_for_a_long_one(tmp_path: Path, make_pdf: MakePdf) -> None:
    make_pdf("in/a_long.pdf", ["some text"] * 300)
    for i in range(6):
        make_pdf(f"in/b{i}.pdf", ["some text"] * 2)
    seen: list[str] = []
    growing = ""
    with Pipeline(**FAST) as pipeline:  # type: ignore[arg-type]
        for result in pipeline.convert_batch([tmp_path / "in"], tmp_path / "out"):
            assert result.ok
            seen.append(result.name)
            text = tmp_path / "out" / "a_long.partial" / "a_long.md"
            growing = text.read_text() if text.exists() else growing
    assert seen[-1] == "a_long"


def test_text_of_a_long_document_grows(tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", [f"text of page {i}" for i in range(200)])
    sizes = set()

    def look(event: Event) -> None:
        text = tmp_path / "out" / "a.partial" / "a.md"
        sizes.add(text.stat().st_size if text.exists() else 0)

    with Pipeline(on_event=look, **FAST) as pipeline:  # type: ignore[arg-type]
        result = pipeline.convert(path, tmp_path / "out")
    assert len(sizes) >= 3 and 0 in sizes
    positions = [result.markdown.find(f"text of page {i},") for i in range(200)]
    assert -1 not in positions and positions == sorted(positions)


def test_resume_is_told(tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", [f"text of page {i}" for i in range(80)])
    stop = threading.Event()

    def listen(event: Event) -> None:
        if isinstance(event, PageDone):
            stop.set()
            wait_until(lambda: pipeline.executor.scheduler.inbox.closed)

    pipeline = Pipeline(resume=True, on_event=listen, **FAST)  # type: ignore[arg-type]
    closing = threading.Thread(target=lambda: (stop.wait(PATIENCE), pipeline.close()))
    closing.start()
    given_up = pipeline.convert(path, tmp_path / "out")
    closing.join(PATIENCE)
    assert given_up.error == "stopped"
    events: list[Event] = []
    with Pipeline(resume=True, on_event=events.append, **FAST) as pipeline:  # type: ignore[arg-type]
        result = pipeline.convert(path, tmp_path / "out")
    assert result.ok and len(result.pages) == 80
    (started,) = (e for e in events if isinstance(e, DocumentStarted))
    assert 0 < started.resumed < 80 and started.resumed % 16 == 0


def test_summary_and_trace(tmp_path: Path) -> None:
    _damaged(tmp_path / "in", 1)
    zoo.write(tmp_path / "in", "bad.pdf", b"")
    summary, trace = tmp_path / "summary.json", tmp_path / "trace.json"
    files = ("--summary", summary, "--profile", trace)
    done = run_command(tmp_path / "in", "-o", tmp_path / "out", "--layout", "native", "--formats", "md", *files)
    assert done.returncode == 1 and "empty file" in done.stderr and "page 2: the page is damaged" in done.stderr
    told = json.loads(summary.read_text())
    assert told["documents"] == 2 and told["failed_documents"] == 2 and told["page_status"] == {"ok": 2, "failed": 1}
    assert {f.get("page") for f in told["failures"]} == {None, 2} and told["stage_seconds"]["extract"] > 0
    events = json.loads(trace.read_text())
    lanes = {e["args"]["name"] for e in events if e["name"] == "thread_name"}
    spans = [e for e in events if e["ph"] == "X"]
    assert lanes and {"read", "native", "write"} <= {e["name"] for e in spans} and all(e["dur"] >= 0 for e in spans)


def test_a_full_disk_costs_the_trace_not_the_run(make_pdf: MakePdf) -> None:
    with Pipeline(profile="/dev/full", **FAST) as pipeline:  # type: ignore[arg-type]
        assert pipeline.convert(make_pdf("a.pdf", ["some text"])).ok
