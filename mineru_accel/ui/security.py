"""A middleware that keeps the server from fetching addresses that a client names, and browsers from doing so."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from starlette.requests import ClientDisconnect

from .gradio_internals import fetches_from_elsewhere

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

_CONTENT_POLICY = (
    "default-src 'self' data: blob:; script-src 'self' 'unsafe-inline' 'unsafe-eval' blob:; "
    "style-src 'self' 'unsafe-inline'; connect-src 'self' data: blob:; object-src 'none'; base-uri 'self'"
)
"""Whatever a document's Markdown or HTML names, browsers load nothing from elsewhere."""


class SecurityMiddleware:
    """Refuses Gradio's routes that fetch from elsewhere, and adds security headers to all answers.

    Args:
        app: The application behind it.
        strict: Let browsers load from this server only; a page that is shared through Gradio's servers can't.
    """

    def __init__(self, app: ASGIApp, strict: bool) -> None:
        self._app = app
        self._strict = strict

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if fetches_from_elsewhere(str(scope["path"])):
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = [*message.get("headers", ()), (b"referrer-policy", b"no-referrer")]
                headers.append((b"x-content-type-options", b"nosniff"))
                if self._strict:
                    headers.append((b"content-security-policy", _CONTENT_POLICY.encode()))
                message = {**message, "headers": headers}
            await send(message)

        with contextlib.suppress(ClientDisconnect):  # in the middle of an upload: nobody is left to be told
            await self._app(scope, receive, send_with_headers)
