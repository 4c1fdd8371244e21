"""Readers-writer locks, for threads and for asyncio: many hold one ``shared``, or one holds it ``alone``.

They are two classes with the same rules: one blocks its thread where the other gives the event loop back. While
somebody waits to hold a lock alone, nobody else begins to share it.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Iterator


class ExclusiveLock:
    """A readers-writer lock for threads."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._sharing = 0
        self._alone = False
        self._waiting = 0

    @property
    def waiting(self) -> int:
        """Number of threads that wait to be alone."""
        return self._waiting

    @contextlib.contextmanager
    def shared(self) -> Iterator[None]:
        """Run while nobody runs, or waits to run, alone."""
        with self._changed:
            self._changed.wait_for(lambda: not self._alone and not self._waiting)
            self._sharing += 1
        try:
            yield
        finally:
            with self._changed:
                self._sharing -= 1
                self._changed.notify_all()

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Run while nobody else does."""
        with self._changed:
            self._waiting += 1
            self._changed.wait_for(lambda: not self._alone and not self._sharing)
            self._waiting -= 1
            self._alone = True
        try:
            yield
        finally:
            with self._changed:
                self._alone = False
                self._changed.notify_all()


class AsyncExclusiveLock:
    """A readers-writer lock for the tasks of one event loop."""

    def __init__(self) -> None:
        self._changed = asyncio.Condition()
        self._inside = 0
        self._alone = 0

    @property
    def closed(self) -> bool:
        """Whether somebody is, or waits to be, alone."""
        return self._alone > 0

    @contextlib.asynccontextmanager
    async def shared(self) -> AsyncIterator[None]:
        """Run while nobody runs, or waits to run, alone."""
        async with self._changed:
            await self._changed.wait_for(lambda: not self._alone)
            self._inside += 1
        try:
            yield
        finally:
            await self._leave()

    @contextlib.asynccontextmanager
    async def alone(self) -> AsyncIterator[None]:
        """Run while nobody else does."""
        self._alone += 1
        try:
            async with self._changed:
                await self._changed.wait_for(lambda: self._inside == 0)
                self._inside += 1
            try:
                yield
            finally:
                await self._leave()
        finally:
            self._alone -= 1
            async with self._changed:
                self._changed.notify_all()

    async def _leave(self) -> None:
        async with self._changed:
            self._inside -= 1
            self._changed.notify_all()
