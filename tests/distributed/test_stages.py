"""The stages of a cluster called by hand, in one process: what Ray does with them is in test_cluster.py."""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest
import zoo
from common import PATIENCE, SAMPLES, MakePdf
from stand_in import StandIn

from mineru_accel import PageStatus, Pipeline
from mineru_accel.conversion.plan import make_plan
from mineru_accel.conversion.startup import Started, start
from mineru_accel.distributed import batch_store
from mineru_accel.distributed.actors import Convert, Open
from mineru_accel.distributed.ledger import Ledger
from mineru_accel.distributed.messages import FinishedDocument, InputTask, PageBatch, StageCall, grouped
from mineru_accel.distributed.opening_in_driver import open_in_driver
from mineru_accel.distributed.settings import Settings
from mineru_accel.errors import ModelError
from mineru_accel.options import Options
from mineru_accel.storage import remote
from mineru_accel.storage.digest import file_sha256

pytest.importorskip("upath")


def settings(output: Path | str, **fields: object) -> Settings:
    options = Options(executor="ray", **fields)  # type: ignore[arg-type]
    plan = make_plan(options)
    return Settings(options, plan, file_sha256(plan.weights) if plan.weights else None, remote.to_path(output), 16)


class Stages:
    """Both actors of a run.

    Args:
        started: serves several runs; by default one is started for this run.
    """

    def __init__(self, settings: Settings, started: Started | None = None) -> None:
        self.started = started
        self.begin(settings)

    def begin(self, settings: Settings) -> None:
        """A new run, with actors and a ledger of its own."""
        self.ledger = Ledger()
        self.open = Open(settings, self.ledger, self.started.pool if self.started else None)
        self.convert = Convert(settings, self.ledger, 1, self.started)

    def start(self, output: Path | str) -> None:
        """A new run into another output."""
        self.begin(settings(output, layout="native"))

    def run(self, *paths: Path) -> dict[str, FinishedDocument]:
        call = StageCall(tasks=[[InputTask(i, path) for i, path in enumerate(paths)]])
        done: dict[str, FinishedDocument] = {}
        for row in self.open(call.to_row()):
            for one in StageCall.from_row(self.convert(row)).done:
                assert str(one.task.path) not in done
                done[str(one.task.path)] = one
        return done

    def batches(self, *paths: Path) -> list[PageBatch]:
        call = StageCall(tasks=[[InputTask(i, path) for i, path in enumerate(paths)]])
        return [batch for row in self.open(call.to_row()) for batch in StageCall.from_row(row).batches]

    def close(self) -> None:
        self.open.close()
        self.convert.scheduler.close()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("scratch")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(folder))
        yield folder / f"mineru-accel-ray-{os.getuid()}"


@pytest.fixture(scope="module")
def started(scratch: Path) -> Iterator[Started]:
    now = settings(scratch.parent / "none", layout="native")
    made = start(now.options, now.plan, 1, lambda event: None, threads=1)
    yield made
    made.scheduler.close()


@pytest.fixture
def stages(started: Started, tmp_path: Path) -> Stages:
    """In a run with an output on this machine."""
    return Stages(settings(tmp_path / "ray", layout="native"), started)


def files(folder: Path) -> dict[str, bytes]:
    """Contents of a result's files but the report, which tells the time."""
    every = [p for p in folder.rglob("*") if p.is_file() and not p.name.endswith("_report.json")]
    return {str(p).removeprefix(str(folder)): p.read_bytes() for p in every}


def test_long_and_damaged_documents_as_in_a_local_run(
    stages: Stages, scratch: Path, tmp_path: Path, make_pdf: MakePdf
) -> None:
    inputs = [
        make_pdf("long.pdf", [f"page {i}" for i in range(40)]),
        zoo.write(tmp_path, "damaged.pdf", zoo.damaged_page()),
        zoo.write(tmp_path, "none.pdf", b"no PDF at all"),
        make_pdf("sub/long.pdf", ["another one of this name"]),
        tmp_path / "missing.pdf",
    ]
    assert [(p.start, p.stop, p.stored) for p in stages.batches(inputs[0])] == [
        (0, 16, True),
        (16, 32, True),
        (32, 40, True),
    ]
    done = stages.run(*inputs)
    with Pipeline(layout="native", workers=1) as pipeline:
        local = {str(r.path): r for r in pipeline.convert_batch(inputs, tmp_path / "local")}
    assert files(tmp_path / "ray") == files(tmp_path / "local")
    assert {"/long/long.md", "/long_2/long_2.md"} <= files(tmp_path / "ray").keys()
    for path, expected in local.items():
        result = done[path].result
        assert (result.name, result.error, result.ok) == (expected.name, expected.error, expected.ok)
        assert [(p.index, p.status, p.error) for p in result.pages] == [
            (p.index, p.status, p.error) for p in expected.pages
        ]
    assert not (tmp_path / "ray" / batch_store.FOLDER).exists()  # no batch is left
    assert [p.name for p in scratch.iterdir()] == ["inputs"]


