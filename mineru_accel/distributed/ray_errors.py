"""What Ray says to the terminal: its errors go to the log, which is on standard error as all of ours."""

from __future__ import annotations

import contextlib
import importlib
import os
import sys
import tempfile
from collections.abc import Iterator
from typing import Any

from loguru import logger

_NOTICE = b"from environment variable RAY_BACKEND_LOG_LEVEL"
_OWN_DOING = "killed by `ray.kill`"
"""An actor that was ended on purpose, by Ray Data or us: crashes and kills from outside read otherwise."""


class Errors:
    """Ray's errors (lost processes, failed tasks) as warnings. Ray prints them on standard output, among our events.

    What is replaced is internal to Ray (``print_to_stdstream``, 2.60); where it is not there, Ray prints.
    """

    def __init__(self) -> None:
        self.expected = False
        """Are we leaving? What was under way then fails, and nobody needs to hear of it."""
        self._known: Any = None

    def listen(self) -> None:
        module: Any = importlib.import_module("ray._private.worker")
        self._known = getattr(module, "print_to_stdstream", None)
        if self._known is not None:
            module.print_to_stdstream = self._log

    def close(self) -> None:
        if self._known is not None:
            module: Any = importlib.import_module("ray._private.worker")
            if module.print_to_stdstream == self._log:
                module.print_to_stdstream = self._known

    def _log(self, data: dict[str, Any], *args: object, **kwargs: object) -> None:
        for text in data.get("lines", ()):
            ended = self.expected or _OWN_DOING in text  # which comes before we hear of Ctrl-C
            logger.log("DEBUG" if ended else "WARNING", "Ray: {}", " ".join(text.split())[:200])


@contextlib.contextmanager
def without_notice() -> Iterator[None]:
    """What this process says on standard error is held back, and then said but for one line.

    Ray notices that ``RAY_BACKEND_LOG_LEVEL`` is set, whatever it is set to, when it connects.
    """
    sys.stderr.flush()
    kept = os.dup(2)
    with tempfile.TemporaryFile() as said:
        os.dup2(said.fileno(), 2)
        try:
            yield
        finally:
            sys.stderr.flush()
            os.dup2(kept, 2)
            os.close(kept)
            said.seek(0)
            for text in said:
                if _NOTICE not in text:
                    os.write(2, text)
