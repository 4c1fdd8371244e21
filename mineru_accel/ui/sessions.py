"""Users' sessions: each has its own files, which are deleted some time after it was last used."""

from __future__ import annotations

import secrets
import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from .conversion import Conversion

_GRACE = 120.0
"""Seconds after which a closed page counts as left: networks break for a moment."""


@dataclass(slots=True)
class Selection:
    """The page of a conversion that its user looks at."""

    file: int = 0
    """Number of the file."""
    position: int = 0
    """Place among the pages to convert."""
    follow: bool = True
    """Whether to go on to each new page: until the user chooses one."""


@dataclass(slots=True)
class Session:
    """One user: a tab of a browser, or a client of the API."""

    folder: Path
    """Its name can't be guessed, and has nothing of the user's in it."""
    conversions: list[Conversion] = field(default_factory=list)
    shown: Conversion | None = None
    """The conversion on the web page."""
    selection: Selection = field(default_factory=Selection)
    used: float = field(default_factory=time.monotonic)
    """When it was last heard of."""
    left: float | None = None
    """When the page was closed; None while it is open."""

    def forget(self, conversion: Conversion) -> None:
        """Delete a finished conversion and its files."""
        self.conversions.remove(conversion)
        shutil.rmtree(conversion.folder, ignore_errors=True)

    def new_folder(self) -> Path:
        """Make a folder for one more conversion."""
        folder = self.folder / secrets.token_hex(8)
        folder.mkdir(mode=0o700, parents=True)
        return folder

    @property
    def active(self) -> bool:
        """Whether any conversion is not finished."""
        return any(not conversion.finished for conversion in self.conversions)


class Sessions:
    """All sessions.

    Args:
        root: Where their folders are made.
        keep_seconds: Time that a session's files are kept after it was last heard of, or had something converted.
        on_close: Called with a session before its files are deleted.
    """

    def __init__(self, root: Path, keep_seconds: float, on_close: Callable[[Session], None]) -> None:
        self.root = root
        self._keep_seconds = keep_seconds
        self._on_close = on_close
        self._sessions: dict[str, Session] = {}
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._expire_regularly, name="sessions", daemon=True)
        self._thread.start()

    def get(self, key: str | None) -> Session:
        """The session of a key that the browser made up; a new one for an unknown key."""
        with self._lock:
            session = self._sessions.get(key or "")
            if session is None:
                session = Session(self.root / secrets.token_hex(16))
                self._sessions[key or secrets.token_hex(16)] = session
            session.used, session.left = time.monotonic(), None
            return session

    def leave(self, key: str | None) -> None:
        """The page was closed: unless it is opened again, its files are deleted soon."""
        with self._lock:
            if session := self._sessions.get(key or ""):
                session.left = time.monotonic()

    def active_conversions(self) -> int:
        """Number of conversions under way or waiting."""
        return sum(not conversion.finished for session in self.all() for conversion in session.conversions)

    def all(self) -> list[Session]:
        """Every session that is not deleted."""
        with self._lock:
            return list(self._sessions.values())

    def expire(self) -> None:
        """Delete the sessions that are over."""
        now = time.monotonic()
        with self._lock:
            gone = [k for k, s in self._sessions.items() if self._is_over(s, now)]
            sessions = [self._sessions.pop(k) for k in gone]
        for session in sessions:
            self._delete(session)

    def stop_expiring(self) -> None:
        """Delete no session from now on unless told to."""
        self._stop.set()

    def close(self) -> None:
        """Delete everything."""
        self.stop_expiring()
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
        return now - session.used > self._keep_seconds

    def _delete(self, session: Session) -> None:
        self._on_close(session)
        shutil.rmtree(session.folder, ignore_errors=True)

    def _expire_regularly(self) -> None:
        while not self._stop.wait(min(15.0, self._keep_seconds / 4)):
            self.expire()
