"""The worker pool: a job may crash, hang or raise and costs only itself; nothing outlives the pool."""

from __future__ import annotations

import os
import queue
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import worker_jobs
from common import PATIENCE, wait_until

from mineru_accel.errors import InputError, WorkerError
from mineru_accel.workers import protocol, spawn
from mineru_accel.workers.arena import Arena
from mineru_accel.workers.pool import JobError, WorkerPool
from mineru_accel.workers.protocol import Job
from mineru_accel.workers.spawn import start_early


def job(name: str, timeout: float = PATIENCE, **kwargs: object) -> Job:
    return protocol.job(getattr(worker_jobs, name), timeout, **kwargs)


@pytest.fixture
def path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", f"{Path(__file__).parents[1]}:{os.environ.get('PYTHONPATH', '')}")


@pytest.fixture
def pool(path: None) -> Iterator[WorkerPool]:
    pool = WorkerPool(2, ["worker_jobs"])
    yield pool
    pool.close()


def test_values_and_errors(pool: WorkerPool) -> None:
    futures = [pool.submit(job("square", x=x)) for x in range(20)]
    assert [f.result(PATIENCE) for f in futures] == [x * x for x in range(20)]
    with pytest.raises(InputError, match="as expected"):
        pool.submit(job("expected")).result(PATIENCE)
    with pytest.raises(JobError, match="ZeroDivisionError") as info:
        pool.submit(job("divide")).result(PATIENCE)
    assert "worker_jobs.py" in info.value.traceback


def test_crash_and_hang_cost_only_themselves(pool: WorkerPool) -> None:
    crash, hang = pool.submit(job("crash")), pool.submit(job("hang", timeout=0.5))
    good = [pool.submit(job("square", x=x)) for x in range(6)]
    with pytest.raises(WorkerError, match="died"):
        crash.result(PATIENCE)
    with pytest.raises(WorkerError, match="longer than"):
        hang.result(PATIENCE)
    assert [f.result(PATIENCE) for f in good] == [x * x for x in range(6)]


def test_memory_is_limited(path: None) -> None:
    pool = WorkerPool(1, ["worker_jobs"], memory=600 << 20)
    try:
        assert pool.submit(job("hog", megabytes=50)).result(PATIENCE) == 50 << 20
        with pytest.raises(MemoryError, match="out of memory"):
            pool.submit(job("hog", megabytes=900)).result(PATIENCE)
        assert pool.submit(job("square", x=3)).result(PATIENCE) == 9
    finally:
        pool.close()


def test_priority(path: None, tmp_path: Path) -> None:
    pool = WorkerPool(1, ["worker_jobs"])
    try:
        order: queue.SimpleQueue[str] = queue.SimpleQueue()
        pool.submit(job("wait_for", path=str(tmp_path / "go")))
        low, high = pool.submit(job("square", x=1), (5,)), pool.submit(job("square", x=2), (1,))
        low.add_done_callback(lambda _: order.put("low"))
        high.add_done_callback(lambda _: order.put("high"))
        (tmp_path / "go").touch()
        assert [order.get(timeout=PATIENCE) for _ in range(2)] == ["high", "low"]
    finally:
        pool.close()


def test_close_ends_everything(path: None) -> None:
    pool = WorkerPool(2, ["worker_jobs"])
    pids = {pool.submit(job("pid")).result(PATIENCE) for _ in range(4)}
    running, waiting = pool.submit(job("hang")), [pool.submit(job("hang")) for _ in range(5)]
    assert pool.submit(job("hang")).cancel()  # is nobody's concern any more
    pool.close()
    assert not any(thread.is_alive() for thread in pool.threads)  # none was given up
    for future in [running, *waiting]:
        with pytest.raises(WorkerError):
            future.result(1)
    assert _all_gone(pids)
    with pytest.raises(RuntimeError):
        pool.submit(job("pid"))


