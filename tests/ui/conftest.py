"""A running server, and a browser to look at it with."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from common import PATIENCE

os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"

from mineru_accel.options import Options
from mineru_accel.ui.server import Server
from mineru_accel.ui.settings import Settings

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """The page, as ``mineru-accel ui`` serves it, with small limits."""
    settings = Settings(
        Options(max_pages=30), output_dir=tmp_path_factory.mktemp("served"), max_file_mb=1, max_files=5, preload=True
    )
    with Server(settings) as running:
        running.start()
        yield running
    assert not list(settings.output_dir.iterdir())  # type: ignore[union-attr]


@dataclass
class Tab:
    """A browser's page that keeps a log of what went wrong and what it asked for."""

    page: Any
    errors: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)

    def convert(self, *files: Path) -> None:
        self.page.set_input_files("#ma-files input[type=file]", [str(f) for f in files])
        self.page.wait_for_function(
            "n => document.querySelectorAll('#ma-files tr.file, #ma-files .file').length >= n", arg=len(files)
        )
        self.page.click("#ma-convert")

    def files(self) -> dict[str, str]:
        """The files in the progress, each with what stands beside it."""
        rows = self.page.locator(".ma-file")
        return {
            rows.nth(i).locator(".ma-name").inner_text(): rows.nth(i).inner_text().replace("\n", " ")
            for i in range(rows.count())
        }

    def title(self) -> str:
        return str(self.page.locator(".ma-line b").inner_text())

    def wait_for(self, title: str) -> None:
        self.page.wait_for_function("t => document.querySelector('.ma-line b')?.textContent === t", arg=title)


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """For one module: while Playwright runs, asyncio takes this thread's loop for running, which others need."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine (apt-get install chromium): the page was not looked at")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as p:
        running = p.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"], timeout=PATIENCE * 1000)
        yield running
        running.close()


@pytest.fixture
def open_tab(browser: Any, server: Server) -> Iterator[Callable[..., Tab]]:
    """Opens the page as another user: ``open_tab(locale="zh-CN", width=390)``. At the end nothing must have gone wrong:
    no error in the console, no request that left this machine."""
    tabs: list[Tab] = []

    def go(width: int = 1400, height: int = 900, **context: Any) -> Tab:
        own = browser.new_context(viewport={"width": width, "height": height}, **{"locale": "en-US", **context})
        page = own.new_page()
        page.set_default_timeout(PATIENCE * 1000)
        tab = Tab(page)
        page.on("console", lambda m: tab.errors.append(m.text) if m.type == "error" else None)
        page.on("pageerror", lambda e: tab.errors.append(str(e)))
        page.on("request", lambda r: tab.asked.append(r.url))
        page.on("response", lambda r: tab.errors.append(f"{r.status} {r.url}") if r.status >= 400 else None)
        page.goto(server.url)
        page.wait_for_selector("#ma-convert")
        tabs.append(tab)
        return tab

    yield go
    for tab in tabs:
        tab.page.context.close()
        assert tab.errors == []
        here = (server.url, server.url.replace("http", "ws"), "data:", "blob:")
        assert [url for url in tab.asked if not url.startswith(here)] == []
        assert len(tab.asked) > 5
