"""Users' files: kept apart, limited, deleted."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from common import PATIENCE, SAMPLES, MakePdf

from mineru_accel import Options
from mineru_accel.conversion.plan import Plan
from mineru_accel.errors import UsageError
from mineru_accel.options import Backend, Engine, Layout
from mineru_accel.ui.conversions import Conversions, make_zip, report, shown_name
from mineru_accel.ui.pipelines import Pipelines
from mineru_accel.ui.settings import Settings
from mineru_accel.ui.temporary_folder import TemporaryFolder
from mineru_accel.ui.translations import TEXTS, language


@pytest.fixture
def conversions(tmp_path: Path) -> Iterator[Conversions]:
    (tmp_path / "uploads").mkdir()
    (tmp_path / "root").mkdir()
    settings = Settings(Options(layout="native", workers=1, max_pages=2), max_files=3, queue_size=2)
    running = Conversions(settings, tmp_path / "root", tmp_path / "uploads")
    running.sessions.stop_expiring()  # a test says itself when what is no longer needed goes
    yield running
    running.close()
    assert list((tmp_path / "root").iterdir()) == []


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """The sessions' time: stands still until a test sets ``clock.now``."""
    clock = SimpleNamespace(now=time.monotonic())
    monkeypatch.setattr("mineru_accel.ui.sessions.time", SimpleNamespace(monotonic=lambda: clock.now))
    return clock


def upload(tmp_path: Path, source: Path, name: str | None = None) -> str:
    target = tmp_path / "uploads" / (name or source.name)
    target.write_bytes(source.read_bytes())
    return str(target)


def test_a_conversion_and_its_end(
    clock: SimpleNamespace, conversions: Conversions, tmp_path: Path, make_pdf: MakePdf, monkeypatch: pytest.MonkeyPatch
) -> None:
    begin, get = threading.Event(), conversions.pipelines.get
    monkeypatch.setattr(conversions.pipelines, "get", lambda *args: get(*args) if begin.wait(PATIENCE) else None)
    long = upload(tmp_path, make_pdf("made.pdf", ["one text", "two texts", "three texts"]), "long.pdf")
    empty = upload(tmp_path, tmp_path / "made.pdf", "empty.pdf")
    Path(empty).write_bytes(b"")
    session = conversions.sessions.get("ann")
    conversion = conversions.start(session, [long, empty], "auto", {"formats": ["md"], "pages": "", "password": ""})
    clock.now += 4000  # it takes longer than files are kept
    conversions.sessions.expire()
    begin.set()
    assert conversion.wait(PATIENCE)
    conversions.sessions.expire()
    first, second = report(conversion)["documents"]
    assert first["ok"] and [p["page"] for p in first["pages"]] == [1, 2] and conversion.files[0].limited
    assert second["error"] == "empty file" and str(tmp_path) not in str(report(conversion))
    archive = make_zip(conversion, tmp_path / "zip")
    assert archive is not None and archive.name == "mineru-accel.zip"
    folder = session.folder
    assert folder.exists() and "ann" not in str(folder) and conversions.sessions.get("bob").folder != folder
    clock.now += 4000
    conversions.sessions.expire()
    assert not folder.exists() and conversions.sessions.get("ann").conversions == []


def test_closing_the_page_ends_what_it_began(clock: SimpleNamespace, conversions: Conversions, tmp_path: Path) -> None:
    session = conversions.sessions.get("ann")
    conversion = conversions.start(session, [upload(tmp_path, SAMPLES / "scan.pdf")], "auto", {"method": "ocr"})
    conversions.sessions.leave("ann")
    conversions.sessions.expire()
    assert session.folder.exists()  # networks break for a moment
    clock.now += 200
    conversions.sessions.expire()
    assert conversion.finished and conversion.files[0].state == "cancelled" and not session.folder.exists()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"pages": "0"}, "counted from 1"),
        ({"formats": ["pptx"]}, "formats"),
        ({"formats": []}, "nothing would be written"),
        ({"method": "magic"}, "method"),
        ({"backend": "x"}, "this server offers auto, pipeline"),
    ],
)
def test_what_makes_no_sense_is_one_line(
    conversions: Conversions, tmp_path: Path, fields: dict[str, object], message: str
) -> None:
    backend = str(fields.pop("backend", "auto"))
    with pytest.raises(UsageError, match=message) as error:
        conversions.start(conversions.sessions.get("a"), [upload(tmp_path, SAMPLES / "invoice.pdf")], backend, fields)
    assert "\n" not in str(error.value)


