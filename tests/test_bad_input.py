"""Bad input: one line naming the cause, and it costs no other page or file anything."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
import zoo
from common import COMMAND, PATIENCE, MakePdf

from mineru_accel import PageStatus, Pipeline, UsageError
from mineru_accel.cli.messages import printable
from mineru_accel.conversion.document_folder import DocumentFolder
from mineru_accel.conversion.page_jobs import PageJobs
from mineru_accel.storage.inputs import Input

FAST = {"layout": "native", "formats": "md", "workers": 1}


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    with Pipeline(**FAST) as pipeline:  # type: ignore[arg-type]
        yield pipeline


@pytest.mark.parametrize("name", zoo.BAD)
def test_bad_file_gives_one_line(pipeline: Pipeline, tmp_path: Path, name: str) -> None:
    make, expected = zoo.BAD[name]
    result = pipeline.convert(zoo.write(tmp_path, name, make()), tmp_path / "out")
    assert not result.ok
    assert result.error and expected in result.error
    assert "\n" not in result.error and "Traceback" not in result.error and "internal" not in result.error
    assert os.listdir(tmp_path / "out") == []  # nothing is left behind


@pytest.mark.parametrize("name", zoo.ODD)
def test_odd_file_is_converted(pipeline: Pipeline, tmp_path: Path, name: str) -> None:
    make, pages = zoo.ODD[name]
    result = pipeline.convert(zoo.write(tmp_path, name, make()), tmp_path / "out")
    assert result.error is None
    assert [p.status for p in result.pages if p.status is PageStatus.FAILED] == []
    assert len(result.pages) == pages


def test_hostile_files_are_survived(tmp_path: Path) -> None:
    paths = [zoo.write(tmp_path / "in", name, make()) for name, make in zoo.HOSTILE.items()]
    assert len(paths) + len(zoo.BAD) + len(zoo.ODD) + 1 >= 60
    options = {**FAST, "formats": "md,html,layout_pdf", "workers": 2, "page_timeout": 3, "worker_memory": 1024}
    with Pipeline(pages="1-3", **options) as pipeline:  # type: ignore[arg-type]
        results = {r.path: r for r in pipeline.convert_batch(paths, tmp_path / "out")}
        sound = Input(zoo.write(tmp_path, "sound.pdf", zoo.one_page()))
        patient = pipeline.submit(sound, tmp_path / "out", page_timeout=PATIENCE)  # workers are new: they import first
        assert patient.result().error is None
    assert set(results) == set(paths)
    for path, result in results.items():
        texts = [result.error or "", *(p.error or "" for p in result.pages)]
        assert not any("\n" in t or "Traceback" in t or "internal error" in t for t in texts), (path.name, texts)
        assert result.pages or result.error
    assert {p.parent for p in (tmp_path / "out").rglob("*.sh")} == set()


def test_hundred_thousand_pages_are_opened(tmp_path: Path) -> None:
    path = zoo.write(tmp_path, "many.pdf", zoo.many_pages(100_000))
    with Pipeline(pages="1,r1", **FAST) as pipeline:  # type: ignore[arg-type]
        result = pipeline.convert(path, tmp_path / "out")
    assert result.ok and [p.index for p in result.pages] == [0, 99_999]


def test_damaged_page_costs_only_itself(pipeline: Pipeline, tmp_path: Path) -> None:
    result = pipeline.convert(zoo.write(tmp_path, "damaged.pdf", zoo.damaged_page()), tmp_path / "out")
    statuses = {p.index: p.status for p in result.pages}
    assert statuses == {0: PageStatus.OK, 1: PageStatus.FAILED, 2: PageStatus.OK}
    assert not result.ok and result.error is None
    assert "page number 1" in result.markdown and "page number 3" in result.markdown
    report = json.loads(result.files["report"].read_text())
    assert report["status"] == {"ok": 2, "failed": 1}
    assert report["page_results"][1]["error"]


def test_missing_file(pipeline: Pipeline, tmp_path: Path) -> None:
    assert pipeline.convert(tmp_path / "nowhere.pdf", tmp_path / "out").error == "no such file"


def test_folder_named_like_a_pdf(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "x.pdf").mkdir()
    assert pipeline.convert(tmp_path / "x.pdf", tmp_path / "out").error == "is a folder"
    with pytest.raises(UsageError, match="no PDF or image"):
        next(iter(pipeline.convert_batch([tmp_path / "x.pdf"], tmp_path / "out")))


def test_password(tmp_path: Path) -> None:
    path = zoo.write(tmp_path, "locked.pdf", zoo.encrypted("secret"))
    with Pipeline(**FAST, password="secret") as pipeline:  # type: ignore[arg-type]
        result = pipeline.convert(path, tmp_path / "out")
        assert result.ok and "page number 2" in result.markdown
    with Pipeline(**FAST, password="wrong") as pipeline:  # type: ignore[arg-type]
        assert "password is wrong" in (pipeline.convert(path, tmp_path / "out2").error or "")


def test_good_files_go_on_among_bad_ones(pipeline: Pipeline, tmp_path: Path, make_pdf: MakePdf) -> None:
    paths = [zoo.write(tmp_path, name, make()) for name, (make, _) in zoo.BAD.items()]
    good = [make_pdf(f"good{i}.pdf", [f"a good document, number {i}"]) for i in range(3)]
    results = {r.path: r for r in pipeline.convert_batch([*paths, *good], tmp_path / "out")}
    assert len(results) == len(paths) + 3
    assert all(results[p].ok for p in good)
    assert not any(results[p].ok for p in paths)


def test_file_that_vanishes(pipeline: Pipeline, tmp_path: Path, make_pdf: MakePdf) -> None:
    keep, gone = make_pdf("keep.pdf", ["this one stays here"]), make_pdf("gone.pdf", ["this one goes away"])
    results = {}
    iterator = pipeline.convert_batch([gone, keep], tmp_path / "out")
    gone.unlink()
    for result in iterator:
        results[result.name] = result
    assert results["keep"].ok
    assert results["gone"].error == "no such file"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_unwritable_output_unprivileged(pipeline: Pipeline, tmp_path: Path, make_pdf: MakePdf) -> None:
    (tmp_path / "out").mkdir(mode=0o500)
    assert "can't write" in (pipeline.convert(make_pdf("a.pdf", ["text"]), tmp_path / "out").error or "")


def test_output_that_is_a_file(pipeline: Pipeline, tmp_path: Path, make_pdf: MakePdf) -> None:
    (tmp_path / "out").write_text("in the way")
    assert "can't write" in (pipeline.convert(make_pdf("a.pdf", ["text"]), tmp_path / "out").error or "")


def test_foreign_folder_is_never_replaced(tmp_path: Path, make_pdf: MakePdf) -> None:
    mine = tmp_path / "out" / "a" / "thesis.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("years of work")
    with Pipeline(**FAST, overwrite=True) as pipeline:  # type: ignore[arg-type]
        result = pipeline.convert(make_pdf("a.pdf", ["some text here"]), tmp_path / "out")
    assert "in the way" in (result.error or "")
    assert mine.read_text() == "years of work"
    assert os.listdir(tmp_path / "out") == ["a"]


def test_file_whose_name_is_no_utf8(tmp_path: Path) -> None:
    zoo.write(tmp_path / "in", "other.pdf", zoo.one_page())
    folder = tmp_path / "in"
    with open(os.fsencode(folder) + b"/bad\xff\xfe.pdf", "wb") as file:
        file.write(zoo.one_page())
    summary = tmp_path / "summary.json"
    options = ["--layout", "native", "--formats", "md", "--progress", "json", "--summary", str(summary)]
    command = [*COMMAND, str(folder), "-o", str(tmp_path / "out"), *options]
    for skipped in (0, 2):
        done = subprocess.run(command, capture_output=True, timeout=2 * PATIENCE)
        assert done.returncode == 0 and done.stderr == b""
        events = [json.loads(line) for line in done.stdout.splitlines()]
        paths = {e["path"] for e in events if e["event"] == "document_done"}
        assert {os.fsencode(p) for p in paths} == {os.fsencode(p) for p in folder.iterdir()}
        assert json.loads(summary.read_text())["skipped_documents"] == skipped
    assert sorted(os.listdir(tmp_path / "out")) == ["bad_", "other"]


def test_names_do_not_reach_the_terminal_raw() -> None:
    assert printable("a\n\x1b[31m\udcffé 中.pdf") == "a\\n\\x1b[31m\\udcffé 中.pdf"


def test_fault_of_ours_ends_the_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A bug costs its document, with a line that says so: nothing waits for ever."""
    path = zoo.write(tmp_path, "a.pdf", zoo.one_page())
    for owner, name in (
        (DocumentFolder, "open"),
        (PageJobs, "select"),
        (PageJobs, "extract"),
        (DocumentFolder, "finish"),
    ):
        with Pipeline(layout="native", formats="md", workers=1) as pipeline, monkeypatch.context() as patch:
            patch.setattr(owner, name, lambda *a, **k: 1 / 0)
            assert "internal error: ZeroDivisionError" in (pipeline.convert(path, tmp_path / name).error or "")
