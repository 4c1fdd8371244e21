"""The folder of a document: its name and lock, what is kept of it, and its place in OUT."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mineru_accel.conversion.document_folder import DocumentFolder, Outputs
from mineru_accel.conversion.pages import Pages
from mineru_accel.conversion.plan import Plan
from mineru_accel.document import PageResult, PageStatus
from mineru_accel.errors import OutputError
from mineru_accel.export.types import Written
from mineru_accel.options import Backend, Format, Layout, Options
from mineru_accel.storage.inputs import Input
from mineru_accel.storage.journal import page_entry

PLAN = Plan(Backend.PIPELINE, Layout.NATIVE, "")


def folder_of(output: Path, outputs: Outputs | None = None, replace: bool = False, **options: Any) -> DocumentFolder:
    item = Input(Path("/in/a.pdf"), replace=replace)
    return DocumentFolder(item, output, Options(formats="md", **options), PLAN, outputs or Outputs())


def pages_of(folder: DocumentFolder, done: int = 1, of: int = 1) -> Pages:
    """Pages of which the first ``done`` are in the journal."""
    pages = Pages(range(of))
    for number in range(done):
        result = PageResult(pages.take().index, PageStatus.OK)
        folder.note([page_entry(result)])
        pages.finish(number, result)
    return pages


def make(folder: DocumentFolder, text: str, digest: str = "x") -> Any:
    """Make the document from its beginning to its end."""
    assert folder.open() is None and folder.begin(digest) == []
    pages = pages_of(folder)
    (folder.work.path / f"{folder.name}.md").write_text(text)
    return folder.finish(pages, None, Written(files={Format.MD: f"{folder.name}.md"}), None)


def test_what_is_published_is_all_that_is_left(tmp_path: Path) -> None:
    result = make(folder_of(tmp_path), "text")
    assert result.error is None and result.output_dir == tmp_path / "a" and result.markdown == "text"
    assert os.listdir(tmp_path) == ["a"] and sorted(os.listdir(tmp_path / "a")) == ["a.md", "a_report.json"]


def test_another_run_is_refused_until_the_first_lets_go(tmp_path: Path) -> None:
    first, outputs = folder_of(tmp_path), Outputs()
    assert first.open() is None and first.name == "a"
    for _ in range(2):  # the name that was refused is free again
        other = folder_of(tmp_path, outputs)
        with pytest.raises(OutputError, match="is being made by another run"):
            other.open()
        assert other.name == "" and other.staging is None
    first.close()
    again = folder_of(tmp_path, outputs)
    assert again.open() is None and again.name == "a"
    again.close()
    assert os.listdir(tmp_path) == []


def test_two_documents_of_a_pipeline_have_two_names(tmp_path: Path) -> None:
    outputs = Outputs()
    one, two = folder_of(tmp_path, outputs), folder_of(tmp_path, outputs)
    one.open()
    two.open()
    assert (one.name, two.name) == ("a", "a_2")
    one.close()
    two.close()


def test_result_that_is_there_is_kept_refused_or_replaced(tmp_path: Path) -> None:
    make(folder_of(tmp_path), "the first")
    kept = folder_of(tmp_path)
    report = kept.open()
    assert report is not None and kept.staging is None and not kept.open_again(report, "x")
    result = kept.finish(Pages(), None, None, report)
    assert result.skipped and result.markdown == "the first" and len(result.pages) == 1

    refused = folder_of(tmp_path)
    report = refused.open()
    assert report is not None
    with pytest.raises(OutputError, match="another version of this file; --overwrite"):
        refused.open_again(report, "y")
    refused.close()

    replaced = folder_of(tmp_path, replace=True)
    report = replaced.open()
    assert report is not None and replaced.open_again(report, "y")
    with pytest.raises(OutputError, match="another run"):
        folder_of(tmp_path, overwrite=True).open()
    replaced.close()
    assert make(folder_of(tmp_path, overwrite=True), "the second", "y").markdown == "the second"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize(("resume", "done", "kept"), [(True, 1, True), (True, 0, False), (False, 1, False)])
def test_what_was_done_is_kept_where_it_will_be_resumed(tmp_path: Path, resume: bool, done: int, kept: bool) -> None:
    folder = folder_of(tmp_path, resume=resume)
    folder.open()
    folder.begin("x")
    result = folder.finish(pages_of(folder, done, of=2), "stopped", None, None)
    assert result.error == "stopped" and len(result.pages) == done
    assert os.listdir(tmp_path) == (["a.partial"] if kept else [])
    again = folder_of(tmp_path, resume=resume)
    assert again.open() is None
    assert [entry["page"] for entry in again.begin("x")] == ([0] if kept else [])
    assert again.begin("y") == []  # of another version of the file
    again.close()


def test_what_is_in_the_way_costs_the_document_and_stays(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    folder.open()
    folder.begin("x")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "thesis.txt").write_text("years of work")
    result = folder.finish(pages_of(folder), None, Written(files={}), None)
    assert "is in the way and no result" in (result.error or "") and result.output_dir is None
    assert os.listdir(tmp_path) == ["a"] and os.listdir(tmp_path / "a") == ["thesis.txt"]


def test_formats_that_failed_are_named_and_the_others_published(tmp_path: Path) -> None:
    folder = folder_of(tmp_path)
    folder.open()
    folder.begin("x")
    (folder.work.path / "a.md").write_text("text")
    failed = {Format.HTML: "no template"}
    result = folder.finish(pages_of(folder), None, Written(files={Format.MD: "a.md"}, failed_formats=failed), None)
    assert result.error == "some formats failed: html: no template" and result.markdown == "text"
