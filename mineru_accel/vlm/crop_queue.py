"""The VLM stage: one queue of crops of all pages and documents, answered by one engine.

A thread with an event loop of its own. Pages come in from the scheduler and go back to it when all their crops are
answered; no page, document or step waits for another. Early pages go first, and of a page what takes longest.

Contract: every page is answered exactly once, with an answer per crop or with an error; none takes longer than its
crops' time limits and the engine's restarts allow.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from loguru import logger

from ..errors import AccelError
from ..workers.trace import Tracer
from .errors import EngineDied, NoAnswer, Refused
from .protocol import VlmEngine
from .repetition import loops
from .types import Answer, Crop, Patches

if TYPE_CHECKING:
    from ..workers.arena import Arena

Then = Callable[[list[Answer], float, Exception | None], None]

_HOTTER: tuple[dict[str, float | int], ...] = (
    {},
    {"temperature": 0.3, "top_p": 0.9, "top_k": 50},
    {"temperature": 0.7, "top_p": 0.95, "top_k": 50},
)
"""Sampling of each attempt, over MinerU's own: greedy first."""
_TOKEN_PIXELS = 25
"""Pixels at 200 dpi that a token of output needs at least (a legible character takes a hundred, but LaTeX is wordy)."""
_LEAST_TOKENS, _MOST_TOKENS = 512, 2048
"""Answers to small crops are cut off early; others end where the model's context does, as MinerU has it."""
_LONG = {"[layout]": 4.0, "table": 3.0, "image": 2.0, "chart": 2.0, "equation": 1.5}
"""How much longer an answer is than one to a paragraph of the same size."""
_PROBE = 0.1
"""Share of the time limit that one request gets while the engine seems to be down."""


