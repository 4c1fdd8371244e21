"""The Python API end to end: every page once, results by name, events, several documents at once."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import os
import signal
import threading
import time
from collections import Counter
from pathlib import Path

import pytest
from common import PATIENCE, SAMPLES, MakePdf, wait_until

import mineru_accel
from mineru_accel import Options, PageStatus, Pipeline, UsageError
from mineru_accel.conversion.scheduler import Scheduler
from mineru_accel.document import Block
from mineru_accel.errors import ModelError
from mineru_accel.events import DocumentDone, DocumentStarted, Event, PageDone, RunDone, RunStarted
from mineru_accel.export import jobs as export
from mineru_accel.options import DEFAULT_FORMATS
from mineru_accel.pdf import jobs as pdf
from mineru_accel.pdf.types import Key
from mineru_accel.storage import page_store
from mineru_accel.storage.inputs import Input

NATIVE = {"layout": "native"}


def test_convert_without_output_folder(make_pdf: MakePdf) -> None:
    result = mineru_accel.convert(make_pdf("a.pdf", ["A line of text for the reader."]), **NATIVE)
    assert result.ok and "A line of text" in result.markdown
    folder = result.output_dir
    assert folder is not None and folder.exists()
    del result
    assert not folder.exists()


def test_all_default_files(tmp_path: Path) -> None:
    result = mineru_accel.convert(SAMPLES / "report.pdf", tmp_path, **NATIVE)
    folder = tmp_path / "report"
    assert {p.name for p in folder.iterdir()} == {
        "report.md",
        "report_content_list.json",
        "report_content_list_v2.json",
        "report_middle.json",
        "report_model.json",
        "report_layout.pdf",
        "report_report.json",
        "images",
    }
    assert set(result.files) == {str(f) for f in DEFAULT_FORMATS} | {"report"}
    assert os.listdir(tmp_path) == ["report"]
    report = json.loads((folder / "report_report.json").read_text())
    assert report["pages"] == 3 and len(report["page_results"]) == 3
    assert {"probe", "extract"} <= set(report["page_results"][0]["timings"])
    assert set(report["page_results"][0]["sources"]) <= {"text-layer", "image"}
    middle = json.loads((folder / "report_middle.json").read_text())
    assert [p["page_idx"] for p in middle["pages"]] == [0, 1, 2]


def test_same_stem_twice(tmp_path: Path, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"{d}/same.pdf", [f"the document of {d}"]) for d in ("ann", "bob")]
    results = {r.path: r for r in mineru_accel.convert_batch(paths, tmp_path / "out", **NATIVE)}
    assert sorted(os.listdir(tmp_path / "out")) == ["same", "same_2"]
    for path in paths:
        assert f"document of {path.parent.name}" in results[path].markdown


def test_pages_are_selected(make_pdf: MakePdf) -> None:
    path = make_pdf("five.pdf", [f"text of page {n} here" for n in "ABCDE"])
    result = mineru_accel.convert(path, pages="r1,2", **NATIVE)
    assert [p.index for p in result.pages] == [1, 4]
    assert "page B" in result.markdown and "page E" in result.markdown and "page A" not in result.markdown
    middle = json.loads(result.files["middle"].read_text())
    assert [p["page_idx"] for p in middle["pages"]] == [1, 4] and middle["is_full_document"] is False
    assert [p.index for p in mineru_accel.convert(path, start=3, **NATIVE).pages] == [3, 4]
    assert "none of them is in the range" in (mineru_accel.convert(path, pages="9-", **NATIVE).error or "")


def test_events_tell_every_page_once(tmp_path: Path, make_pdf: MakePdf) -> None:
    events: list[Event] = []
    paths = [make_pdf(f"d{i}.pdf", [f"page {p} of it" for p in range(5 + 20 * (i == 1))]) for i in range(4)]
    with Pipeline(on_event=events.append, **NATIVE) as pipeline:
        results = list(pipeline.convert_batch(paths, tmp_path))
    assert len(results) == 4
    assert isinstance(events[0], RunStarted) and isinstance(events[-1], RunDone)
    pages = Counter((e.document, e.index) for e in events if isinstance(e, PageDone))
    assert set(pages.values()) == {1} and len(pages) == 40
    assert sum(isinstance(e, DocumentStarted) for e in events) == sum(isinstance(e, DocumentDone) for e in events) == 4
    assert events[-1].pages == 40 and events[-1].failed_documents == 0
    for event in events:
        json.dumps(event.to_dict(), default=str)


def test_skips_results_that_are_still_good(tmp_path: Path, make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", ["the first version"])
    assert mineru_accel.convert(path, tmp_path, **NATIVE).ok
    again = mineru_accel.convert(path, tmp_path, **NATIVE)
    assert again.skipped and again.ok and "first" in again.markdown
    changed = mineru_accel.convert(path, tmp_path, formats="md", **NATIVE)
    assert not changed.ok and "--overwrite" in (changed.error or "")
    make_pdf("a.pdf", ["the second version"])
    assert "--overwrite" in (mineru_accel.convert(path, tmp_path, **NATIVE).error or "")
    assert "second" in mineru_accel.convert(path, tmp_path, overwrite=True, **NATIVE).markdown
    assert not list(tmp_path.glob(".mineru-accel*"))


def test_another_file_of_the_same_stem_gets_its_own_name(tmp_path: Path, make_pdf: MakePdf) -> None:
    ann, bob = make_pdf("ann/x.pdf", ["the text of ann"]), make_pdf("bob/x.pdf", ["the text of bob"])
    out = tmp_path / "out"
    assert mineru_accel.convert(bob, out, **NATIVE).name == "x"
    results = {r.path: r for r in mineru_accel.convert_batch([ann, bob], out, **NATIVE)}
    assert results[bob].skipped and results[ann].name == "x_2" and "ann" in results[ann].markdown


def test_one_pipeline_same_stem_from_two_threads(tmp_path: Path, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"{d}/x.pdf", [f"the text of {d}"]) for d in ("ann", "bob")]
    with Pipeline(workers=2, **NATIVE) as pipeline:
        results: dict[Path, str] = {}
        threads = [
            threading.Thread(target=lambda p=p: results.update({p: pipeline.convert(p, tmp_path / "o").markdown}))
            for p in paths
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert all(f"text of {p.parent.name}" in results[p] for p in paths)


def test_submitting_to_a_closed_pipeline(make_pdf: MakePdf) -> None:
    pipeline = Pipeline(workers=1, **NATIVE)
    pipeline.close()
    pipeline.close()
    with pytest.raises(RuntimeError, match="closed"):
        pipeline.convert(make_pdf("a.pdf", ["text"]))


def test_close_races_with_a_batch(tmp_path: Path, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"r{i}.pdf", ["some text"]) for i in range(12)]
    for delay in (0.0, 0.05, 0.3, 1.5):
        pipeline = Pipeline(workers=1, **NATIVE)
        results: list[mineru_accel.DocumentResult] = []

        def work(pipeline: Pipeline = pipeline, results: list[mineru_accel.DocumentResult] = results) -> None:
            with contextlib.suppress(RuntimeError):  # closed before it began
                results.extend(pipeline.convert_batch(paths, tmp_path / "o"))

        thread = threading.Thread(target=work)
        timer = threading.Timer(delay, pipeline.close)
        try:
            timer.start()
            thread.start()
            thread.join(PATIENCE)
            assert not thread.is_alive()
        finally:
            timer.join()


def test_leaving_a_batch_early_gives_up_the_rest(
    tmp_path: Path, make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "temp"))
    (tmp_path / "temp").mkdir()
    paths = [make_pdf(f"e{i}.pdf", ["some text"] * 30) for i in range(6)]
    with Pipeline(workers=1, **NATIVE) as pipeline:
        for _result in pipeline.convert_batch(paths):
            break
        del _result
        assert pipeline.convert(paths[0], tmp_path / "o").ok
    assert os.listdir(tmp_path / "temp") == []


def test_pipeline_outlives_the_thread_that_made_it(tmp_path: Path, make_pdf: MakePdf) -> None:
    made: list[Pipeline] = []
    thread = threading.Thread(target=lambda: made.append(Pipeline(workers=1, **NATIVE)))
    thread.start()
    thread.join()
    time.sleep(0.3)
    with made[0] as pipeline:
        assert pipeline.convert(make_pdf("a.pdf", ["some text"]), tmp_path).ok
        pipeline.executor.pool.zygote.kill()
        for pid in pipeline.executor.pool.pids:
            with contextlib.suppress(ProcessLookupError):  # it has followed the zygote
                os.kill(pid, signal.SIGKILL)
        assert pipeline.convert(make_pdf("b.pdf", ["other text"]), tmp_path).ok  # and a killed zygote is replaced


def test_cancelling_async(make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch) -> None:
    paths = [make_pdf(f"c{i}.pdf", ["some text"] * 20) for i in range(5)]
    begun, cancelled = threading.Event(), threading.Event()
    results: list[mineru_accel.DocumentResult] = []

    def listen(event: Event) -> None:
        if isinstance(event, DocumentStarted):
            begun.set()
            cancelled.wait(PATIENCE)
        elif isinstance(event, DocumentDone):
            results.append(event.result)

    give_up = Scheduler.cancel
    monkeypatch.setattr(Scheduler, "cancel", lambda self, futures: give_up(self, futures) or cancelled.set())

    async def job() -> None:
        async for _ in mineru_accel.convert_batch_async(paths, workers=2, on_event=listen, **NATIVE):
            pass

    async def run() -> None:
        task = asyncio.create_task(job())
        assert await asyncio.to_thread(begun.wait, PATIENCE)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(run())
    assert [r.error for r in results] == ["cancelled"] * 5


def test_pipelines_leave_no_file_descriptors(make_pdf: MakePdf) -> None:
    path = make_pdf("a.pdf", ["some text"])
    mineru_accel.convert(path, **NATIVE)
    first = len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        mineru_accel.convert(path, **NATIVE)
    assert wait_until(lambda: len(os.listdir("/proc/self/fd")) <= first)  # threads that end late close theirs


def test_a_model_that_cannot_be_loaded_leaves_no_file_descriptors(tmp_path: Path) -> None:
    (tmp_path / "weights.pt").write_bytes(b"no checkpoint")
    counts = []
    for _ in range(2):  # the first imports
        with pytest.raises(ModelError, match="not a torch zip checkpoint"):
            Pipeline(workers=1, layout="doclayout-yolo", layout_weights=tmp_path / "weights.pt")
        counts.append(len(os.listdir("/proc/self/fd")))
    assert wait_until(lambda: len(os.listdir("/proc/self/fd")) <= counts[0], 30)


def test_convert_tells_the_end(make_pdf: MakePdf) -> None:
    events: list[Event] = []
    mineru_accel.convert(make_pdf("a.pdf", ["some text"]), on_event=events.append, **NATIVE)
    assert isinstance(events[0], RunStarted) and isinstance(events[-1], RunDone)


def test_every_format(tmp_path: Path) -> None:
    formats = "md,content_list,content_list_v2,middle,model,html,docx,latex,epub,layout_pdf"
    result = mineru_accel.convert(SAMPLES / "paper.pdf", tmp_path, formats=formats, **NATIVE)
    assert result.error is None
    assert all(p.stat().st_size > 500 for p in result.files.values())
    assert result.files["docx"].read_bytes()[:2] == b"PK" and result.files["layout_pdf"].read_bytes()[:4] == b"%PDF"


@pytest.mark.parametrize(("images", "mark", "folder"), [("file", "](images/", True), ("embed", "](data:image", False)])
def test_images(tmp_path: Path, images: str, mark: str, folder: bool) -> None:
    result = mineru_accel.convert(SAMPLES / "paper.pdf", tmp_path, images=images, formats="md", pages="1", **NATIVE)
    assert mark in result.markdown
    assert (tmp_path / "paper" / "images").exists() is folder
    for name in [part.split(")")[0] for part in result.markdown.split("](images/")[1:]]:
        assert (tmp_path / "paper" / "images" / name).stat().st_size > 100


def test_no_images(tmp_path: Path) -> None:
    result = mineru_accel.convert(SAMPLES / "paper.pdf", tmp_path, images="none", formats="md", pages="1", **NATIVE)
    assert "![" not in result.markdown and not (tmp_path / "paper" / "images").exists()


def test_async_twins(make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"d{i}.pdf", [f"async document {i}"]) for i in range(3)]

    async def run() -> list[str]:
        one = await mineru_accel.convert_async(paths[0], **NATIVE)
        return [one.markdown] + [r.markdown async for r in mineru_accel.convert_batch_async(paths, **NATIVE)]

    texts = asyncio.run(run())
    assert len(texts) == 4 and "document 0" in texts[0]
    assert sorted(t[t.index("document") :][:10] for t in texts[1:]) == ["document 0", "document 1", "document 2"]


def test_threads_share_a_pipeline(tmp_path: Path, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"t{i}.pdf", [f"threaded document {i}"]) for i in range(6)]
    with Pipeline(workers=2, **NATIVE) as pipeline:
        texts: dict[int, str] = {}

        def work(i: int) -> None:
            texts[i] = pipeline.convert(paths[i], tmp_path / str(i)).markdown

        threads = [threading.Thread(target=work, args=(i,)) for i in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE)
    assert all(f"threaded document {i}" in texts[i] for i in range(6))


def test_worker_killed_in_mid_run(tmp_path: Path, make_pdf: MakePdf) -> None:
    paths = [make_pdf(f"k{i}.pdf", [f"page {p} of document {i}" for p in range(6)]) for i in range(6)]
    pages, killed = itertools.count(), list[int]()

    def listen(event: Event) -> None:
        if isinstance(event, PageDone) and next(pages) in (1, 7, 13, 19):
            for pid in pipeline.executor.pool.pids[:1]:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    killed.append(pid)

    with Pipeline(workers=2, on_event=listen, **NATIVE) as pipeline:
        results = list(pipeline.convert_batch(paths, tmp_path))
    assert killed and len(results) == 6
    for result in results:
        assert len(result.pages) == 6 or result.error  # every page accounted for
        assert [p.index for p in result.pages if p.status is PageStatus.FAILED] == [] or result.pages


def test_close_leaves_nothing_behind(tmp_path: Path) -> None:
    begun = threading.Event()
    pipeline = Pipeline(workers=1, on_event=lambda e: isinstance(e, DocumentStarted) and begun.set(), **NATIVE)
    results = pipeline.convert_batch([SAMPLES / "scan.pdf", SAMPLES / "paper.pdf"], tmp_path / "out")
    thread = threading.Thread(target=lambda: list(results))
    thread.start()
    assert begun.wait(PATIENCE)
    pipeline.close()
    thread.join(PATIENCE)
    assert not thread.is_alive()
    assert not list((tmp_path / "out").glob(".mineru-accel*"))


def test_options_object_and_keywords() -> None:
    with Pipeline(Options(formats="md", layout="native"), dpi=100) as pipeline:
        assert pipeline.options.dpi == 100 and [str(f) for f in pipeline.options.formats] == ["md"]


def test_documents_with_options_and_listeners_of_their_own(tmp_path: Path, make_pdf: MakePdf) -> None:
    heard: dict[str, list[Event]] = {"a": [], "b": []}
    blocks: list[list[Block]] = []
    everything: list[Event] = []

    def listen(event: Event) -> None:
        heard["a"].append(event)
        if isinstance(event, PageDone):
            blocks.append(event.blocks())
            assert event.staging is not None
            page_store.copy_page(event.staging, event.index, tmp_path / "kept")

    a, b = (make_pdf(f"{n}.pdf", [f"page {p} of {n}" for p in "12345"]) for n in "ab")
    with Pipeline(on_event=everything.append, **NATIVE) as pipeline:
        known_as = Input(a, known_as="../../etc/my report.pdf")
        one = pipeline.submit(known_as, tmp_path / "out", on_event=listen, formats=("md",), max_pages=2)
        two = pipeline.submit(Input(b), tmp_path / "out", on_event=heard["b"].append, pages="4")
        assert one.result().ok and two.result().ok
        with pytest.raises(UsageError, match="workers"):
            pipeline.submit(Input(a), tmp_path, workers=2)
        view = pipeline.ask(export.page, folder=str(tmp_path / "kept"), index=0).result()
        picture = pipeline.ask(pdf.picture, key=Key(str(a)), index=0, side=200).result()
    assert one.result().name == "my report" and sorted(one.result().files) == ["md", "report"]
    report = json.loads(one.result().files["report"].read_text())
    assert report["source"] == "../../etc/my report.pdf" and str(tmp_path) not in json.dumps(report)
    assert "page 2 of a" in one.result().markdown and "page 3" not in one.result().markdown
    assert [p.index for p in two.result().pages] == [3]
    assert [type(e) for e in heard["a"]] == [DocumentStarted, PageDone, PageDone, DocumentDone]
    started = heard["a"][0]
    assert isinstance(started, DocumentStarted) and (started.pages, started.total) == (2, 5)
    assert len(blocks) == 2 and all("of a" in json.dumps(page) for page in blocks)
    assert len(everything) == len(heard["a"]) + len(heard["b"])
    assert [r.source for r in view.regions] == ["text-layer"] and view.regions[0].passage == 0
    assert view.passages[0].startswith("page 1 of a") and picture[8:12] == b"WEBP"


def test_cancelling_one_of_two(tmp_path: Path, make_pdf: MakePdf) -> None:
    a, b = (make_pdf(f"{n}.pdf", [f"page of {n}"] * 60) for n in "ab")
    asked = threading.Event()
    with Pipeline(workers=1, on_event=lambda _: asked.wait(PATIENCE), **NATIVE) as pipeline:
        first, second = (pipeline.submit(Input(p), tmp_path / "out") for p in (a, b))
        pipeline.cancel(first)
        asked.set()
        assert first.result().error == "cancelled" and second.result().ok
    assert os.listdir(tmp_path / "out") == ["b"]


def test_listener_that_raises_changes_nothing(make_pdf: MakePdf) -> None:
    def bad(event: Event) -> None:
        raise RuntimeError("listener")

    assert mineru_accel.convert(make_pdf("a.pdf", ["some text in here"]), on_event=bad, **NATIVE).ok
