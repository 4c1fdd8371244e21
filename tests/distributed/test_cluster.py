"""Runs on a Ray cluster of two nodes on this machine."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import vlm_checkpoints as tiny
import zoo
from common import COMMAND, PATIENCE, SAMPLES, MakePdf, wait_until
from loguru import logger

from mineru_accel import PageStatus, Pipeline, UsageError
from mineru_accel.conversion.plan import Plan
from mineru_accel.distributed.pools import Node, plan_pools
from mineru_accel.distributed.ray_internals import ErrorLog, without_environment_notice
from mineru_accel.events import DocumentDone, DocumentStarted, Event, PageDone, RunDone, RunStarted
from mineru_accel.options import Backend, Engine, Layout, Options

ray = pytest.importorskip("ray")

_STARTS = 3


class TwoNodes:
    """A head and another node, with one CPU each."""

    def __init__(self) -> None:
        from ray.cluster_utils import Cluster

        self._cluster: Any = Cluster(shutdown_at_exit=False)
        self._add()
        self.other = self._add()
        self.address: str = self._cluster.address

    def _add(self) -> Any:
        for left in reversed(range(_STARTS)):  # a busy machine: Ray's daemons give up on each other after 15 s
            try:
                return self._cluster.add_node(num_cpus=1, object_store_memory=80 << 20, include_dashboard=False)
            except Exception:
                if not left:
                    raise
        return None

    def lose_other(self) -> None:
        self._cluster.remove_node(self.other, allow_graceful=False)

    def close(self) -> None:
        ray.shutdown()
        self._cluster.shutdown()


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    root = Path(__file__).parents[2]
    tmp_path_factory.getbasetemp()  # not in the folder that is deleted below
    with (
        pytest.MonkeyPatch.context() as monkeypatch,
        tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as short,  # sockets' paths are short
    ):
        monkeypatch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        places = (root, root / "kernels", Path(__file__).parent)  # as installed on every node
        monkeypatch.setenv("PYTHONPATH", ":".join(map(str, places)))
        monkeypatch.setenv("TMPDIR", short)
        monkeypatch.setattr("tempfile.tempdir", short)
        try:
            nodes = TwoNodes()
            yield nodes
            nodes.close()
        finally:
            for pid in _processes(short):  # of starts that failed
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


def files(folder: Path) -> dict[str, bytes]:
    every = [p for p in folder.rglob("*") if p.is_file() and not p.name.endswith("_report.json")]
    return {str(p.relative_to(folder)): p.read_bytes() for p in every}


def run(cluster: TwoNodes, inputs: list[Path], output: Path, on_event: Callable[[Event], None], **options: Any) -> None:
    options = {"executor": "ray", "ray_address": cluster.address, **options}
    with Pipeline(on_event=on_event, **options) as pipeline:
        for result in pipeline.convert_batch(inputs, output):
            assert result.output_dir is None or result.output_dir.is_dir()


def check_events(events: list[Event], pages: dict[int, int]) -> None:
    """Every page once, between its document's start and end; ``pages`` says how many each document has."""
    assert isinstance(events[0], RunStarted) and isinstance(events[-1], RunDone)
    seen = Counter((e.document, e.index) for e in events if isinstance(e, PageDone))
    assert seen == Counter({(document, i): 1 for document, count in pages.items() for i in range(count)})
    ends = [e.document for e in events if isinstance(e, DocumentDone)]
    assert sorted(ends) == sorted(set(ends))
    for document, count in pages.items():
        of = [e for e in events if getattr(e, "document", None) == document]
        if count:
            assert isinstance(of[0], DocumentStarted) and of[0].pages == count
        assert isinstance(of[-1], DocumentDone)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_same_bytes_as_a_local_run_and_errors_as_data(cluster: TwoNodes, tmp_path: Path) -> None:
    inputs = [
        *sorted(SAMPLES.glob("*.pdf")),
        zoo.write(tmp_path, "damaged.pdf", zoo.damaged_page()),
        tmp_path / "gone.pdf",
    ]
    events: list[Event] = []
    run(cluster, inputs, tmp_path / "ray", events.append)
    with Pipeline(workers=2) as pipeline:
        local = list(pipeline.convert_batch(inputs, tmp_path / "local"))
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    by_path = {str(r.path): r for r in local}
    done = {str(e.result.path): e.result for e in events if isinstance(e, DocumentDone)}
    assert {p: (r.error, [x.status for x in r.pages]) for p, r in done.items()} == {
        p: (r.error, [x.status for x in r.pages]) for p, r in by_path.items()
    }
    check_events(events, {i: len(by_path[str(path)].pages) for i, path in enumerate(inputs)})
    assert not list((tmp_path / "ray").glob(".*"))