def test_workers_die_with_a_killed_parent(path: None, tmp_path: Path) -> None:
    script = (
        "import time\n"
        "from mineru_accel.workers.pool import WorkerPool\n"
        "from mineru_accel.workers.protocol import job\n"
        "import worker_jobs\n"
        "p = WorkerPool(2, ['worker_jobs'])\n"
        "print(*{p.submit(job(worker_jobs.pid, 20)).result() for _ in range(6)}, p.zygote.pid, flush=True)\n"
        "p.submit(job(worker_jobs.hang, 99)); time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pids = {int(p) for p in parent.stdout.readline().split()}
    assert pids
    parent.kill()
    parent.wait()
    assert _all_gone(pids)


def test_a_zygote_started_early_serves_the_pool(path: None) -> None:
    start_early(["worker_jobs"])
    (early,) = spawn.started_early
    pool = WorkerPool(1, ["worker_jobs"], quiet=True)
    try:
        assert pool.zygote is early
        assert not spawn.started_early
        assert pool.submit(job("square", x=3)).result(PATIENCE) == 9
    finally:
        pool.close()


def test_a_zygote_that_nobody_wanted_ends_with_its_parent(path: None) -> None:
    script = (
        "from mineru_accel.workers import spawn\n"
        "spawn.start_early(['worker_jobs']); print(spawn.started_early[0].pid, flush=True)\n{end}"
    )
    for end in ("raise SystemExit(2)", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"):
        parent = subprocess.run([sys.executable, "-c", script.format(end=end)], stdout=subprocess.PIPE, text=True)
        assert _all_gone({int(parent.stdout)})


def test_complete_workers_have_imported_what_comes_later(path: None) -> None:
    pool = WorkerPool(1, [], later=["not_there", "worker_jobs"])
    try:
        assert not pool.submit(replace(job("imported_here"), complete=True)).result(PATIENCE)
    finally:
        pool.close()


def test_a_module_that_cannot_be_imported_costs_only_who_needs_it(
    path: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_module.py").write_text("raise RuntimeError('operator torchvision::nms does not exist')")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ['PYTHONPATH']}")
    pool = WorkerPool(1, ["broken_module", "not_there", "worker_jobs"])
    try:
        assert not pool.submit(job("imported_here")).result(PATIENCE)
        with pytest.raises(JobError, match="RuntimeError: operator torchvision::nms does not exist"):
            pool.submit(protocol.job(_of_broken_module(), PATIENCE)).result(PATIENCE)
    finally:
        pool.close()


def _of_broken_module() -> Callable[[], None]:
    """A function that this process knows and no worker can import."""

    def work() -> None: ...

    work.__module__, work.__qualname__ = "broken_module", "work"
    return work


def test_closing_does_not_wait_for_imports(path: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    began = tmp_path / "began"
    (tmp_path / "slow_module.py").write_text(f"import time; open({str(began)!r}, 'w'); time.sleep({2 * PATIENCE})")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{os.environ['PYTHONPATH']}")
    pool = WorkerPool(2, ["slow_module", "worker_jobs"])
    waiting = [pool.submit(job("pid")) for _ in range(3)]
    assert wait_until(began.exists)
    closing = threading.Thread(target=pool.close, daemon=True)
    closing.start()
    closing.join(PATIENCE)
    assert not closing.is_alive() and not any(thread.is_alive() for thread in pool.threads)
    for future in waiting:
        with pytest.raises(WorkerError, match="stopped"):
            future.result(1)


def _all_gone(pids: set[int]) -> bool:
    return wait_until(lambda: not any(_alive(pid) for pid in pids))


def _alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_arena(path: None) -> None:
    arena = Arena(slots=2, slot_bytes=3000)
    pool = WorkerPool(1, ["worker_jobs"], arena)
    try:
        one, two = arena.acquire(), arena.acquire()
        assert one is not None and two is not None and arena.acquire() is None
        pool.submit(job("fill", slot=two, slot_bytes=3000, value=7)).result(PATIENCE)
        assert np.array_equal(arena.read(two, (10, 20, 3)), np.full((10, 20, 3), 7, np.uint8))
        assert not arena.read(one, (10, 20, 3)).any()
        with pytest.raises(JobError, match="do not fit"):
            pool.submit(job("fill", slot=two, slot_bytes=10, value=7)).result(PATIENCE)
        arena.release(two)
        assert arena.acquire() == two
    finally:
        pool.close()