@dataclass(eq=False, slots=True)
class _Page:
    """A page's crops on their way."""

    key: tuple[int, int]
    """(document, position): what is smaller goes first."""
    crops: Sequence[Crop]
    slot: int | None
    then: Then
    answers: list[Answer | None]
    started: float = 0.0
    """When its first crop was taken; 0 before."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    over: bool = False


class VlmStage:
    """Answers the crops of pages.

    Args:
        engine: started and closed with the stage.
        arena: where the crops' pixels lie.
        timeout: seconds a crop may take, all attempts together.
        tracer: told when the engine had something to do, and how many crops it had and others waited.
    """

    def __init__(self, engine: VlmEngine, arena: Arena, timeout: float, tracer: Tracer | None = None) -> None:
        self.engine = engine
        self._tracer = tracer or Tracer(None)
        self._busy_since = 0.0
        self.post: Callable[[Callable[[], None]], object] = lambda call: None
        """Hands a call to the scheduler's thread; the scheduler sets it."""
        self._arena = arena
        self._timeout = timeout
        self._queue: list[tuple[Any, int, _Page, int]] = []
        self._pages: set[_Page] = set()
        self._count = itertools.count()
        self._busy = 0
        self._down = False
        self._last_answer = 0.0
        self.counts = {"crops": 0, "retries": 0, "fallbacks": 0}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="vlm", daemon=True)
        self._thread.start()
        self._closed = False
        self._starting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the engine.

        Raises:
            ModelError, NoAnswer: if it can't be.
        """

        async def begin() -> None:
            self._starting = asyncio.current_task()
            await self.engine.start()

        asyncio.run_coroutine_threadsafe(begin(), self._loop).result()

    def ask(self, key: tuple[int, int], crops: Sequence[Crop], slot: int | None, then: Then) -> None:
        """Answer a page's crops; ``then(answers, seconds, error)`` is posted when all are, and the slot is free then.

        Args:
            key: (document, position) of the page.
        """
        page = _Page(key, crops, slot, then, [None] * len(crops))
        self._call(self._enqueue, page)

    def forget(self, document: int) -> None:
        """Give up a document's pages."""

        def drop() -> None:
            for page in [p for p in self._pages if p.key[0] == document]:
                self._finish(page, NoAnswer("given up"))

        self._call(drop)

    def close(self) -> None:
        """Give up all pages and close the engine."""
        if self._closed:
            return
        self._closed = True

        async def end() -> None:
            for page in list(self._pages):
                self._finish(page, NoAnswer("stopped"))
            if self._starting and not self._starting.done():
                self._starting.cancel()
                await asyncio.wait([self._starting])
            await self.engine.close()

        try:
            asyncio.run_coroutine_threadsafe(end(), self._loop).result(timeout=30)
        except Exception as error:
            logger.debug("closing the VLM engine: {}", error)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)

    # From here on in the stage's own thread

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        if not self._closed:
            self._loop.call_soon_threadsafe(function, *args)

    def _enqueue(self, page: _Page) -> None:
        self._pages.add(page)
        for number in range(len(page.crops)):
            self._push(page, number)
        self._pump()

    def _push(self, page: _Page, number: int) -> None:
        crop = page.crops[number]
        length = crop.pixels * _LONG.get(crop.kind, 1.0)
        heapq.heappush(self._queue, ((*page.key, -length), next(self._count), page, number))

    def _pump(self) -> None:
        """Take crops while the engine has room for them."""
        room = 1 if self._down else self.engine.concurrency
        while self._queue and self._busy < room:
            _, _, page, number = heapq.heappop(self._queue)
            if not page.over:
                self._take(page, number)
        self._tracer.count("vlm crops", asked=self._busy, waiting=len(self._queue))

    def _take(self, page: _Page, number: int) -> None:
        page.started = page.started or time.perf_counter()
        if not self._busy:
            self._busy_since = time.perf_counter()
        self._busy += 1
        task = self._loop.create_task(self._run(page, number))
        page.tasks.add(task)
        task.add_done_callback(lambda t: self._taken(page, t))

    def _taken(self, page: _Page, task: asyncio.Task[None]) -> None:
        self._busy -= 1
        if not self._busy:
            self._tracer.span("vlm", "generate", self._busy_since, what=self.engine.name)
        page.tasks.discard(task)
        if task.cancelled():  # by who is not the stage, if the page is not over
            self._finish(page, NoAnswer("the request was given up"))
        elif (error := task.exception()) is not None:
            logger.opt(exception=error).error("the VLM stage failed on a crop")  # a bug: say so and go on
            self._finish(page, error if isinstance(error, Exception) else NoAnswer(str(error)))
        self._pump()

    async def _run(self, page: _Page, number: int) -> None:
        began = time.monotonic()
        try:
            answer = await self._answer(page, page.crops[number])
        except EngineDied as error:
            self._finish(page, error)
            return
        except Refused as error:
            answer = Answer("", f"the VLM refused it: {error}")
        except AccelError as error:
            self._finish(page, error)
            if self._last_answer < began:  # nobody had an answer meanwhile: it is not this crop
                self._give_up(error)
            return
        self._last_answer = time.monotonic()
        self._down = False
        self.counts["crops"] += 1
        self.counts["fallbacks"] += answer.reason is not None
        page.answers[number] = answer
        if all(a is not None for a in page.answers):
            self._finish(page)

    async def _answer(self, page: _Page, crop: Crop) -> Answer:
        limit = self._timeout * (_PROBE if self._down else 1.0)
        deadline = time.monotonic() + limit
        picture = self._picture(page, crop)
        sampling = dict(crop.sampling)
        if (enough := max(_LEAST_TOKENS, crop.pixels // _TOKEN_PIXELS)) <= _MOST_TOKENS:
            sampling.setdefault("max_new_tokens", enough)
        before: str | None = None
        reason: str | None = None
        for attempt, hotter in enumerate(_HOTTER):
            left = deadline - time.monotonic()
            if attempt and left < 0.1 * limit:
                return Answer(before or "", reason, attempt)
            self.counts["retries"] += attempt > 0
            try:
                generated = await asyncio.wait_for(
                    self.engine.predict(picture, crop.prompt, sampling | hotter, left), left + 1.0
                )
            except TimeoutError as error:
                if before is not None:  # an answer, if a bad one
                    return Answer(before, reason, attempt)
                raise NoAnswer(f"the VLM gave no answer in {limit:.0f} s") from error
            reason = "the VLM's answer was cut off" if generated.truncated else loops(generated.text, crop.kind)
            if reason is None or (generated.text == before and not generated.truncated):  # sure of its repetition
                return Answer(generated.text, None, attempt + 1)
            before = generated.text
        return Answer(before or "", reason, len(_HOTTER))

    def _picture(self, page: _Page, crop: Crop) -> Any:
        from PIL import Image

        if crop.data is not None:
            data: Any = crop.data
        else:
            assert page.slot is not None
            data = self._arena.bytes(page.slot, crop.offset, crop.length)
        if crop.grid is not None:
            return Patches(crop.size, crop.grid, bytearray(data) if crop.data is not None else data)
        if self.engine.png:
            return bytes(data)
        return Image.frombuffer("RGB", crop.size, data, "raw", "RGB", 0, 1)  # unpacked, so a copy

    def _give_up(self, error: Exception) -> None:
        """The engine is down: no page that waits now is kept waiting; one crop at a time tries whether it is back."""
        if not self._down:
            logger.warning("the VLM is down: {}", error)
        self._down = True
        for page in list(self._pages):
            self._finish(page, NoAnswer(str(error)))

    def _finish(self, page: _Page, error: Exception | None = None) -> None:
        if page.over:
            return
        page.over = True
        self._pages.discard(page)
        current = asyncio.current_task(self._loop) if threading.current_thread() is self._thread else None
        for task in page.tasks:
            if task is not current:
                task.cancel()
        seconds = time.perf_counter() - page.started if page.started else 0.0
        answers = [a for a in page.answers if a is not None] if error is None else []
        self.post(lambda: page.then(answers, seconds, error))