@pytest.mark.long
@pytest.mark.timeout(600)
def test_vlm_says_the_same_as_in_a_local_run(cluster: TwoNodes, tmp_path: Path) -> None:
    pytest.importorskip("torch")
    inputs = [tmp_path / "a.pdf", tmp_path / "scan.pdf"]
    inputs[0].write_bytes(tiny.pages_pdf())
    inputs[1].write_bytes(tiny.pages_pdf(text_layer=False))
    options = {"backend": "vlm", "layout": "vlm", "engine": "transformers", "device": "cpu"}
    options["vlm"] = str(tiny.trained_checkpoint())
    events: list[Event] = []
    run(cluster, inputs, tmp_path / "ray", events.append, **options)
    with Pipeline(workers=2, **options) as pipeline:
        list(pipeline.convert_batch(inputs, tmp_path / "local"))
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    assert (tmp_path / "ray/a/a.md").read_text().strip() == tiny.MARKDOWN.strip()
    check_events(events, {0: 2, 1: 2})


@pytest.mark.long
@pytest.mark.timeout(600)
def test_document_that_kills_every_actor_costs_itself(
    cluster: TwoNodes, tmp_path: Path, make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    from poison import Fragile

    monkeypatch.setattr("mineru_accel.distributed.driver.Convert", Fragile)
    pages = [f"page {p}" for p in range(16)]  # a call each
    inputs = [make_pdf(name, pages) for name in ("a.pdf", "poison.pdf", "b.pdf")]
    events: list[Event] = []
    run(cluster, inputs, tmp_path / "ray", events.append, layout="native")
    done = {e.document: e.result for e in events if isinstance(e, DocumentDone)}
    assert done[0].ok and done[2].ok
    assert "the process that converted it was lost 4 times" in (done[1].error or "")
    check_events(events, dict.fromkeys(range(3), 16))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_lost_actor_and_lost_node(cluster: TwoNodes, tmp_path: Path, make_pdf: MakePdf) -> None:
    inputs = [make_pdf(f"d{n}.pdf", [f"document {n} page {p}" for p in range(40)]) for n in range(4)]
    events: list[Event] = []
    killed = threading.Event()

    def on_event(event: Event) -> None:
        events.append(event)
        pages = sum(isinstance(e, PageDone) for e in events)
        if pages >= 16 and not killed.is_set():
            killed.set()
            victims = _actors("Convert")
            assert victims
            os.kill(victims[0], signal.SIGKILL)
            cluster.lose_other()

    run(cluster, inputs, tmp_path / "ray", on_event, layout="native")
    assert killed.is_set()
    check_events(events, dict.fromkeys(range(4), 40))
    assert all(e.status is PageStatus.OK for e in events if isinstance(e, PageDone))
    with Pipeline(workers=2, layout="native") as pipeline:
        list(pipeline.convert_batch(inputs, tmp_path / "local"))
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    assert not list((tmp_path / "ray").glob(".*"))


@pytest.mark.long
@pytest.mark.timeout(900)
def test_killed_driver_from_store_to_store(cluster: TwoNodes, tmp_path: Path, make_pdf: MakePdf) -> None:
    """The second run does only what is missing. ``file://`` through fsspec is a store that all processes see."""
    inputs = [make_pdf(f"in/d{n}.pdf", [f"document {n} page {p}" for p in range(40)]) for n in range(4)]
    out = tmp_path / "out"
    command = [*COMMAND, f"file://{tmp_path}/in", "-o", f"file://{out}"]
    options = ["--executor", "ray", "--ray-address", cluster.address, "--layout", "native", "--progress", "json"]

    def start() -> subprocess.Popen[str]:
        return subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)

    first, told = start(), []
    assert first.stdout
    for line in first.stdout:
        told.append(json.loads(line))
        if told[-1]["event"] == "document_done":
            first.kill()
            break
    first.wait()
    there = {report.parent.name: report.stat().st_mtime_ns for report in out.glob("*/*_report.json")}
    assert there and len(there) < 4

    second = start()
    events = [json.loads(line) for line in second.stdout or ()]
    assert second.wait() == 0
    ends = {e["document"]: e for e in events if e["event"] == "document_done"}
    assert len(ends) == 4 and all(e["ok"] for e in ends.values())
    skipped = {e["name"] for e in ends.values() if e["skipped"]}
    assert told[-1]["name"] in skipped
    assert all((out / name / f"{name}_report.json").stat().st_mtime_ns == there[name] for name in skipped & set(there))
    begun = {e["document"]: e["resumed"] for e in events if e["event"] == "document_started"}
    assert {n for n, e in ends.items() if not e["skipped"]} == set(begun)
    assert sum(begun.values()) > 0  # batches that waited in the store
    pages = Counter((e["document"], e["index"]) for e in events if e["event"] == "page_done")
    assert set(pages.values()) == {1}
    assert all(resumed + sum(d == n for d, _ in pages) == 40 for n, resumed in begun.items())
    with Pipeline(workers=2, layout="native") as pipeline:
        list(pipeline.convert_batch(inputs, tmp_path / "local"))
    assert files(out) == files(tmp_path / "local")
    assert not list(out.glob(".mineru-accel-parts/*/*"))


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_memory_does_not_grow_with_the_run(tmp_path: Path, make_pdf: MakePdf) -> None:
    """2000 pages on a cluster of its own: memory of all its processes, after 500 pages and at the end."""
    for n in range(20):
        make_pdf(f"in/d{n}.pdf", [f"document {n} page {p}" for p in range(100)])
    command = [*COMMAND, str(tmp_path / "in"), "-o", str(tmp_path / "out")]
    options = ["--executor", "ray", "--ray-address", "local", "--layout", "native", "--progress", "json"]
    process = subprocess.Popen([*command, *options], stdout=subprocess.PIPE, text=True)
    taken, pages = [], 0
    assert process.stdout
    for line in process.stdout:
        pages += '"page_done"' in line
        if pages >= 500 and pages % 100 == 0 and '"page_done"' in line:
            taken.append(_megabytes(process.pid))
            print(pages, {who: round(megabytes) for who, megabytes in taken[-1].items()}, flush=True)
    assert process.wait() == 0 and pages == 2000
    all_together = [sum(each.values()) for each in taken]
    assert max(all_together[1:]) < 1.15 * all_together[0] and max(all_together) < 2500
    assert max(each["driver"] for each in taken) < 300


