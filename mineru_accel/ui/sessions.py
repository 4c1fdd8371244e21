"""Users and their files: kept apart, for a while, then deleted."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .conversion import Job

_GRACE = 120.0
"""Seconds after which somebody who closed the page is not coming back: networks break for a moment."""


@dataclass(slots=True)
class View:
    """What of a job its user is looking at."""

    file: int = 0
    position: int = 0
    """Among the converted pages."""
    follow: bool = True
    """Go on to each new page, as long as nobody has chosen one."""


@dataclass(slots=True)
class Session:
    """One user: a tab of a browser, or a client of the API."""

    folder: Path
    """A name that can't be guessed, and has nothing of the user's in it."""
    jobs: list[Job] = field(default_factory=list)
    job: Job | None = None
    """The one that the page shows."""
    view: View = field(default_factory=View)
    used: float = field(default_factory=time.monotonic)
    left: float | None = None
    """When the page was closed."""

    def forget(self, job: Job) -> None:
        """Delete a job that is over, and its files."""
        self.jobs.remove(job)
        shutil.rmtree(job.folder, ignore_errors=True)

    def new_folder(self) -> Path:
        """A folder for one more job."""
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir(mode=0o700, parents=True)
        return folder

    @property
    def active(self) -> bool:
        """Is anything of it still being converted?"""
        return any(not job.over for job in self.jobs)


class Sessions:
    """Everybody who is here.

    Args:
        root: where their folders are made.
        keep: seconds that a session's files are kept after it was last heard of, or had something converted.
        on_close: called with a session before its files are deleted.
    """

    def __init__(self, root: Path, keep: float, on_close: Callable[[Session], None]) -> None:
        self._root = root
        self._keep = keep
        self._on_close = on_close
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._expire, name="sessions", daemon=True)
        self._thread.start()

    def of(self, key: str | None) -> Session:
        """The session of a key that the browser made up; a new one for nobody known."""
        with self._lock:
            session = self._sessions.get(key or "")
            if session is None:
                session = Session(self._root / secrets.token_hex(16))
                self._sessions[key or secrets.token_hex(16)] = session
            session.used, session.left = time.monotonic(), None
            return session

    def leave(self, key: str | None) -> None:
        """The page was closed: unless somebody returns, its files go soon."""
        with self._lock:
            if session := self._sessions.get(key or ""):
                session.left = time.monotonic()

    def active_jobs(self) -> int:
        """Conversions under way or waiting."""
        with self._lock:
            return sum(not job.over for session in self._sessions.values() for job in session.jobs)

    def expire(self) -> None:
        """Delete what is no longer needed."""
        now = time.monotonic()
        with self._lock:
            gone = [k for k, s in self._sessions.items() if self._is_over(s, now)]
            sessions = [self._sessions.pop(k) for k in gone]
        for session in sessions:
            self._delete(session)

    def close(self) -> None:
        """Delete everything."""
        self._stop.set()
        with self._lock:
            sessions = list(self._sessions.values())
            self._sessions.clear()
        for session in sessions:
            self._delete(session)

    def _is_over(self, session: Session, now: float) -> bool:
        if session.left is not None and now - session.left > _GRACE:
            return True
        if session.active:
            session.used = now  # results of a long conversion are kept as long as those of a short one
        return now - session.used > self._keep

    def _delete(self, session: Session) -> None:
        self._on_close(session)
        shutil.rmtree(session.folder, ignore_errors=True)

    def _expire(self) -> None:
        while not self._stop.wait(min(15.0, self._keep / 4)):
            self.expire()
