"""A folder that lives as long as its server: deleted at the end, or by the next server if this one is killed."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
from pathlib import Path

from ..errors import OutputError

_PREFIX = "mineru-accel-ui-"
_LOCK = ".lock"


class TemporaryFolder:
    """A new folder of random name, which only this user may enter. What killed servers left beside it is deleted.

    Args:
        parent: Made where it is missing.

    Raises:
        OutputError: if it can't be made.
    """

    def __init__(self, parent: Path) -> None:
        try:
            parent.mkdir(parents=True, exist_ok=True)
            _delete_abandoned(parent)
            self.path = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
            self._lock = os.open(self.path / _LOCK, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError as error:
            raise OutputError(f"{parent}: can't write there: {error.strerror or error}") from error

    def close(self) -> None:
        """Delete it; may be called twice."""
        shutil.rmtree(self.path, ignore_errors=True)
        with contextlib.suppress(OSError):
            os.close(self._lock)
        self._lock = -1


def _delete_abandoned(parent: Path) -> None:
    for folder in parent.glob(f"{_PREFIX}*"):
        try:
            lock = os.open(folder / _LOCK, os.O_RDWR | os.O_CLOEXEC)
        except OSError:  # not ours, or just being made
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)
        except OSError:  # held: that server is alive
            pass
        finally:
            os.close(lock)
