"""Faults while a batch is converted: nothing is lost, nothing is left running, and resuming gives the same bytes."""

from __future__ import annotations

import contextlib
import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import zoo
from common import COMMAND, PATIENCE, wait_until
from pypdf import PdfReader, PdfWriter

from mineru_accel import PageStatus, Pipeline

PAGES = {"long": 140, "short0": 3, "short1": 3, "short2": 3}
FAST = ["--layout", "native", "--formats", "md,content_list,middle,model", "--progress", "json"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in")
    for name, count in PAGES.items():
        zoo.write(folder, f"{name}.pdf", zoo.text_pages(count, name))
    return folder


@pytest.fixture(scope="module")
def reference(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What a run gives that nothing happens to."""
    out = tmp_path_factory.mktemp("reference")
    finish(corpus, out)
    return contents(out)


def start(corpus: Path, out: Path, *more: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, str(corpus), "-o", str(out), *FAST, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        pipesize=4096,  # it is never more than a few events ahead of who reads them
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )


def finish(corpus: Path, out: Path, *more: str) -> list[dict]:
    process = start(corpus, out, *more)
    stdout, stderr = process.communicate(timeout=600)
    assert process.returncode == 0, stderr
    return [json.loads(line) for line in stdout.splitlines()]


def contents(out: Path) -> dict[str, bytes]:
    """Every file below a folder, reports without what differs from run to run."""
    found = {}
    for path in sorted(out.rglob("*")):
        if path.is_file():
            data = path.read_bytes()
            if path.name.endswith("_report.json"):
                report = json.loads(data)
                report["seconds"] = 0
                for page in report["page_results"]:
                    page["timings"] = {}
                data = json.dumps(report).encode()
            found[str(path.relative_to(out))] = data
    return found


def no_one_is_left(session: int) -> bool:
    return wait_until(lambda: not any(_in_session(stat, session) for stat in Path("/proc").glob("[0-9]*/stat")))


def _in_session(stat: Path, session: int) -> bool:
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return False
    return fields[3] == str(session) and fields[0] != "Z"


def segments() -> set[str]:
    """Shared memory that has a name and no owner; this machine's other processes may have some that they use."""
    if not os.path.isdir("/dev/shm"):
        return set()
    used = ""
    for maps in Path("/proc").glob("[0-9]*/maps"):
        with contextlib.suppress(OSError):
            used += maps.read_text()
    return {name for name in os.listdir("/dev/shm") if f"/dev/shm/{name}" not in used}


def _killed_at_random(corpus: Path, reference: dict[str, bytes], tmp_path: Path, times: int) -> None:
    out = tmp_path / "out"
    shared = segments()
    rng = random.Random(times)
    print(f"seed {times}")
    seen = -1
    for _ in range(times):
        process = start(corpus, out)
        assert process.stdout is not None
        after = rng.randrange(sum(PAGES.values()) // 2)
        pages = 0
        for line in process.stdout:
            event = json.loads(line)
            if event["event"] == "document_started" and event["name"] == "long":
                assert event["resumed"] >= seen  # what was done stays done
                seen = event["resumed"]
            pages += event["event"] == "page_done"
            if pages > after:
                break
        time.sleep(rng.random() * 0.2)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        assert no_one_is_left(process.pid)
        if pages <= after:  # it was done before
            break
    events = finish(corpus, out)
    assert events[-1]["resumed_pages"] + events[-1]["skipped_documents"] > 0
    assert contents(out) == reference
    assert sorted(os.listdir(out)) == sorted(PAGES)
    assert wait_until(lambda: segments() <= shared, 30)  # others' are between being made and used for a moment


def workers(parent: int) -> list[int]:
    """The processes that a run's zygote has forked."""
    return [pid for zygote in _children(parent) for pid in _children(zygote)]


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:  # it has just ended
        return []


def test_workers_killed_during_a_resume(corpus: Path, reference: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(corpus, out)
    assert process.stdout is not None
    for _ in zip(range(60), process.stdout, strict=False):
        pass
    process.kill()
    process.communicate()
    process = start(corpus, out)
    assert process.stdout is not None
    last: dict = {}
    pages = killed = 0
    for line in process.stdout:
        last = json.loads(line)
        pages += last["event"] == "page_done"
        # Not too often: a page that loses two workers in a row is given up.
        if last["event"] == "page_done" and pages % 32 == 1 and (alive := workers(process.pid)):
            with contextlib.suppress(ProcessLookupError):
                os.kill(alive[pages // 32 % len(alive)], signal.SIGKILL)
                killed += 1
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 0, err
    assert killed > 1 and last["resumed_pages"] > 0 and "Traceback" not in err
    assert no_one_is_left(process.pid)
    assert contents(out) == reference


def test_killed_twice(corpus: Path, reference: dict[str, bytes], tmp_path: Path) -> None:
    _killed_at_random(corpus, reference, tmp_path, 2)


@pytest.mark.long
@pytest.mark.timeout(3000)
def test_killed_twenty_times(corpus: Path, reference: dict[str, bytes], tmp_path: Path) -> None:
    _killed_at_random(corpus, reference, tmp_path, 20)


def test_interrupted_and_resumed(corpus: Path, tmp_path: Path) -> None:
    process = start(corpus, tmp_path / "out")
    assert process.stdout is not None
    pages = 0
    for line in process.stdout:
        pages += '"page_done"' in line
        if pages > 60:
            break
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and "Traceback" not in err
    assert no_one_is_left(process.pid)
    part = tmp_path / "out" / "long.partial"
    assert part.is_dir() or (tmp_path / "out" / "long").is_dir()
    events = finish(corpus, tmp_path / "out")
    assert events[-1]["pages"] == events[-1]["page_status"]["ok"] and not list((tmp_path / "out").glob("*.partial"))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=900k", "none", disk], capture_output=True).returncode:
        pytest.skip("no permission to mount a small disk")
    yield disk
    subprocess.run(["umount", "-l", disk], check=True)


def test_full_disk(corpus: Path, reference: dict[str, bytes], small_disk: Path) -> None:
    out = small_disk / "out"
    process = start(corpus, out)
    _, err = process.communicate(timeout=600)
    assert process.returncode == 1 and "Traceback" not in err and no_one_is_left(process.pid)
    for name in PAGES:  # all or nothing
        assert not (out / name).exists() or (out / name / f"{name}_report.json").stat().st_size > 100
    subprocess.run(["mount", "-o", "remount,size=50m", small_disk], check=True)
    finish(corpus, out)
    assert contents(out) == reference


def test_out_on_a_read_only_disk(corpus: Path, small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    process = start(corpus, small_disk)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode in (1, 2) and "Traceback" not in err and "write" in err


def test_two_runs_into_one_folder(corpus: Path, reference: dict[str, bytes], tmp_path: Path) -> None:
    out = tmp_path / "out"
    processes = [start(corpus, out, "--workers", "1") for _ in range(2)]
    errors = []
    for process in processes:
        stdout, err = process.communicate(timeout=600)
        assert "Traceback" not in err
        done = [json.loads(line) for line in stdout.splitlines() if '"document_done"' in line]
        assert len(done) == len(PAGES)
        errors += [e["error"] for e in done if e["error"]]
    assert all("being made by another run" in e for e in errors)
    finish(corpus, out)
    assert contents(out) == reference


def test_page_that_eats_time_and_memory_costs_itself(tmp_path: Path) -> None:
    writer = PdfWriter()
    for data in (zoo.one_page(), zoo.HOSTILE["billion_laughs.pdf"](), zoo.one_page()):
        (tmp_path / "part.pdf").write_bytes(data)
        writer.append(PdfReader(tmp_path / "part.pdf"))
    writer.write(tmp_path / "a.pdf")
    with Pipeline(layout="native", formats="md", workers=1, worker_memory=1024, page_timeout=15) as pipeline:
        result = pipeline.convert(tmp_path / "a.pdf", tmp_path / "out")
        assert len(result.pages) == 3 and result.error is None
        assert [result.pages[i].status for i in (0, 2)] == [PageStatus.OK] * 2
        for pid in pipeline.executor.pool.pids:
            with contextlib.suppress(OSError):
                limits = Path(f"/proc/{pid}/limits").read_text()
                limit = int(next(line for line in limits.splitlines() if "data size" in line).split()[3])
                assert 1024 << 20 < limit < 1536 << 20  # and what it had when it was forked
