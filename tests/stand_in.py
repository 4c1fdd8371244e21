"""A server of OpenAI's protocol that answers as a test tells it, on loopback."""

from __future__ import annotations

import base64
import io
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from common import PATIENCE
from PIL import Image

from mineru_accel import Pipeline

PROMPTS = {"Text Recognition:": "text", "Table Recognition:": "table", "Formula Recognition:": "formula"}
PROMPTS |= {"Image Analysis:": "image", "Layout Detection:": "layout"}
Behave = Callable[[int], str]
"""What to do with the n-th completion asked for: an answer's text, or one of the words below."""
GOOD, ERROR, HANG, RUBBISH = "<good>", "<500>", "<hang>", "<rubbish>"
DROP, REFUSE, LONG = "<drop>", "<400>", "<length>"


class StandIn:
    """Serves until closed; may die and come back on the same port."""

    def __init__(self, behave: Behave) -> None:
        self.behave = behave
        self.asked = 0
        self.headers: list[dict[str, str]] = []
        self.bodies: list[dict[str, Any]] = []
        self.lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None
        self.port = 0
        """Any that is free, and then always the same."""
        self.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def kinds(self) -> list[str]:
        """What each request was for."""
        return [self.kind(n) for n in range(self.asked)]

    def kind(self, number: int) -> str:
        """What a request is for: text, table, formula, image or layout."""
        return PROMPTS[self.bodies[number]["messages"][1]["content"][1]["text"].strip()]

    def picture(self, number: int) -> Image.Image:
        """The crop that came with a request."""
        data = self.bodies[number]["messages"][1]["content"][0]["image_url"]["url"]
        return Image.open(io.BytesIO(base64.b64decode(data.partition(",")[2])))

    def start(self) -> None:
        stand_in = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._json(200, {"data": [{"id": "tiny"}]})

            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with stand_in.lock:
                    number, stand_in.asked = stand_in.asked, stand_in.asked + 1
                    stand_in.bodies.append(body)
                    stand_in.headers.append(dict(self.headers))
                said = stand_in.behave(number)
                if said == GOOD:
                    table = "Table" in body["messages"][1]["content"][1]["text"]
                    said = "<fcel>hello<fcel>you<nl>" if table else "hello"
                if said == HANG:
                    time.sleep(3600)
                elif said == DROP:
                    self.connection.close()
                elif said == ERROR:
                    self._json(500, {"error": "out of memory"})
                elif said == REFUSE:
                    self._json(400, {"error": "too long"})
                elif said == RUBBISH:
                    self._json(200, {"nothing": ["useful"]})
                else:
                    finish = "length" if said.startswith(LONG) else "stop"
                    message = {"role": "assistant", "content": said.removeprefix(LONG)}
                    self._json(200, {"choices": [{"finish_reason": finish, "message": message}]})

            def _json(self, status: int, value: object) -> None:
                data = json.dumps(value).encode()
                try:
                    self.send_response(status)
                    self.send_header("Content-Type", "application/json")
                    self.send_header("Content-Length", str(len(data)))
                    self.end_headers()
                    self.wfile.write(data)
                except OSError:
                    pass

            def log_message(self, format: str, *args: object) -> None:
                pass

        ThreadingHTTPServer.allow_reuse_address = True
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), Handler)
        self.port = self._server.server_port
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def die(self) -> None:
        if self._server:
            self._server.shutdown()
            self._server.server_close()
            self._server = None


def read(path: Path, options: dict[str, Any], *servers: StandIn, **more: Any) -> Any:
    """Convert a file with these servers as the VLM."""
    urls = [s.url for s in servers]
    with Pipeline(**{"backend": "vlm", "urls": urls, "timeout": PATIENCE, **options, **more}) as pipeline:
        return pipeline.convert(path)
