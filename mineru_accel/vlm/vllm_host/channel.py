"""Messages between two processes over a socket, pictures among them; made for a crop of 0.6 MB at a few tenths of a
millisecond.

A thread sends and another receives: an event loop would be woken for every 200 kB that a socket takes. A message is a
pickle of its number and of the lengths of what follows: a pickle, and the bytes of each picture or memoryview in it,
which are not copied again. What a memoryview shows must stay as it is until there is an answer.
"""

from __future__ import annotations

import asyncio
import contextlib
import io
import pickle
import queue
import socket
import threading
from collections.abc import Callable
from typing import Any

_READ_AHEAD = 1 << 18
_MODES = ("RGB", "RGBA", "L")
"""Of pictures that are nothing but their pixels."""


class Unreadable(ValueError):
    """What was sent can't be made again at the other end."""


class Channel:
    """One end of a stream socket, which it takes over; belongs to the running event loop.

    Args:
        hear: called in the loop with each message that comes, and its number. The message is an `Unreadable` where it
            can't be unpickled.
        over: called in the loop once, when no more can come.
    """

    def __init__(self, stream: socket.socket, hear: Callable[[int, Any], object], over: Callable[[], object]) -> None:
        self._stream = stream
        self._hear = hear
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._out: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
        for work in (self._send, self._receive):
            threading.Thread(target=work, name="channel", daemon=True).start()

    def say(self, number: int, message: Any) -> None:
        """Send a message; it is lost if the other end is gone.

        Raises:
            Anything that pickling it raises.
        """
        self._out.put(_packed(number, message))

    def close(self) -> None:
        """Send and hear no more; from any thread, and any number of times."""
        with contextlib.suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)
        self._out.put(None)

    def _send(self) -> None:
        with contextlib.suppress(OSError):  # the other end is gone, which `_receive` notices as well
            while (parts := self._out.get()) is not None:
                for part in parts:
                    self._stream.sendall(part)

    def _receive(self) -> None:
        ended = contextlib.suppress(EOFError, OSError, pickle.UnpicklingError)
        try:
            with self._stream.makefile("rb", _READ_AHEAD) as file, ended:
                while True:
                    self._post(self._hear, *_unpacked(file))
        finally:  # also of a bug: who waits must not wait for ever
            self._stream.close()
            self._post(self._over)

    def _post(self, call: Callable[..., object], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody listens any more
            self._loop.call_soon_threadsafe(call, *args)


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        from PIL import Image

        if isinstance(value, memoryview):
            return memoryview, (pickle.PickleBuffer(value),)
        if isinstance(value, Image.Image) and value.mode in _MODES:
            return _picture, (value.mode, value.size, pickle.PickleBuffer(value.tobytes()))
        return NotImplemented


def _picture(mode: str, size: tuple[int, int], pixels: Any) -> Any:
    from PIL import Image

    return Image.frombuffer(mode, size, pixels, "raw", mode, 0, 1)


def _packed(number: int, message: Any) -> list[Any]:
    buffers: list[pickle.PickleBuffer] = []
    body = io.BytesIO()
    _Pickler(body, 5, buffer_callback=buffers.append).dump(message)
    parts = [body.getbuffer(), *(buffer.raw() for buffer in buffers)]
    return [pickle.dumps((number, [part.nbytes for part in parts])), *parts]


def _unpacked(file: Any) -> tuple[int, Any]:
    number, lengths = pickle.load(file)
    body, *buffers = [_exactly(file, length) for length in lengths]
    try:
        return number, pickle.loads(body, buffers=buffers)
    except Exception as error:  # anything: it runs what the message names
        return number, Unreadable(f"can't be unpickled: {type(error).__name__}: {error}")


def _exactly(file: Any, length: int) -> bytearray:
    data = bytearray(length)
    if file.readinto(data) < length:
        raise EOFError
    return data
