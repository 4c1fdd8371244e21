"""One thread owns the state of all documents, and nothing holds it up."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from common import PATIENCE, MakePdf, wait_until

from mineru_accel import Pipeline
from mineru_accel.conversion.document_folder import DocumentFolder
from mineru_accel.events import DocumentStarted, Event, PageDone
from mineru_accel.storage.inputs import Input

FAST: dict[str, Any] = {"layout": "native", "formats": "md", "workers": 1}


def test_publishing_holds_up_no_page(tmp_path: Path, make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch) -> None:
    begun = threading.Event()
    pages: list[int] = []
    finish = DocumentFolder.finish

    def listen(event: Event) -> None:
        if isinstance(event, DocumentStarted):
            begun.set()
        if isinstance(event, PageDone):
            pages.append(event.index)

    def slow(folder: DocumentFolder, *args: Any) -> Any:
        if folder.name == "short":
            before = len(pages)
            assert wait_until(lambda: len(pages) > before)
        return finish(folder, *args)

    monkeypatch.setattr(DocumentFolder, "finish", slow)
    long, short = make_pdf("long.pdf", ["some text"] * 300), make_pdf("short.pdf", ["some text"])
    with Pipeline(**FAST) as pipeline:
        first = pipeline.submit(Input(long), tmp_path / "out", on_event=listen)
        assert begun.wait(PATIENCE)
        assert pipeline.submit(Input(short), tmp_path / "out").result(PATIENCE).ok
        assert first.result(PATIENCE).ok


def test_documents_that_nobody_has_seen_yet_are_given_up(tmp_path: Path, make_pdf: MakePdf) -> None:
    held, release = threading.Event(), threading.Event()

    def hold() -> None:
        held.set()
        release.wait(PATIENCE)

    pipeline = Pipeline(**FAST)
    scheduler = pipeline.executor.scheduler  # type: ignore[attr-defined]
    scheduler.inbox.post(hold)
    assert held.wait(PATIENCE)
    futures = [pipeline.submit(Input(make_pdf(f"{i}.pdf", ["text"])), tmp_path / "out") for i in range(3)]
    closing = threading.Thread(target=pipeline.close)
    closing.start()
    assert wait_until(lambda: scheduler.inbox.closed)
    release.set()
    assert [future.result(PATIENCE).error for future in futures] == ["stopped"] * 3
    closing.join(PATIENCE)
    assert not closing.is_alive()
    with pytest.raises(RuntimeError, match="closed"):
        pipeline.submit(Input(make_pdf("late.pdf", ["text"])), tmp_path / "out")
