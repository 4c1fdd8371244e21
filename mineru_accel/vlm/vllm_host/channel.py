"""Messages between two processes over a socket: any object, with pictures in a few tenths of a millisecond (0.6 MB).

One thread sends and another receives: an event loop would wake up for every 200 kB that the socket takes. A message is
a pickle of its number and of the lengths of what follows: a pickle of the object, and the bytes of each picture or
memoryview in it, which are not copied again. The memory of a memoryview must not change until the other end has
answered.
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
"""Modes of pictures that are nothing but their pixels (no palette)."""


class Unreadable(ValueError):
    """A message can't be unpickled at the other end."""


class Channel:
    """One end of a stream socket, which it takes over; belongs to the running event loop.

    Args:
        on_message: called in the loop with each message's number and object; an `Unreadable` if that can't be
            unpickled.
        on_close: called in the loop once, when no more messages can come.
    """

    def __init__(
        self, stream: socket.socket, on_message: Callable[[int, Any], object], on_close: Callable[[], object]
    ) -> None:
        self._stream = stream
        self._on_message = on_message
        self._on_close = on_close
        self._loop = asyncio.get_running_loop()
        self._out: queue.SimpleQueue[list[Any] | None] = queue.SimpleQueue()
        for work in (self._send_all, self._receive_all):
            threading.Thread(target=work, name="channel", daemon=True).start()

    def send(self, number: int, message: Any) -> None:
        """Send a message. It is lost if the other end is gone.

        Raises:
            Anything that pickling it raises.
        """
        self._out.put(_packed(number, message))

    def close(self) -> None:
        """Send and receive no more; from any thread, and any number of times."""
        with contextlib.suppress(OSError):
            self._stream.shutdown(socket.SHUT_RDWR)
        self._out.put(None)

    def _send_all(self) -> None:
        with contextlib.suppress(OSError):  # the other end is gone, which `_receive_all` notices as well
            while (parts := self._out.get()) is not None:
                for part in parts:
                    self._stream.sendall(part)

    def _receive_all(self) -> None:
        ended = contextlib.suppress(EOFError, OSError, pickle.UnpicklingError)
        try:
            with self._stream.makefile("rb", _READ_AHEAD) as file, ended:
                while True:
                    self._post(self._on_message, *_unpacked(file))
        finally:  # also after a bug: whoever waits for an answer must not wait for ever
            self._stream.close()
            self._post(self._on_close)

    def _post(self, call: Callable[..., object], *args: Any) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed
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
    except Exception as error:  # anything: unpickling runs what the message names
        return number, Unreadable(f"can't be unpickled: {type(error).__name__}: {error}")


def _exactly(file: Any, length: int) -> bytearray:
    data = bytearray(length)
    if file.readinto(data) < length:
        raise EOFError
    return data