@pytest.mark.long
@pytest.mark.timeout(300)
def test_interrupted_with_a_cluster_of_its_own(tmp_path: Path, make_pdf: MakePdf) -> None:
    """It ends soon, says so in one line, and no process of Ray's daemons, actors or ours is left."""
    inputs = [str(make_pdf(f"d{n}.pdf", [f"document {n} page {p}" for p in range(64)])) for n in range(8)]
    command = [*COMMAND, *inputs, "-o", str(tmp_path / "out"), "--executor", "ray"]
    mark = f"TEST_OF_RAY={tmp_path}"
    process = subprocess.Popen(
        [*command, "--ray-address", "local", "--layout", "native", "--progress", "json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "TEST_OF_RAY": str(tmp_path)},
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # ignored where pytest is in "&"
    )
    assert process.stdout
    for line in process.stdout:
        if json.loads(line)["event"] == "page_done":
            break
    assert _marked(mark)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130 and errors.strip() == "mineru-accel: interrupted"
    assert all(json.loads(line) for line in out.splitlines())
    assert wait_until(lambda: not _marked(mark)), _marked(mark)


def _marked(mark: str) -> list[str]:
    """Processes with this in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (folder / "environ").read_bytes():
                found.append((folder / "cmdline").read_text())
    return found


def test_what_ray_reports_is_logged(capfd: pytest.CaptureFixture[str]) -> None:
    """Lost processes are worth a warning, but not when the run is over; the notice of a variable is not."""
    told: list[str] = []
    sink = logger.add(lambda message: told.append(str(message)), level="WARNING", format="{message}")
    errors = ErrorLog()
    try:
        errors.listen()
        say = ray._private.worker.print_to_stdstream
        say({"lines": ["a task\nfailed"], "pid": "raylet", "is_err": False}, ignore_prefix=False)
        say({"lines": ["The actor is dead because it was killed by `ray.kill`."], "pid": "raylet"})
        errors.expected = True
        say({"lines": ["another"], "pid": "raylet", "is_err": False}, ignore_prefix=False)
    finally:
        errors.close()
        logger.remove(sink)
    assert told == ["Ray: a task failed\n"] and capfd.readouterr().out == ""
    assert ray._private.worker.print_to_stdstream.__module__ == "ray._private.worker"
    with without_environment_notice():
        os.write(2, b"an error\n[..] Set ray log level from environment variable RAY_BACKEND_LOG_LEVEL to 3\nmore\n")
    assert capfd.readouterr().err == "an error\nmore\n"


def _megabytes(pid: int) -> dict[str, float]:
    """Proportional set size of a driver, of the actors with their workers, and of the rest of Ray."""
    parents: dict[int, list[int]] = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = (folder / "stat").read_text().rsplit(")", 1)[1].split()[1]
            parents.setdefault(int(parent), []).append(int(folder.name))
    found, family = {"driver": 0.0, "actors": 0.0, "Ray": 0.0}, [pid]
    while family:
        one = family.pop()
        family += parents.get(one, [])
        with contextlib.suppress(OSError, StopIteration):
            lines = Path(f"/proc/{one}/smaps_rollup").read_text().splitlines()
            name = Path(f"/proc/{one}/cmdline").read_text()
            who = "driver" if one == pid else "actors" if "MapWorker" in name or "workers.zygote" in name else "Ray"
            found[who] += int(next(text for text in lines if text.startswith("Pss:")).split()[1]) / 1024
    return found


def _actors(stage: str) -> list[int]:
    """Processes of a stage's actors."""
    return _processes(f"MapWorker(Map({stage}))")


def _processes(text: str) -> list[int]:
    """Other processes with this in their command line."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if text in (folder / "cmdline").read_text() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
    return found


def _plan(layout: Layout = Layout.DOCLAYOUT_YOLO, engine: Engine | None = None) -> Plan:
    return Plan(Backend.PIPELINE, layout, "test", engine=engine)


@pytest.mark.parametrize(
    ("nodes", "size", "groups", "gpus"),
    [
        ([Node(2)], 2, 1, 0.0),
        ([Node(1), Node(1)], 1, 2, 0.0),
        ([Node(64)] * 10, 8, 80, 0.0),
        ([Node(0), Node(16, 1)], 8, 2, 0.5),  # a head without CPUs
        ([Node(192, 8)] * 2 + [Node(64)], 8, 48, 0.33),  # models run where the GPUs are
        ([Node(8, 8)], 8, 1, 1.0),
    ],
)
def test_pools_fit_the_cluster(nodes: list[Node], size: int, groups: int, gpus: float) -> None:
    pools = plan_pools(nodes, Options(), _plan())
    assert (pools.size, pools.groups, pools.gpus) == (size, groups, gpus)
    each = pools.page_cpus + pools.open_cpus
    assert each <= size + 1e-9
    for node in nodes:
        if node.cpus and (node.gpus or not gpus):
            assert int(node.cpus / size) * each <= node.cpus + 1e-9
            assert int(node.cpus / size) * pools.gpus <= node.gpus + 1e-9


def test_pools_as_asked_for() -> None:
    pools = plan_pools([Node(64, 8)], Options(workers=4, ray_actors=3, ray_gpus=0.25), _plan())
    assert (pools.size, pools.groups, pools.gpus) == (4, 3, 0.25)
    assert plan_pools([Node(64, 8)], Options(), _plan(Layout.NATIVE)).gpus == 0
    assert plan_pools([Node(64, 8)], Options(device="cpu"), _plan()).gpus == 0
    with pytest.raises(UsageError, match="no node"):
        plan_pools([Node(0, 8)], Options(), _plan())


@pytest.mark.parametrize(
    ("nodes", "options", "size", "groups", "gpus"),
    [
        ([Node(192, 8)] * 3, {}, 16, 24, 1.0),  # one engine a GPU
        ([Node(64, 8)], {"ray_gpus": 0.5}, 4, 16, 0.5),  # two
        ([Node(4, 8)], {}, 1, 4, 1.0),  # more GPUs than CPUs to feed them
        ([Node(64)], {}, 8, 8, 0.0),  # no GPU: the engine runs on CPUs
        ([Node(192, 8)], {"engine": "http", "urls": ["http://host:8000"]}, 8, 24, 0.33),  # elsewhere
    ],
)
def test_pools_with_a_vlm(nodes: list[Node], options: dict[str, Any], size: int, groups: int, gpus: float) -> None:
    engine = Engine(options.get("engine", "vllm"))
    pools = plan_pools(nodes, Options(**options), _plan(engine=engine))
    assert (pools.size, pools.groups, pools.gpus) == (size, groups, gpus)
    assert pools.calls > plan_pools(nodes, Options(), _plan()).calls


def test_no_cluster_there() -> None:
    with pytest.raises(UsageError, match="no Ray cluster at"):
        Pipeline(executor="ray", ray_address="127.0.0.1:1")
