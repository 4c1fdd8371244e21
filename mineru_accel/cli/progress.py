"""Showing a run's events: bars on a terminal, plain lines when piped, JSON lines for machines."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from ..document import DocumentResult, PageStatus
from ..events import DocumentDone, DocumentStarted, Event, PageDone, RunDone, RunStarted, as_json

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text


_ENOUGH = 8
_SHOWN = 10
"""Failures in the summary of a run."""


class Reporter(AbstractContextManager["Reporter"]):
    """Shows nothing; base of the others. ``on_event`` may be called from any thread."""

    broken = False
    """Is there nobody any more to read what is shown?"""

    def on_event(self, event: Event) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


def make_reporter(kind: str) -> Reporter:
    """The reporter for ``--progress``: auto, rich, plain, json or none."""
    if kind == "auto":
        kind = "rich" if sys.stderr.isatty() else "plain"
    if kind == "rich":
        return RichReporter()
    if kind == "plain":
        return PlainReporter(sys.stderr)
    if kind == "json":
        return JsonReporter(sys.stdout)
    return Reporter()


class JsonReporter(Reporter):
    """One JSON object a line, flushed at once."""

    def __init__(self, out: TextIO) -> None:
        self._out = out
        self._lock = threading.Lock()

    def on_event(self, event: Event) -> None:
        with self._lock:
            if self.broken:
                return
            try:
                print(as_json(event.to_dict()), file=self._out, flush=True)
            except BrokenPipeError:
                self.broken = True
                os.dup2(os.open(os.devnull, os.O_WRONLY), self._out.fileno())  # else the flush at exit complains


class PlainReporter(Reporter):
    """A line when a document starts to take long, one every few seconds, one when it is done."""

    def __init__(self, out: TextIO, every: float = 5.0) -> None:
        self._out = out
        self._every = every
        self._lock = threading.Lock()
        self._tally = Tally()
        self._last = time.monotonic()

    def on_event(self, event: Event) -> None:
        with self._lock:
            self._tally.add(event)
            line = None
            if isinstance(event, RunStarted):
                documents = f"{event.documents} document(s)" if event.documents else "waiting for documents"
                line = f"{documents}; {event.reason}"
            elif isinstance(event, DocumentDone):
                line = describe(event.result)
            elif isinstance(event, PageDone):
                if event.error:
                    line = f"{self._tally.names.get(event.document, '?')}: page {event.index + 1}: {event.error}"
                elif time.monotonic() - self._last > self._every:
                    line = self._tally.line()
            elif isinstance(event, RunDone):
                line = summary(event)
            if line:
                self._last = time.monotonic()
                print(line, file=self._out, flush=True)


class Tally:
    """Counts what has been done, for rates and estimates."""

    def __init__(self) -> None:
        self.documents = self.documents_done = self.pages_known = self.pages_done = self.opened = 0
        self.resumed = 0
        self.names: dict[int, str] = {}
        self.started = time.monotonic()

    def add(self, event: Event) -> None:
        if isinstance(event, RunStarted):
            self.documents = event.documents
            self.started = time.monotonic()
        elif isinstance(event, DocumentStarted):
            self.opened += 1
            self.pages_known += event.pages
            self.pages_done += event.resumed
            self.resumed += event.resumed
            self.names[event.document] = shown(Path(event.path).name)
        elif isinstance(event, PageDone):
            self.pages_done += 1
        elif isinstance(event, DocumentDone):
            self.documents_done += 1
            if self.names.pop(event.document, None) is None:  # failed before it was opened
                self.opened += 1

    @property
    def documents_expected(self) -> int:
        """Documents of the run; of a folder that is watched those that have arrived."""
        return max(self.documents, self.opened)

    @property
    def pages_expected(self) -> int:
        """Pages of the run: known of opened documents, guessed by their mean for the others."""
        return round(self.pages_known * self.documents_expected / self.opened) if self.opened else 0

    @property
    def rate(self) -> float:
        """Pages a second since the run began."""
        return (self.pages_done - self.resumed) / max(time.monotonic() - self.started, 1e-3)

    @property
    def eta(self) -> float | None:
        """Seconds left, if that can be told: not from the first pages, which waited for models to load."""
        return (
            (self.pages_expected - self.pages_done) / self.rate if self.pages_done - self.resumed >= _ENOUGH else None
        )

    def line(self) -> str:
        left = f", about {duration(self.eta)} left" if self.eta else ""
        of = self.pages_expected
        return (
            f"{self.pages_done}/{of} pages, {self.documents_done}/{self.documents_expected} documents, "
            f"{self.rate:.1f} pages/s{left}"
        )


class RichReporter(Reporter):
    """A bar over pages and one over documents, with pages/s and the time left; a line per finished document above."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

        self._tally = Tally()
        self._console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            _rate_column(self._tally),
            console=self._console,
            expand=True,
        )
        self._pages = self._progress.add_task("pages", total=None)
        self._documents = self._progress.add_task("documents", total=None)

    def __enter__(self) -> RichReporter:
        self._progress.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._progress.stop()

    def on_event(self, event: Event) -> None:
        from rich.markup import escape

        self._tally.add(event)
        tally = self._tally
        if isinstance(event, RunStarted):
            self._console.print(f"[dim]{escape(event.reason)}[/]", highlight=False)
        elif isinstance(event, DocumentDone):
            result = event.result
            mark = "[green]✓[/]" if result.ok else "[yellow]-[/]" if result.skipped else "[red]✗[/]"
            self._console.print(f"{mark} {escape(describe(result))}", highlight=False)
        elif isinstance(event, PageDone) and event.error:
            name = tally.names.get(event.document, "?")
            self._console.print(
                f"[red]✗[/] {escape(f'{name}: page {event.index + 1}: {event.error}')}", highlight=False
            )
        elif isinstance(event, RunDone):
            self._console.print(escape(summary(event)), highlight=False)
        self._progress.update(self._pages, completed=tally.pages_done, total=tally.pages_expected or None)
        self._progress.update(self._documents, completed=tally.documents_done, total=tally.documents_expected or None)


