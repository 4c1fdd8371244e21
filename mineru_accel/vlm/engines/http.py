"""Servers of the VLM that speak OpenAI's protocol, asked through MinerU's http client."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
from loguru import logger
from mineru_vl_utils.vlm_client import HttpResponseError, RequestError, SamplingParams, ServerError
from mineru_vl_utils.vlm_client.http_client import HttpVlmClient

from ...errors import ModelError, one_line
from ..errors import NoAnswer, Refused
from ..types import Generated, Sampling

if TYPE_CHECKING:
    from ...patches.image_patches import Cutter

_PER_SERVER = 100
"""Requests in flight for each server, MinerU's own number."""
_CONNECT_SECONDS = 10
_FIRST_PAUSE, _LONGEST_PAUSE = 0.5, 15.0
"""Seconds without requests to a server after a failure; doubled with each failure in a row."""
_REFUSALS = {400, 413, 415, 422}
"""HTTP status codes by which a server refuses this request."""
_PERMANENT = {401, 403, 404, 405}
"""HTTP status codes that no second attempt will change."""


class _Client(HttpVlmClient):
    """MinerU's client, which also says why a generation ended."""

    def get_response_content(self, response_data: dict[str, Any]) -> Generated:  # type: ignore[override]
        text = super().get_response_content(response_data)
        return Generated(text, response_data["choices"][0].get("finish_reason") == "length")


@dataclass(eq=False, slots=True)
class _Server:
    """A server and how it is doing."""

    url: str
    client: _Client | None = None
    busy: int = 0
    """Requests in flight."""
    failures: int = 0
    """Failures in a row."""
    paused_until: float = 0.0


class HttpEngine:
    """Asks one server or several: the least busy of those that answer. A failed request is sent again.

    Args:
        urls: as MinerU's ``-u``: ``http://host:30000``, with or without ``/v1``.
        timeout: seconds a request may take.
        model: the served model's name; the server's only one by default. ``MINERU_VL_MODEL_NAME`` does the same, and
            ``MINERU_VL_API_KEY`` is the key.
    """

    png = True
    cutter: Cutter | None = None

    def __init__(self, urls: Sequence[str], timeout: float, model: str | None = None) -> None:
        self.name = "http " + ", ".join(urls)
        self.concurrency = _PER_SERVER * len(urls)
        self._servers = [_Server(url) for url in dict.fromkeys(urls)]
        self._timeout = timeout
        self._model = model

    async def start(self) -> None:
        problems = await asyncio.gather(*(self._connect(server) for server in self._servers))
        if all(problems):
            raise ModelError("; ".join(str(p) for p in problems))
        for problem in filter(None, problems):
            logger.warning("{}", problem)

    async def predict(self, picture: Any, prompt: str, sampling: Sampling, timeout: float) -> Generated:
        deadline = time.monotonic() + timeout
        last = "no server answers"
        while (left := deadline - time.monotonic()) > 0:
            server = self._best()
            if (pause := server.paused_until - time.monotonic()) > 0:
                await asyncio.sleep(min(pause, left))
                continue
            server.busy += 1
            try:
                generated = await asyncio.wait_for(self._once(server, picture, prompt, sampling), left)
            except TimeoutError:
                last = f"{server.url}: no answer in {left:.0f} s"
            except HttpResponseError as error:
                last = f"{server.url}: HTTP {error.status_code}"
                if error.status_code in _REFUSALS:
                    raise Refused(one_line(error)) from error
                if error.status_code in _PERMANENT:
                    raise NoAnswer(f"{last}: {one_line(error)}") from error
            except (ServerError, RequestError, ModelError, httpx.HTTPError, OSError, ValueError, TypeError) as error:
                last = one_line(error) if isinstance(error, ModelError) else f"{server.url}: {one_line(error)}"
            except (LookupError, AttributeError) as error:
                last = f"{server.url}: an answer that is no completion ({type(error).__name__})"
            else:
                server.failures = 0
                return generated
            finally:
                server.busy -= 1
            self._pause(server)
            logger.debug("{}", last)
        raise NoAnswer(last)

    async def close(self) -> None:
        for server in self._servers:
            if server.client:
                await server.client.aclose()
                server.client = None

    def _best(self) -> _Server:
        """The least busy server that is not paused, else the one whose pause ends first."""
        now = time.monotonic()
        return min(self._servers, key=lambda s: (max(s.paused_until - now, 0.0), s.busy))

    def _pause(self, server: _Server) -> None:
        """Send nothing to a server for a while. Requests that fail together count as one failure."""
        now = time.monotonic()
        if server.paused_until < now:
            server.paused_until = now + min(_FIRST_PAUSE * 2**server.failures, _LONGEST_PAUSE)
            server.failures += 1

    async def _once(self, server: _Server, picture: Any, prompt: str, sampling: Sampling) -> Generated:
        if server.client is None and (problem := await self._connect(server)):
            raise problem
        assert server.client is not None
        answer: Any = await server.client.aio_predict(picture, prompt, SamplingParams(**sampling))
        if not isinstance(answer.text, str):
            raise ServerError("an answer that is no text")
        return answer

    async def _connect(self, server: _Server) -> ModelError | None:
        """Make a server's client, which asks it for its model. Returns what is wrong with the server, if anything."""

        def connect() -> _Client:
            return _Client(
                model_name=self._model,
                server_url=server.url,
                allow_truncated_content=True,
                http_timeout=int(max(self._timeout, 1)),
                connect_timeout=_CONNECT_SECONDS,
                max_retries=0,  # `predict` tries again
            )

        try:
            limit = min(self._timeout, 2 * _CONNECT_SECONDS)
            server.client = await asyncio.wait_for(asyncio.to_thread(connect), limit)
        except TimeoutError:
            return ModelError(f"{server.url}: no answer")
        except Exception as error:  # MinerU's client and the server's JSON raise anything
            return ModelError(f"{server.url}: {one_line(error)}")
        return None
