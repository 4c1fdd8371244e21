"""An AsyncLLM in a process of its own, which also prepares its pictures and prompts and turns its tokens into text.

That work takes two thirds of a core for 150 crops a second, most of it in Python that holds the interpreter's lock:
one process can feed one engine only. Besides, the environment of a process says which GPUs its engine sees
(`hardware.visible_devices`).

::

    process = await EngineProcess.start(create, arguments, environment=pinned(os.environ, "cuda", [1]))
    text = await process.apply(predict, picture, prompt, sampling)     # predict(llm, picture, ...) in that process
    process.shutdown()

Messages go over a socket pair (`channel`) and are numbered. To the process: (function, arguments) of a call, or None to
cancel the call of that number. Back: (whether it succeeded, value or exception, whether the engine is dead). Functions
must be importable. The process ends with the socket, and with its parent however that ends (`workers.owner_watch`).
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
from . import async_llm
from .channel import Channel, Unreadable


class EngineProcess:
    """The parent's side; belongs to one event loop. Made by `start`."""

    def __init__(self, process: subprocess.Popen[bytes], ours: socket.socket) -> None:
        self.errored = False
        """Whether the process is gone, or says that its engine is dead. As an AsyncLLM's."""
        self._process = process
        self._waiting: dict[int, asyncio.Future[Any]] = {}
        self._numbers = itertools.count()
        self._channel = Channel(ours, self._on_answer, self._on_end)

    @classmethod
    async def start(cls, create: Callable[..., Any], *args: Any, environment: Mapping[str, str]) -> EngineProcess:
        """Start a process that creates an AsyncLLM by ``create(*args)``; returns when it has.

        Raises:
            Anything that ``create`` raises; ConnectionError if the process ends.
        """
        ours, theirs = socket.socketpair()
        environment = {**environment, owner_watch.VARIABLE: owner_watch.owner_id()}
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
        started = cls(process, ours)
        try:
            await started.apply(create, *args)
        except BaseException:
            await asyncio.to_thread(started.shutdown, 1.0)
            raise
        return started

    @property
    def pid(self) -> int:
        """Id of the process; the engine's processes are its children."""
        return self._process.pid

    async def apply(self, function: Callable[..., Any], *args: Any) -> Any:
        """The result of ``await function(llm, *args)`` in the process; cancelled there if it is cancelled here.

        Raises:
            Anything that it raises (RuntimeError for what can't be sent), Unreadable if the arguments or the value
            can't be unpickled, ConnectionError if the process ends.
        """
        if self.errored:
            raise ConnectionError("the engine's process is gone")
        number = next(self._numbers)
        answer = self._waiting[number] = asyncio.get_running_loop().create_future()
        try:
            self._channel.send(number, (function, args))
            return await answer
        except asyncio.CancelledError:
            self._channel.send(number, None)
            raise
        finally:
            del self._waiting[number]

    def shutdown(self, timeout: float = 10.0) -> None:
        """End the process and its engine; from any thread, and any number of times."""
        self.errored = True
        self._channel.close()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self._process.kill()  # its engine ends with it
            self._process.wait()

    def _on_answer(self, number: int, message: Any) -> None:
        succeeded, value, dead = (False, message, False) if isinstance(message, Unreadable) else message
        self.errored = self.errored or dead
        if (future := self._waiting.get(number)) is None or future.done():
            return
        if succeeded:
            future.set_result(value)
        else:
            future.set_exception(value)

    def _on_end(self) -> None:
        self.errored = True
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(ConnectionError("the engine's process ended"))


def apply(llm: Any, function: Callable[..., Awaitable[Any]], *args: Any) -> Awaitable[Any]:
    """``function(llm, *args)`` in the process that has the AsyncLLM: this one, or an `EngineProcess`."""
    return llm.apply(function, *args) if isinstance(llm, EngineProcess) else function(llm, *args)


def _sendable(error: Exception) -> Exception:
    """The exception if it can be pickled and unpickled, else a RuntimeError with its message."""
    with contextlib.suppress(Exception):
        if type(pickle.loads(pickle.dumps(error))) is type(error):
            return error
    return RuntimeError(one_line(error, 300, named=True))


class _EngineServer:
    """The side of the process that has the AsyncLLM. The first call creates that, all others are functions on it."""

    def __init__(self, theirs: socket.socket) -> None:
        self._llm: Any = None
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._over = asyncio.Event()
        self._channel = Channel(theirs, self._on_call, self._over.set)

    async def serve(self) -> None:
        """Answer calls until the parent closes the socket, then stop the engine."""
        await self._over.wait()
        for task in self._tasks.values():
            task.cancel()
        async_llm.cancel_output_handler(self._llm)
        await asyncio.to_thread(async_llm.shutdown, self._llm, 5.0)

    def _on_call(self, number: int, message: Any) -> None:
        if message is None:
            if number in self._tasks:
                self._tasks[number].cancel()
        elif isinstance(message, Unreadable):
            self._channel.send(number, (False, message, False))
        else:
            work = self._call if self._llm else self._create
            self._tasks[number] = task = asyncio.create_task(work(number, *message))
            task.add_done_callback(lambda task: self._done(number, task))

    def _done(self, number: int, task: asyncio.Task[None]) -> None:
        del self._tasks[number]
        if task.cancelled():  # also by itself: whoever waits for it must not wait for ever
            self._channel.send(number, (False, RuntimeError("the request was given up"), False))

    async def _create(self, number: int, create: Callable[..., Any], args: tuple[Any, ...]) -> None:
        try:
            self._llm = await asyncio.to_thread(create, *args)
        except Exception as error:
            self._channel.send(number, (False, _sendable(error), True))
        else:
            gc.collect()
            gc.freeze()  # a million objects of vLLM and torch stay: later collections need not go over them
            self._channel.send(number, (True, None, False))

    async def _call(self, number: int, function: Callable[..., Awaitable[Any]], args: tuple[Any, ...]) -> None:
        try:
            value = await function(self._llm, *args)
            self._channel.send(number, (True, value, async_llm.is_dead(self._llm)))
        except Exception as error:
            dead = async_llm.is_dead(self._llm) or await async_llm.dies(self._llm)
            self._channel.send(number, (False, _sendable(error), dead))


async def _main(theirs: int) -> None:
    await _EngineServer(socket.socket(fileno=theirs)).serve()


if __name__ == "__main__":
    owner_watch.watch()
    os.environ[owner_watch.VARIABLE] = owner_watch.owner_id()
    logger.remove()
    level = os.environ.get(LOG_LEVEL, "WARNING")
    logger.add(sys.stderr, level=level, format="{level: <7} {message}", diagnose=False)
    if level != "DEBUG":
        logging.disable(logging.WARNING)
    asyncio.run(_main(int(sys.argv[1])))
