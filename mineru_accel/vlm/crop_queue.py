"""The VLM stage: one queue of the crops of all pages and documents, answered by one engine.

The stage has a thread with an event loop of its own. Pages come in from the scheduler and go back to it when all their
crops are answered; no page or document waits for another. Early pages go first, and within a page the crops that will
take longest.

Contract: every page is answered exactly once, with an answer per crop or with an error, within its crops' time limits
and the time of the engine's restarts.
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
from .repetition import loop_reason
from .types import Answer, Crop, Patches

if TYPE_CHECKING:
    from ..workers.arena import Arena

OnAnswered = Callable[[list[Answer], float, Exception | None], None]
"""Called with a page's answers (none after an error), the seconds they took, and the error, if any."""

_SAMPLING: tuple[dict[str, float | int], ...] = (
    {},
    {"temperature": 0.3, "top_p": 0.9, "top_k": 50},
    {"temperature": 0.7, "top_p": 0.95, "top_k": 50},
)
"""Sampling parameters of each attempt, over MinerU's own: greedy first, then ever more random."""
_PIXELS_PER_TOKEN = 25
"""Minimum pixels at 200 dpi for a token of output. A legible character takes a hundred, but LaTeX needs more tokens."""
_MIN_LIMIT, _MAX_LIMIT = 512, 2048
"""Bounds of the limit of tokens that follows from a crop's size. Beyond the upper one the model's context is the limit,
as with MinerU."""
_RELATIVE_LENGTH = {"[layout]": 4.0, "table": 3.0, "image": 2.0, "chart": 2.0, "equation": 1.5}
"""Length of an answer over that for a paragraph of the same size, by type of region."""
_PROBE_SHARE = 0.1
"""Share of the time limit for a request while the engine seems to be down."""


@dataclass(eq=False, slots=True)
class _Page:
    """A page whose crops are waiting or being answered."""

    key: tuple[int, int]
    """(document, position): smaller ones go first."""
    crops: Sequence[Crop]
    slot: int | None
    on_answered: OnAnswered
    answers: list[Answer | None]
    started: float = 0.0
    """When its first crop was taken; 0 before."""
    tasks: set[asyncio.Task[None]] = field(default_factory=set)
    finished: bool = False


