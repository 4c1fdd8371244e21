"""``OUT/{name}.partial``: the folder in which a document is made, locked for one run."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from ..errors import OutputError
from . import journal, page_store
from .file_lock import lock
from .output_folder import hidden_path

PARTIAL = ".partial"
"""Suffix of the folder."""


class WorkFolder:
    """``OUT/{name}.partial``, ours alone while it is open, in this process and others.

    Raises:
        OutputError: if another run has it, if it is none of ours, or can't be made.
    """

    def __init__(self, output: Path, name: str) -> None:
        self.path = output / f"{name}{PARTIAL}"
        try:
            self._fd = self._open(output / name)
        except OSError as error:
            raise OutputError(f"{output}: can't write there: {error.strerror or error}") from error
        self.journal = journal.Journal(self.path)

    def _open(self, target: Path) -> int:
        while True:
            with contextlib.suppress(FileExistsError):
                self.path.mkdir()
            fd = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                lock(fd, wait=False)
                if os.path.samestat(os.fstat(fd), os.stat(self.path)):
                    if any(self.path.iterdir()) and not (self.path / page_store.FOLDER).is_dir():
                        raise OutputError(f"{self.path} is in the way and no work of mineru-accel")
                    return fd
            except BlockingIOError:
                os.close(fd)
                raise OutputError(f"{target} is being made by another run") from None
            except FileNotFoundError:
                pass
            except BaseException:
                os.close(fd)
                raise
            os.close(fd)  # whoever had it has moved it away meanwhile

    def clear(self) -> None:
        """Delete what an earlier run left in it."""
        for left in list(self.path.iterdir()):
            if left.name != page_store.FOLDER:
                shutil.rmtree(left) if left.is_dir() and not left.is_symlink() else left.unlink()
        shutil.rmtree(self.path / page_store.FOLDER, ignore_errors=True)  # last: it marks the folder as ours

    def close(self, keep: bool = False) -> None:
        """Unlock it, and delete it unless it is kept for a later run or has become the result."""
        self.journal.close()
        if not keep and self.path.exists():
            deleted = hidden_path(self.path.parent, self.path.name)
            with contextlib.suppress(OSError):
                self.path.rename(deleted)
                shutil.rmtree(deleted, ignore_errors=True)
        os.close(self._fd)
