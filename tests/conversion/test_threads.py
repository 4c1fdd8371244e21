"""One thread owns the state of all documents: messages, closing, and the disk's thread beside it."""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import Any

import pytest
from common import PATIENCE, MakePdf, wait_until

from mineru_accel import Pipeline
from mineru_accel.conversion.disk_thread import DiskThread
from mineru_accel.conversion.document_folder import DocumentFolder
from mineru_accel.conversion.inbox import Inbox
from mineru_accel.events import DocumentStarted, Event, PageDone
from mineru_accel.storage.inputs import Input

FAST: dict[str, Any] = {"layout": "native", "formats": "md", "workers": 1}


def test_closed_inbox_refuses_work_and_takes_outcomes() -> None:
    inbox, made = Inbox(), list[str]()
    inbox.post_work(lambda: made.append("work"))
    assert inbox.close(last=lambda: made.append("last")) and not inbox.close(last=lambda: made.append("twice"))
    with pytest.raises(RuntimeError, match="the pipeline is closed"):
        inbox.post_work(lambda: made.append("late"))
    inbox.post(lambda: made.append("outcome"))
    for _ in range(3):
        inbox.get()()
    assert made == ["work", "last", "outcome"]
    with pytest.raises(queue.Empty):
        inbox.get(0)


def test_disk_calls_are_made_in_order_and_errors_come_back() -> None:
    inbox, seen = Inbox(), list[Any]()
    disk = DiskThread(inbox)
    disk.run(lambda: 1, lambda value, error: seen.append(value))
    disk.run(lambda: 1 / 0, lambda value, error: seen.append(type(error)))
    disk.run(lambda: 2, lambda value, error: seen.append(value))
    for _ in range(3):
        inbox.get(PATIENCE)()
    disk.close()
    assert seen == [1, ZeroDivisionError, 2]


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