def _rate_column(tally: Tally) -> ProgressColumn:
    from rich.progress import ProgressColumn
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Pages/s on the first bar, the time left on the second."""

        def render(self, task: Task) -> Text:
            if not tally.pages_done:
                return Text("")
            if task.description == "pages":
                return Text(f"{tally.rate:.1f} pages/s")
            return Text(f"{duration(tally.eta)} left" if tally.eta else "")

    return RateColumn()


def describe(result: DocumentResult) -> str:
    """One line about a finished document."""
    path, folder = shown(str(result.path)), shown(str(result.output_dir))
    failed = [p.index + 1 for p in result.pages if p.status is PageStatus.FAILED]
    if result.skipped:
        but = f", {len(failed)} failed ({_numbers(failed)})" if failed else ""
        return f"{path}: {folder} is there already{but}; --overwrite replaces it"
    if result.error and not result.files:
        return f"{path}: {result.error}"
    parts = [f"{path} -> {folder}: {len(result.pages)} page(s) in {result.seconds:.1f} s"]
    if failed:
        parts.append(f"{len(failed)} failed ({_numbers(failed)})")
    if result.error:
        parts.append(result.error)
    return "; ".join(parts)


def summary(event: RunDone) -> str:
    """A finished run: a line with its counts, one on where the time went, and one for each of the first failures."""
    rate = f"{event.pages_per_second:.1f} pages/s"
    text = f"{event.documents} document(s), {event.pages} page(s) in {duration(event.seconds)} ({rate})"
    if event.skipped_documents:
        text += f"; {event.skipped_documents} were there already"
    if event.resumed_pages:
        text += f"; {event.resumed_pages} page(s) were done by an earlier run"
    if event.failed_documents:
        text += f"; {event.failed_documents} document(s) with failures, {event.failed_pages} page(s) failed"
    if event.stopped:
        text += f"; {event.stopped}"
    lines = [text]
    whole = sum(event.stage_seconds.values())
    if whole >= 1:
        shares = (f"{stage} {seconds / whole:.0%}" for stage, seconds in event.stage_seconds.items())
        lines.append(f"{duration(whole)} of work: {', '.join(shares)}")
    if event.ocr_pages:
        reasons = (f"{count} because {reason}" for reason, count in event.ocr_pages.items())
        lines.append(f"read by OCR: {', '.join(reasons)}")
    for failure in event.failures[:_SHOWN]:
        page = f", page {failure['page']}" if "page" in failure else ""
        lines.append(f"failed: {shown(failure['path'])}{page}: {failure['error']}")
    if len(event.failures) > _SHOWN:
        lines.append(f"failed: {len(event.failures) - _SHOWN} more; --summary FILE writes them all")
    return "\n".join(lines)


def shown(path: str) -> str:
    """A path on one line, without control characters that a terminal would obey."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "replace").decode() for c in path)


def _numbers(pages: list[int]) -> str:
    shown = ", ".join(str(p) for p in pages[:8])
    return f"page {shown}" + (", ..." if len(pages) > 8 else "")


def duration(seconds: float | None) -> str:
    """Seconds for people: ``4.2 s``, ``38 s``, ``2:05``, ``1:02:09``; ``?`` for None."""
    if seconds is None:
        return "?"
    if seconds < 60:
        return f"{seconds:.1f} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes}:{rest:02}" if minutes < 60 else f"{minutes // 60}:{minutes % 60:02}:{rest:02}"
