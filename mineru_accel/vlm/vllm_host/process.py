"""An AsyncLLM in a process of its own, with all that its requests cost: pictures prepared, prompts, tokens to text.

One process feeds one engine: two thirds of a core go into 150 crops a second, most of it Python that holds the GIL.
Besides, the environment of a process says which GPUs its engine sees (`pinning`).

::

    front = await EngineProcess.start(make, arguments, environment=pinned(os.environ, "cuda", [1]))
    text = await front.apply(predict, picture, prompt, sampling)     # predict(llm, picture, ...), over there
    front.shutdown()

Messages go over a socket pair (`channel`), by number: (function, arguments) there, None to give that one up; (whether
it went well, value or exception, whether the engine is dead) back. Functions must be importable. The process ends with
the socket, and with its parent however that ends (`lifeline`).
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import itertools
import logging
import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from loguru import logger

from ...errors import one_line
from ...workers import owner_watch
from ...workers.log_level import LOG_LEVEL
from . import async_llm as llms
from .channel import Channel, Unreadable


class EngineProcess:
    """The parent's side; belongs to one event loop. Made by `start`."""

    def __init__(self, process: subprocess.Popen[bytes], ours: socket.socket) -> None:
        self.errored = False
        """The process is gone, or says that its engine is dead."""
        self._process = process
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()
        self._channel = Channel(ours, self._hear, self._end)

    @classmethod
    async def start(cls, make: Callable[..., Any], *args: Any, environment: Mapping[str, str]) -> EngineProcess:
        """Start a process with ``make(*args)``, an AsyncLLM, in it.

        Raises:
            Anything that ``make`` raises; ConnectionError if the process ends.
        """
        ours, theirs = socket.socketpair()
        environment = {**environment, owner_watch.VARIABLE: owner_watch.offer()}
        command = [sys.executable, "-m", __name__, str(theirs.fileno())]
        with theirs:
            process = subprocess.Popen(
                command,
                pass_fds=[theirs.fileno()],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=2,
                start_new_session=True,  # Ctrl-C means the parent, which says what becomes of the engine
            )
        front = cls(process, ours)
        try:
            await front._ask(make, *args)
        except BaseException:
            await asyncio.to_thread(front.shutdown, 1.0)
            raise
        return front

    @property
    def pid(self) -> int:
        """Of the process; the engine's are its children."""
        return self._process.pid

    async def apply(self, function: Callable[..., Awaitable[Any]], *args: Any) -> Any:
        """``await function(llm, *args)`` over there; given up there if it is here.

        Raises:
            Anything that it raises (RuntimeError for what can't be sent), Unreadable if the arguments or the value
            can't be unpickled, ConnectionError if the process ends.
        """
        return await self._ask(function, *args)

    def shutdown(self, timeout: float = 10.0) -> None:
        """End the process and its engine; from any thread, and any number of times."""
        self.errored = True
        self._channel.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its engine ends with it
            self._process.wait()

    async def _ask(self, function: Callable[..., Any], *args: Any) -> Any:
        if self.errored:
            raise ConnectionError("the engine's process is gone")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._channel.say(number, (function, args))
            return await answer
        except asyncio.CancelledError:
            self._channel.say(number, None)
            raise
        finally:
            del self._waiting[number]

    def _hear(self, number: int, message: Any) -> None:
        well, value, dead = (False, message, False) if isinstance(message, Unreadable) else message
        self.errored = self.errored or dead
        if (future := self._waiting.get(number)) is None or future.done():
            return
        if well:
            future.set_result(value)
        else:
            future.set_exception(value)

    def _end(self) -> None:
        self.errored = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionError("the engine's process ended"))


def apply(llm: Any, function: Callable[..., Awaitable[Any]], *args: Any) -> Awaitable[Any]:
    """``function(llm, *args)`` in the process that has the AsyncLLM."""
    return llm.apply(function, *args) if isinstance(llm, EngineProcess) else function(llm, *args)


def _sendable(error: Exception) -> Exception:
    """An exception that arrives as what it is, or else says so."""
    with contextlib.suppress(Exception):
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    return RuntimeError(one_line(error, 300, named=True))


class _EngineServer:
    """The other side."""

    def __init__(self, theirs: socket.socket) -> None:
        self._llm: Any = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._over = asyncio.Event()
        self._channel = Channel(theirs, self._hear, self._over.set)

    async def serve(self) -> None:
        await self._over.wait()  # the parent has had enough
        for task in self._tasks.values():
            task.cancel()
        llms.quiet(self._llm)
        await asyncio.to_thread(llms.shutdown, self._llm, 5.0)

    def _hear(self, number: int, message: Any) -> None:
        if message is None:
            if number in self._tasks:
                self._tasks[number].cancel()
        elif isinstance(message, Unreadable):
            self._channel.say(number, (False, message, False))
        else:
            work = self._do if self._llm else self._make
            self._tasks[number] = task = asyncio.create_task(work(number, *message))
            task.add_done_callback(lambda task: self._done(number, task))

    def _done(self, number: int, task: asyncio.Task[None]) -> None:
        del self._tasks[number]
        if task.cancelled():  # who did not ask for that must not wait for ever
            self._channel.say(number, (False, RuntimeError("the request was given up"), False))

    async def _make(self, number: int, make: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            self._llm = await asyncio.to_thread(make, *args)
        except Exception as error:
            self._channel.say(number, (False, _sendable(error), True))
        else:
            gc.collect()
            gc.freeze()  # a million objects of vLLM's and torch's that stay: nothing for later collections to go over
            self._channel.say(number, (True, None, False))

    async def _do(self, number: int, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        try:
            value = await function(self._llm, *args)
            self._channel.say(number, (True, value, llms.dead(self._llm)))
        except Exception as error:
            dead = llms.dead(self._llm) or await llms.dies(self._llm)
            self._channel.say(number, (False, _sendable(error), dead))


async def _main(theirs: int) -> None:
    await _EngineServer(socket.socket(fileno=theirs)).serve()


if __name__ == "__main__":
    owner_watch.hold()
    os.environ[owner_watch.VARIABLE] = owner_watch.offer()
    logger.remove()
    level = os.environ.get(LOG_LEVEL, "WARNING")
    logger.add(sys.stderr, level=level, format="{level: <7} {message}", diagnose=False)
    if level != "DEBUG":
        logging.disable(logging.WARNING)
    asyncio.run(_main(int(sys.argv[1])))
