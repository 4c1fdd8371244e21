"""Servers that behave, and servers that don't: every page is accounted for and nothing hangs."""

from __future__ import annotations

import asyncio
import io
import json
import threading
import time
from concurrent.futures import CancelledError, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import stand_in as server
from common import PATIENCE, wait_until
from PIL import Image
from stand_in import read

from mineru_accel import PageStatus, Pipeline
from mineru_accel.cli.main import main
from mineru_accel.conversion import startup
from mineru_accel.errors import ModelError
from mineru_accel.vlm.crop_queue import VlmStage
from mineru_accel.vlm.engines.http import HttpEngine
from mineru_accel.vlm.types import Crop

PAGES = 2
CROPS = 8


def test_answers_and_key(serve: Any, pages: Path, vlm_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINERU_VL_API_KEY", "secret")
    one = serve(lambda n: server.GOOD)
    result = read(pages, vlm_options, one)
    assert result.ok and [p.status for p in result.pages] == [PageStatus.OK] * PAGES
    assert one.asked == CROPS and result.markdown.count("hello") >= 5
    assert all(h["Authorization"] == "Bearer secret" for h in one.headers)
    assert all(b["model"] == "tiny" and b["temperature"] == 0.0 for b in one.bodies)
    prompts = {b["messages"][1]["content"][1]["text"] for b in one.bodies}
    assert prompts == {"\nText Recognition:", "\nTable Recognition:", "\nFormula Recognition:"}


def test_trace_has_a_lane(serve: Any, pages: Path, vlm_options: dict[str, Any], tmp_path: Path) -> None:
    trace = tmp_path / "trace.json"
    assert read(pages, vlm_options, serve(lambda n: server.GOOD), profile=trace).ok
    events = json.loads(trace.read_text())
    assert {"worker-0", "layout", "vlm"} <= {e["args"]["name"] for e in events if e["name"] == "thread_name"}
    (first, *_) = (e for e in events if e["name"] == "generate")
    counts = [e["args"] for e in events if e["ph"] == "C"]
    assert first["dur"] > 0 and max(c["asked"] for c in counts) > 0
    assert counts[-1] == {"asked": 0, "waiting": 0}


def test_crops_that_find_no_room_count_as_memory(
    serve: Any, pages: Path, vlm_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(startup, "SLOT_BYTES", 1000)
    held: list[int] = []
    one = serve(lambda n: held.append(pipeline.executor.scheduler.held_bytes) or server.GOOD)
    options = {**vlm_options, "layout": "vlm", "layout_weights": None}
    with Pipeline(backend="vlm", urls=[one.url], timeout=30, **options) as pipeline:
        pipeline.convert(pages)
        assert max(held) > 1000 and pipeline.executor.scheduler.held_bytes == 0


def test_two_servers_share_the_work(serve: Any, pages: Path, vlm_options: dict[str, Any]) -> None:
    both = threading.Barrier(2, timeout=PATIENCE)

    def together(n: int) -> str:
        if not n:
            both.wait()  # each has a crop before either is done with its first
        return server.GOOD

    one, two = serve(together), serve(together)
    assert read(pages, vlm_options, one, two).ok
    assert one.asked + two.asked == CROPS and min(one.asked, two.asked) >= 2


def test_server_that_is_away_costs_the_other_nothing(serve: Any, pages: Path, vlm_options: dict[str, Any]) -> None:
    away, well = serve(lambda n: "never"), serve(lambda n: server.GOOD)
    away.die()
    result = read(pages, vlm_options, away, well)
    assert result.ok and well.asked == CROPS


@pytest.mark.parametrize("word", [server.ERROR, server.RUBBISH, server.DROP, server.HANG])
def test_server_that_never_answers(word: str, serve: Any, pages: Path, vlm_options: dict[str, Any]) -> None:
    started = time.monotonic()
    result = read(pages, vlm_options, serve(lambda n: word), timeout=2)
    assert not result.ok and len(result.pages) == PAGES
    assert {p.status for p in result.pages} == {PageStatus.FAILED}
    # the stage itself says so only where the engine missed the time limit by a second
    assert all(p.error and ("127.0.0.1" in p.error or "no answer in 2 s" in p.error) for p in result.pages)
    assert time.monotonic() - started < 600  # an hour, if nobody looked at the time


@pytest.mark.parametrize("word", [server.ERROR, server.RUBBISH, server.DROP])
def test_server_that_stumbles(word: str, serve: Any, pages: Path, vlm_options: dict[str, Any]) -> None:
    result = read(pages, vlm_options, serve(lambda n: word if n % 3 == 0 else server.GOOD))
    assert result.ok and [p.status for p in result.pages] == [PageStatus.OK] * PAGES


def test_one_of_two_servers_dies_in_mid_run(serve: Any, pages: Path, vlm_options: dict[str, Any]) -> None:
    def behave(n: int) -> str:
        if n == 1:
            threading.Thread(target=mortal.die).start()
        return server.DROP if n else server.GOOD

    mortal = serve(behave)
    well = serve(lambda n: server.GOOD if wait_until(lambda: mortal.asked >= 2) else server.ERROR)
    result = read(pages, vlm_options, mortal, well)
    assert result.ok and [p.status for p in result.pages] == [PageStatus.OK] * PAGES
    assert mortal.asked >= 2 and well.asked >= CROPS - 1


def test_early_pages_go_first(serve: Any) -> None:
    """Pages that come in any order while a server is busy: by document and page, and of each what takes longest."""
    hold = threading.Event()
    one = serve(lambda n: server.GOOD if n or hold.wait(PATIENCE) else server.ERROR)
    engine = HttpEngine([one.url], PATIENCE)
    stage = VlmStage(engine, None, PATIENCE)  # type: ignore[arg-type]  # crops bring their pixels
    done: dict[tuple[int, int], threading.Event] = {}
    Image.new("RGB", (28, 28)).save(buffer := io.BytesIO(), "PNG")
    stage.post = lambda call: call()
    try:
        stage.start()
        engine.concurrency = 1

        def ask(key: tuple[int, int], *sizes: int) -> None:
            done[key] = threading.Event()
            crops = [Crop("text", f"{key} {size}", {}, (size, size), 0, 0, buffer.getvalue()) for size in sizes]
            stage.ask(key, crops, None, lambda answers, seconds, error: done[key].set())

        ask((0, 9), 10)
        assert wait_until(lambda: one.asked)
        for key in [(1, 0), (0, 3), (0, 1), (1, 1), (0, 2)]:
            ask(key, 20, 40, 30)
        stage.loop.call_soon_threadsafe(hold.set)  # after all have been taken in
        assert all(event.wait(PATIENCE) for event in done.values())
    finally:
        hold.set()
        stage.close()
    said = [body["messages"][1]["content"][1]["text"] for body in one.bodies[1:]]
    order = [(0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
    assert said == [f"{key} {size}" for key in order for size in (40, 30, 20)]


def test_closing_while_the_engine_starts() -> None:
    """Ctrl-C: whatever the start has begun is ended before the event loop stops."""
    begun, ended = threading.Event(), []

    class Slow:
        async def start(self) -> None:
            try:
                begun.set()
                await asyncio.sleep(2 * PATIENCE)
            finally:
                await asyncio.sleep(0.05)
                ended.append("start")

        async def close(self) -> None:
            ended.append("engine")

    stage = VlmStage(Slow(), None, PATIENCE)  # type: ignore[arg-type]
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(stage.start)
        assert begun.wait(PATIENCE)
        stage.close()
        assert isinstance(starting.exception(PATIENCE), CancelledError)
    assert ended == ["start", "engine"]


def test_server_that_dies_and_comes_back(serve: Any, pages: Path, vlm_options: dict[str, Any]) -> None:
    def behave(n: int) -> str:
        if n == 3:
            threading.Thread(target=fall).start()
            return server.DROP
        return server.GOOD

    def fall() -> None:
        one.die()
        time.sleep(1.5)
        one.start()

    one = serve(behave)
    result = read(pages, vlm_options, one, timeout=30)
    assert result.ok and [p.status for p in result.pages] == [PageStatus.OK] * PAGES


def test_server_that_dies_for_good(
    serve: Any, pages: Path, vlm_options: dict[str, Any], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def behave(n: int) -> str:
        if n == 3:
            threading.Thread(target=one.die).start()
            return server.DROP
        return server.GOOD

    one = serve(behave)
    weights = str(vlm_options["layout_weights"])
    where = ["-o", str(tmp_path / "out"), "--layout-weights", weights, "--workers", "1"]
    code = main([str(pages), *where, "-b", "vlm-http-client", "-u", one.url, "--timeout", "2"])
    assert code == 1
    assert "Traceback" not in capsys.readouterr().err


def test_no_server_is_one_line(pages: Path, vlm_options: dict[str, Any]) -> None:
    with pytest.raises(ModelError, match=r"http://127\.0\.0\.1:9"):
        read(pages, vlm_options | {"urls": ["http://127.0.0.1:9"]}, timeout=3)


def test_refused_and_broken_answers_fall_back(serve: Any, pages: Path, vlm_options: dict[str, Any]) -> None:
    """A bad answer is tried again hotter, and then the text layer speaks; only that region."""
    loop = "and so on " * 60

    def behave(n: int) -> str:
        body = one.bodies[n]
        if "Table" in body["messages"][1]["content"][1]["text"]:
            return server.REFUSE
        if "Formula" in body["messages"][1]["content"][1]["text"]:
            return f"{server.LONG}x^{{{n}}}"
        return f"{n} {loop}" if one.bodies[n].get("temperature") == 0.0 else "hello"

    one = serve(behave)
    result = read(pages, vlm_options, one)
    assert result.ok and [p.status for p in result.pages] == [PageStatus.FALLBACK] * PAGES
    assert result.pages[0].sources == ["vlm", "vlm", "vlm", "fallback"]
    assert "refused" in result.pages[0].reasons[3] and "hello" in result.markdown and "and so on" not in result.markdown
    assert "cut off" in result.pages[1].reasons[1] and "picture" in result.pages[1].reasons[1]
    heat = [b["temperature"] for b in one.bodies if "Formula" in b["messages"][1]["content"][1]["text"]]
    assert heat == [0.0, 0.3, 0.7]
