"""Serving the page, and leaving nothing behind when it ends."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from ..errors import AccelError
from . import theme
from .conversions import Conversions
from .settings import Settings
from .temporary_folder import OwnFolder

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .app import Page

_FIRST_PORT = 7860
_CSP = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'"
)
"""Whatever a document's Markdown or HTML names, browsers load nothing from elsewhere."""


class Server:
    """The page with all that is behind it. A context manager; leaving it ends everything and deletes users' files."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        temporary = Path(tempfile.gettempdir())
        self._desk: Conversions | None = None
        self._page: Page | None = None
        # Gradio tells clients where their uploads lie: in a folder whose name tells nothing.
        self._folders = [OwnFolder(temporary)]
        self._cache = self._folders[0].path
        os.environ["GRADIO_TEMP_DIR"] = str(self._cache)
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        try:
            self._folders.append(OwnFolder(settings.output_dir or temporary))
            self._desk = Conversions(settings, self._folders[1].path, self._cache)
        except BaseException:
            self.close()
            raise
        self.url = ""

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def start(self) -> str:
        """Serve; returns the page's address.

        Raises:
            AccelError: if the port is taken or the models that were asked for can't be loaded.
        """
        from starlette.middleware import Middleware

        from .app import Page

        s = self._settings
        assert self._desk is not None
        if s.preload:
            self._desk.engines.get("auto")
        self._page = Page(self._desk, self._cache, self._examples())
        try:
            _, local, public = self._page.blocks.queue(default_concurrency_limit=None).launch(
                server_name=s.server_name,
                server_port=s.server_port,
                share=s.share,
                auth=list(s.auth) or None,
                max_file_size=f"{s.max_file_mb}mb",
                app_kwargs={"middleware": [Middleware(_Guard, strict=not s.share)]},
                theme=theme.theme(),
                css=theme.css(),
                js=theme.script(),
                i18n=self._page.i18n,
                footer_links=["api"],
                prevent_thread_lock=True,
                quiet=True,
                show_error=False,
                ssr_mode=False,
                pwa=False,
                mcp_server=False,
                enable_monitoring=False,
            )
        except OSError as error:
            raise AccelError(f"can't serve on {s.server_name}:{s.server_port or _FIRST_PORT}: {error}") from error
        self.url = public or local
        return self.url

    def close(self) -> None:
        """End; may be called twice."""
        if self._page is not None:
            self._page.blocks.close(verbose=False)
            self._page = None
        if self._desk is not None:
            self._desk.close()
            self._desk = None
        for folder in self._folders:
            folder.close()

    def _examples(self) -> list[Path]:
        """Copies of the samples, where they are: in a clone of the repository."""
        folder = Path(__file__).parents[2] / "samples"
        if not self._settings.examples or not folder.is_dir():
            return []
        target = self._cache / "examples"
        target.mkdir()
        return [Path(shutil.copy(path, target)) for path in sorted(folder.glob("*.pdf"))]


def serve_until_stopped(server: Server) -> None:
    """Wait for Ctrl-C or SIGTERM."""
    stop = threading.Event()

    def ask(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, ask)
    signal.signal(signal.SIGINT, ask)
    stop.wait()


class _Guard:
    """Closes Gradio's routes that fetch what a client names from elsewhere, and keeps browsers from doing so."""

    def __init__(self, app: ASGIApp, strict: bool) -> None:
        self._app = app
        self._strict = strict

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        path = str(scope["path"])
        if "/proxy=" in path or "/file=http" in path:
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"referrer-policy", b"no-referrer")]
                headers.append((b"x-content-type-options", b"nosniff"))
                if self._strict:
                    headers.append((b"content-security-policy", _CSP.encode()))
                message = {**message, "headers": headers}
            await send(message)

        with contextlib.suppress(ClientDisconnect):  # in the middle of an upload: nobody is left to be told
            await self._app(scope, receive, guarded)