def test_done_documents_are_skipped_and_changed_ones_refused(stages: Stages, tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", ["one page"])
    assert stages.run(path)[str(path)].result.ok
    stages.start(tmp_path / "ray")
    again = stages.run(path)[str(path)].result
    assert again.skipped and again.ok and again.markdown and again.pages[0].status is PageStatus.OK
    os.utime(path, (1, 1))  # the contents count, not the time
    stages.start(tmp_path / "ray")
    assert stages.run(path)[str(path)].result.skipped
    make_pdf("a.pdf", ["another page"])
    stages.start(tmp_path / "ray")
    assert "from another version of this file" in (stages.run(path)[str(path)].result.error or "")


def test_parts_that_a_killed_run_has_done_are_not_done_again(stages: Stages, tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("long.pdf", [f"page {i}" for i in range(40)])
    first, second, _ = stages.batches(path)
    stages.convert(StageCall(batches=[first, second]).to_row())
    stages.start(tmp_path / "ray")
    (left,) = stages.batches(path)
    assert left.start == 32 and left.there == {0, 16}
    (done,) = stages.run(path).values()
    assert done.result.ok and [p.index for p in done.result.pages] == list(range(40))
    positions = [done.result.markdown.find(f"page {i}, and") for i in range(40)]
    assert -1 not in positions and positions == sorted(positions)


def test_part_with_a_failed_page_is_done_again(stages: Stages, tmp_path: Path) -> None:
    batch_store.save(tmp_path / "ray", "key", 0, b"well", failed=False)
    batch_store.save(tmp_path / "ray", "key", 16, b"not well", failed=True)
    assert batch_store.stored(tmp_path / "ray", "key") == {0}
    assert batch_store.load(tmp_path / "ray", "key", 16) == b"not well"  # but it will do at the end of its own run


def test_call_that_is_made_twice_gives_the_same(stages: Stages, tmp_path: Path, make_pdf: MakePdf) -> None:
    """Ray calls again when an answer was lost with its node."""
    path = make_pdf("a.pdf", ["one page"])
    rows = [next(iter(stages.open(StageCall(tasks=[[InputTask(0, path)]]).to_row()))) for _ in range(2)]
    converted = [stages.convert(row) for row in rows]
    for row in converted:
        (done,) = StageCall.from_row(row).done
        assert done.result.name == "a" and done.result.ok
    assert [p.name for p in (tmp_path / "ray").iterdir() if not p.name.startswith(".")] == ["a"]


def test_from_store_to_store(stages: Stages, tmp_path: Path, make_pdf: MakePdf) -> None:
    store = remote.to_path(f"memory://{tmp_path.name}")
    inputs = [make_pdf("long.pdf", [f"page {i}" for i in range(20)]), SAMPLES / "invoice.pdf"]
    for path in inputs:
        (store / "in").mkdir(parents=True, exist_ok=True)
        (store / "in" / path.name).write_bytes(path.read_bytes())
    stages.start(store / "out")
    found = [store / "in" / p.name for p in inputs]
    done = stages.run(*found)
    assert all(one.result.ok for one in done.values())
    with Pipeline(layout="native", workers=1) as pipeline:
        list(pipeline.convert_batch(inputs, tmp_path / "local"))
    assert files(store / "out") == files(tmp_path / "local")
    result = done[str(found[0])].result
    report = store / "out" / "long" / "long_report.json"
    assert str(result.output_dir) == f"{store}/out/long" and "page 19" in result.markdown
    assert json.loads(report.read_text())["source"] == str(found[0])
    stages.start(store / "out")
    assert all(one.result.skipped for one in stages.run(*found).values())
    # A run that was killed while it wrote: the report says so, and the document is made again.
    report.write_text(json.dumps({"source": str(found[0]), "unfinished": True}))
    stages.start(store / "out")
    again = stages.run(found[0])[str(found[0])].result
    assert again.ok and not again.skipped and "fingerprint" in json.loads(report.read_text())


def test_vlm_behind_a_server(scratch: Path, tmp_path: Path, make_pdf: MakePdf) -> None:
    """Each region gets an answer of its own, whichever batch its page is in."""

    def behave(number: int) -> str:
        return "said of " + hashlib.sha256(server.picture(number).tobytes()).hexdigest()[:8]

    server = StandIn(behave)
    try:
        inputs = [make_pdf("long.pdf", [f"page {i}" for i in range(18)]), SAMPLES / "invoice.pdf"]
        options: dict[str, Any] = {"backend": "vlm", "urls": (server.url,), "device": "cpu", "imgsz": 256, "dpi": 72}
        stages = Stages(settings(tmp_path / "ray", **options))
        try:
            done = stages.run(*inputs)
        finally:
            stages.close()
        with Pipeline(**options, workers=1) as pipeline:
            local = list(pipeline.convert_batch(inputs, tmp_path / "local"))
        assert all(r.ok for r in local) and all(one.result.ok for one in done.values())
        assert files(tmp_path / "ray") == files(tmp_path / "local")
        assert (tmp_path / "ray/long/long.md").read_text().count("said of ") >= 18
        assert {s for p in done[str(inputs[0])].result.pages for s in p.sources} == {"vlm"}
    finally:
        server.die()


def test_part_that_loses_actors_is_tried_alone_and_given_up(stages: Stages, make_pdf: MakePdf) -> None:
    good, bad = make_pdf("good.pdf", ["text"]), make_pdf("bad.pdf", ["text"])
    ledger, batches = stages.ledger, stages.batches(good, bad)
    keys = [batch.key for batch in batches]
    assert ledger.begin_together(keys) == [0, 0]  # and then the actor was lost
    assert ledger.begin_together(keys) == [1, 1]
    for _ in range(3):
        ledger.begin_alone(keys[1])  # alone, and lost again
    call = StageCall.from_row(stages.convert(StageCall(batches=batches).to_row()))
    assert [batch.results[0].status for batch in call.batches] == [PageStatus.OK, PageStatus.FAILED]
    assert call.batches[1].results[0].error == "the process that converted it was lost 4 times"
    (done,) = [d for d in call.done if d.result.name == "bad"]
    assert "no page could be converted: the process that" in (done.result.error or "")
    assert ledger.begin_together(keys[:1]) == [0]  # the good one is forgotten


def test_other_weights_on_a_node_are_refused(tmp_path: Path) -> None:
    other = settings(tmp_path)
    with pytest.raises(ModelError, match="nor the same weights elsewhere"):
        Settings(other.options, other.plan, "0" * 64, tmp_path, 16).plan_here()


def test_ledger() -> None:
    ledger = Ledger()
    assert ledger.claim_name("Report", 1) and ledger.claim_name("report", 1) and not ledger.claim_name("REPORT", 2)
    none: frozenset[int] = frozenset()
    assert not ledger.is_last(7, 0, none, 3)
    assert not ledger.is_last(7, 32, none, 3)
    assert not ledger.is_last(7, 32, none, 3)  # done again on another node
    assert not ledger.is_last(7, 32, frozenset({0}), 3)  # the document was opened again after its first batch
    assert ledger.is_last(7, 16, none, 3)
    assert not ledger.is_last(7, 0, none, 3)  # a latecomer does not write it again
    assert ledger.is_last(7, 16, none, 3)  # but whoever had to and was lost
    assert ledger.is_last(8, 16, frozenset({0}), 2)  # an earlier run had done the first


def test_opened_while_the_cluster_starts(scratch: Path, tmp_path: Path, make_pdf: MakePdf) -> None:
    """As many as there is time for; the rest is left, and names are given once."""
    inputs = [make_pdf(f"{n}/same.pdf", [f"file {n}"] * (n + 1)) for n in range(3)]
    groups = [[InputTask(n, path)] for n, path in enumerate([*inputs, tmp_path / "gone.pdf"])]
    now, ledger, started = settings(tmp_path / "ray", layout="native"), Ledger(), Future[None]()
    opened, left = open_in_driver(started, now, ledger, groups)
    assert not left and isinstance(opened[-1], FinishedDocument) and "no such file" in (opened[-1].result.error or "")
    batches = [one for one in opened if isinstance(one, PageBatch)]
    assert [(p.document.name, p.stop) for p in batches] == [("same", 1), ("same_2", 2), ("same_3", 3)]
    assert not Ledger(ledger.names).claim_name("same_2", 7)
    assert [len(call.batches) for call in grouped(opened, 3)] == [2, 1, 0]  # what is over comes last
    started.set_result(None)
    assert open_in_driver(started, now, Ledger(), groups) == ([], groups)


def test_what_hangs_while_the_cluster_starts_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    started, go = Future[None](), threading.Event()

    class Hanging:
        def __init__(self, *args: object) -> None:
            pass

        def open(self, group: list[InputTask]) -> Iterator[PageBatch]:
            started.set_result(None)
            go.wait(PATIENCE)
            yield from ()

        def close(self) -> None:
            go.set()

    monkeypatch.setattr("mineru_accel.distributed.opening_in_driver.Open", Hanging)
    groups = [[InputTask(0, tmp_path / "a.pdf")], [InputTask(1, tmp_path / "b.pdf")]]
    now = settings(tmp_path, layout="native")
    assert open_in_driver(started, now, Ledger(), groups, patience=0.1) == ([], groups)
    assert go.is_set()
