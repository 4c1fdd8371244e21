"""How far a run is: pages and documents done and expected, pages a second, the time left."""

from __future__ import annotations

import time
from pathlib import Path

from ..events import DocumentDone, DocumentStarted, Event, PageDone, RunStarted

_ETA_PAGES = 8
"""Pages after which the time left is estimated: the first ones wait for models to load."""


class RunProgress:
    """Counts a run's pages and documents by its events."""

    def __init__(self) -> None:
        self.documents = self.documents_done = self.pages_known = self.pages_done = self.opened = 0
        self.resumed = 0
        """Pages that an earlier run has done."""
        self.names: dict[int, str] = {}
        """File names of the documents under way, by number."""
        self.started = time.monotonic()

    def add(self, event: Event) -> None:
        """Count an event of the run."""
        if isinstance(event, RunStarted):
            self.documents = event.documents
            self.started = time.monotonic()
        elif isinstance(event, DocumentStarted):
            self.opened += 1
            self.pages_known += event.pages
            self.pages_done += event.resumed
            self.resumed += event.resumed
            self.names[event.document] = Path(event.path).name
        elif isinstance(event, PageDone):
            self.pages_done += 1
        elif isinstance(event, DocumentDone):
            self.documents_done += 1
            if self.names.pop(event.document, None) is None:  # failed before it was opened
                self.opened += 1

    @property
    def documents_expected(self) -> int:
        """Documents of the run; of a watched folder, those that have arrived."""
        return max(self.documents, self.opened)

    @property
    def pages_expected(self) -> int:
        """Pages of the run: those of opened documents, and their mean for each of the others."""
        return round(self.pages_known * self.documents_expected / self.opened) if self.opened else 0

    @property
    def rate(self) -> float:
        """Pages a second since the run began."""
        return (self.pages_done - self.resumed) / max(time.monotonic() - self.started, 1e-3)

    @property
    def eta(self) -> float | None:
        """Seconds left; None until enough pages are done."""
        if self.pages_done - self.resumed < _ETA_PAGES:
            return None
        return (self.pages_expected - self.pages_done) / self.rate

    def line(self) -> str:
        """Where the run is, in one line."""
        left = f", about {duration(self.eta)} left" if self.eta else ""
        documents = f"{self.documents_done}/{self.documents_expected} documents"
        return f"{self.pages_done}/{self.pages_expected} pages, {documents}, {self.rate:.1f} pages/s{left}"


def duration(seconds: float | None) -> str:
    """Seconds for people: ``4.2 s``, ``38 s``, ``2:05``, ``1:02:09``; ``?`` for None."""
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