class VlmStage:
    """Answers the crops of pages.

    Args:
        engine: started and closed by the stage.
        arena: memory of the crops' pixels.
        timeout: seconds for a crop, all attempts together.
        tracer: records when the engine had work, and the numbers of crops that it had and that waited.
    """

    def __init__(self, engine: VlmEngine, arena: Arena, timeout: float, tracer: Tracer | None = None) -> None:
        self.engine = engine
        self._tracer = tracer or Tracer(None)
        self._busy_since = 0.0
        self.post: Callable[[Callable[[], None]], object] = lambda call: None
        """Runs a call in the scheduler's thread; set by the scheduler."""
        self._arena = arena
        self._timeout = timeout
        self._queue: list[tuple[Any, int, _Page, int]] = []
        self._pages: set[_Page] = set()
        self._count = itertools.count()
        self._busy = 0
        self._down = False
        self._last_answer = 0.0
        self.counts = {"crops": 0, "retries": 0, "fallbacks": 0}
        self.loop = asyncio.new_event_loop()
        """Of the stage's own thread."""
        self._thread = threading.Thread(target=self.loop.run_forever, name="vlm", daemon=True)
        self._thread.start()
        self._closed = False
        self._starting: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the engine.

        Raises:
            ModelError, EngineError, NoAnswer: if it can't be started.
        """

        async def begin() -> None:
            self._starting = asyncio.current_task()
            await self.engine.start()

        asyncio.run_coroutine_threadsafe(begin(), self.loop).result()

    def ask(self, key: tuple[int, int], crops: Sequence[Crop], slot: int | None, on_answered: OnAnswered) -> None:
        """Answer a page's crops.

        Args:
            key: (document, position) of the page.
            slot: the arena's slot with the crops' pixels; not used any more once the page is answered.
            on_answered: posted (see `post`) when all crops are answered, or with an error.
        """
        page = _Page(key, crops, slot, on_answered, [None] * len(crops))
        self._call(self._enqueue, page)

    def forget(self, document: int) -> None:
        """Give up a document's pages: each is answered with an error."""

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
            asyncio.run_coroutine_threadsafe(end(), self.loop).result(timeout=30)
        except Exception as error:
            logger.debug("closing the VLM engine: {}", error)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(timeout=10)

    # The methods below, but for `_call`, run in the stage's own thread.

    def _call(self, function: Callable[..., None], *args: Any) -> None:
        if not self._closed:
            self.loop.call_soon_threadsafe(function, *args)

    def _enqueue(self, page: _Page) -> None:
        self._pages.add(page)
        for number in range(len(page.crops)):
            self._push(page, number)
        self._pump()

    def _push(self, page: _Page, number: int) -> None:
        crop = page.crops[number]
        length = crop.pixels * _RELATIVE_LENGTH.get(crop.kind, 1.0)
        heapq.heappush(self._queue, ((*page.key, -length), next(self._count), page, number))

    def _pump(self) -> None:
        """Take crops while the engine has room for them."""
        room = 1 if self._down else self.engine.concurrency
        while self._queue and self._busy < room:
            _, _, page, number = heapq.heappop(self._queue)
            if not page.finished:
                self._take(page, number)
        self._tracer.count("vlm crops", asked=self._busy, waiting=len(self._queue))

    def _take(self, page: _Page, number: int) -> None:
        page.started = page.started or time.perf_counter()
        if not self._busy:
            self._busy_since = time.perf_counter()
        self._busy += 1
        task = self.loop.create_task(self._run(page, number))
        page.tasks.add(task)
        task.add_done_callback(lambda t: self._taken(page, t))

    def _taken(self, page: _Page, task: asyncio.Task[None]) -> None:
        self._busy -= 1
        if not self._busy:
            self._tracer.span("vlm", "generate", self._busy_since, what=self.engine.name)
        page.tasks.discard(task)
        if task.cancelled():  # by the engine: the stage cancels tasks of finished pages only
            self._finish(page, NoAnswer("the request was given up"))
        elif (error := task.exception()) is not None:
            logger.opt(exception=error).error(
                "the VLM stage failed on a crop"
            )  # a bug of ours: logged, the other pages go on
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
            if self._last_answer < began:  # no other crop was answered meanwhile: it is the engine, not this crop
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
        limit = self._timeout * (_PROBE_SHARE if self._down else 1.0)
        deadline = time.monotonic() + limit
        picture = self._picture(page, crop)
        sampling = dict(crop.sampling)
        if (enough := max(_MIN_LIMIT, crop.pixels // _PIXELS_PER_TOKEN)) <= _MAX_LIMIT:
            sampling.setdefault("max_new_tokens", enough)
        before: str | None = None
        reason: str | None = None
        for attempt, changed in enumerate(_SAMPLING):
            left = deadline - time.monotonic()
            if attempt and left < 0.1 * limit:
                return Answer(before or "", reason, attempt)
            self.counts["retries"] += attempt > 0
            try:
                generated = await asyncio.wait_for(
                    self.engine.predict(picture, crop.prompt, sampling | changed, left), left + 1.0
                )
            except TimeoutError as error:
                if before is not None:  # a bad answer is better than none
                    return Answer(before, reason, attempt)
                raise NoAnswer(f"the VLM gave no answer in {limit:.0f} s") from error
            reason = "the VLM's answer was cut off" if generated.truncated else loop_reason(generated.text, crop.kind)
            if reason is None or (
                generated.text == before and not generated.truncated
            ):  # the same text at another temperature: the page itself repeats it
                return Answer(generated.text, None, attempt + 1)
            before = generated.text
        return Answer(before or "", reason, len(_SAMPLING))

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
        """The engine is down: all pages are answered with an error, later ones are tried one crop at a time."""
        if not self._down:
            logger.warning("the VLM is down: {}", error)
        self._down = True
        for page in list(self._pages):
            self._finish(page, NoAnswer(str(error)))

    def _finish(self, page: _Page, error: Exception | None = None) -> None:
        """Post a page's answers or its error, once; its other crops are cancelled."""
        if page.finished:
            return
        page.finished = True
        self._pages.discard(page)
        current = asyncio.current_task(self.loop) if threading.current_thread() is self._thread else None
        for task in page.tasks:
            if task is not current:
                task.cancel()
        seconds = time.perf_counter() - page.started if page.started else 0.0
        answers = [a for a in page.answers if a is not None] if error is None else []
        self.post(lambda: page.on_answered(answers, seconds, error))
