"""Serving the web page, and leaving nothing behind when it ends."""

from __future__ import annotations

import shutil
import signal
import tempfile
import threading
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

from ..errors import AccelError
from . import theme
from .conversions import Conversions
from .gradio_internals import configure
from .security import SecurityMiddleware
from .settings import Settings
from .temporary_folder import TemporaryFolder

if TYPE_CHECKING:
    from .app import WebApp

_FIRST_PORT = 7860


class Server:
    """The web page with all that is behind it. A context manager; leaving it ends everything and deletes users' files.

    Raises:
        AccelError: if its folders can't be made, or this machine can't run what the settings say.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        temporary = Path(tempfile.gettempdir())
        self._app: WebApp | None = None
        self._folders = [TemporaryFolder(temporary)]
        self._cache = self._folders[0].path
        configure(self._cache)
        try:
            self._folders.append(TemporaryFolder(settings.output_dir or temporary))
            self.conversions = Conversions(settings, self._folders[1].path, self._cache)
        except BaseException:
            self._delete_folders()
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

        from .app import WebApp

        s = self._settings
        if s.preload:
            self.conversions.pipelines.get("auto")
        self._app = WebApp(self.conversions, self._cache, self._examples())
        try:
            _, local, public = self._app.blocks.queue(default_concurrency_limit=None).launch(
                server_name=s.server_name,
                server_port=s.server_port,
                share=s.share,
                auth=list(s.auth) or None,
                max_file_size=f"{s.max_file_mb}mb",
                app_kwargs={"middleware": [Middleware(SecurityMiddleware, strict=not s.share)]},
                theme=theme.theme(),
                css=theme.css(),
                js=theme.script(),
                i18n=self._app.i18n,
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
        if self._app is not None:
            self._app.blocks.close(verbose=False)
            self._app = None
        self.conversions.close()
        self._delete_folders()

    def _delete_folders(self) -> None:
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

    def handle(number: int, frame: FrameType | None) -> None:
        stop.set()

    signal.signal(signal.SIGTERM, handle)
    signal.signal(signal.SIGINT, handle)
    stop.wait()