def test_nothing_but_uploads_is_read(conversions: Conversions, tmp_path: Path) -> None:
    session = conversions.sessions.get("a")
    inside = tmp_path / "uploads"
    (tmp_path / "secret.pdf").write_bytes((SAMPLES / "invoice.pdf").read_bytes())
    (inside / "link.pdf").symlink_to(tmp_path / "secret.pdf")
    (inside / "near.pdf").write_bytes(b"x")
    (inside / "alias.pdf").symlink_to(inside / "near.pdf")
    (inside / "folder.pdf").mkdir()
    os.mkfifo(inside / "pipe.pdf")
    paths = ["link.pdf", "alias.pdf", "folder.pdf", "pipe.pdf", "../secret.pdf", "gone.pdf", "notes.txt"]
    for path in [*(str(inside / p) for p in paths), str(tmp_path / "secret.pdf"), "/etc/passwd", "secret.pdf"]:
        with pytest.raises(UsageError) as error:
            conversions.start(session, [path], "auto", {})
        assert str(tmp_path) not in str(error.value)
    assert session.conversions == [] and not list(session.folder.glob("*"))


def test_limits(conversions: Conversions, tmp_path: Path) -> None:
    session = conversions.sessions.get("a")
    with pytest.raises(UsageError, match="at least one"):
        conversions.start(session, [], "auto", {})
    with pytest.raises(UsageError, match="takes 3 at once"):
        conversions.start(session, ["x.pdf"] * 4, "auto", {})
    scan = upload(tmp_path, SAMPLES / "scan.pdf")
    started = [conversions.start(session, [scan], "auto", {"method": "ocr"}) for _ in range(2)]
    with pytest.raises(UsageError, match="busy"):
        conversions.start(session, [scan], "auto", {})
    for conversion in started:
        conversion.cancel()
        assert conversion.wait(PATIENCE)


def test_leftovers_of_a_killed_server_are_swept(tmp_path: Path) -> None:
    alive = TemporaryFolder(tmp_path)
    dead = tmp_path / "mineru-accel-ui-dead"
    dead.mkdir()
    (dead / ".lock").touch()
    mine = tmp_path / "mineru-accel-ui-notes"
    mine.mkdir()
    other = TemporaryFolder(tmp_path)
    assert not dead.exists() and alive.path.exists() and other.path.exists() and mine.exists()
    alive.close()
    other.close()
    assert list(tmp_path.iterdir()) == [mine]


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\a\\b.pdf", "b.pdf"),
        ("fdp\u202efdp.exe", "fdp fdp.exe"),
        ("a\x00b\n.pdf", "a b .pdf"),
        ("报告.pdf", "报告.pdf"),
        ("/", "document"),
    ],
)
def test_shown_names(name: str, shown: str) -> None:
    assert shown_name(name) == shown


def test_every_text_is_in_both_languages() -> None:
    for name, (english, chinese) in TEXTS.items():
        assert english and chinese, name
        assert english.count("{") == chinese.count("{"), name
    assert [language(a) for a in ("zh-CN,zh;q=0.9,en;q=0.8", "en-US,zh", "de", None)] == ["zh", "en", "en", "en"]


def test_no_user_makes_the_server_download(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, bool]] = []

    def make_plan(options: Options) -> Plan:
        asked.append((options.backend, options.offline))
        engine = {"hybrid": Engine.VLLM, "vlm": Engine.VLLM}.get(options.backend)
        backend = Backend.PIPELINE if options.backend is Backend.AUTO else options.backend
        return Plan(backend, Layout.DOCLAYOUT_YOLO, "because /secret/place", engine=engine)

    monkeypatch.setattr("mineru_accel.ui.pipelines.make_plan", make_plan)
    pipelines = Pipelines(Options())
    assert asked == [("auto", False), ("pipeline", True), ("hybrid", True), ("vlm", True)]
    assert pipelines.choices() == ["auto", "pipeline", "hybrid"]  # a GPU has room for one VLM
    assert Pipelines(Options(backend="vlm")).choices() == ["auto", "pipeline", "vlm"]
    assert pipelines.auto() == "pipeline, doclayout-yolo"
    with pytest.raises(UsageError, match="offers auto"):
        pipelines.get("vlm")
