"""Locks on files and folders, also against other processes; they end with the process that holds them."""

from __future__ import annotations

import fcntl

from loguru import logger


def lock(fd: int, *, wait: bool) -> None:
    """Lock an open file or folder for this descriptor alone. On file systems without locks this does nothing.

    Raises:
        BlockingIOError: if another one has it, and ``wait`` is False.
    """
    try:
        fcntl.flock(fd, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise
    except OSError as error:
        logger.debug("no lock: {}", error)
