"""Showing a run's events: bars on a terminal, plain lines when piped, JSON lines for machines."""

from __future__ import annotations

import os
import sys
import threading
import time
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, TextIO

from ..conversion.progress import RunProgress, duration
from ..events import DocumentDone, Event, PageDone, RunDone, RunStarted, as_json
from .messages import describe, printable, summary

if TYPE_CHECKING:
    from rich.progress import ProgressColumn, Task
    from rich.text import Text


class Reporter(AbstractContextManager["Reporter"]):
    """Shows nothing; base of the others. ``on_event`` may be called from any thread."""

    broken = False
    """Whether the reader of the output is gone."""

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
        self._counts = RunProgress()
        self._last = time.monotonic()

    def on_event(self, event: Event) -> None:
        with self._lock:
            self._counts.add(event)
            line = None
            if isinstance(event, RunStarted):
                documents = f"{event.documents} document(s)" if event.documents else "waiting for documents"
                line = f"{documents}; {event.reason}"
            elif isinstance(event, DocumentDone):
                line = describe(event.result)
            elif isinstance(event, PageDone):
                if event.error:
                    line = _failed_page(self._counts, event)
                elif time.monotonic() - self._last > self._every:
                    line = self._counts.line()
            elif isinstance(event, RunDone):
                line = summary(event)
            if line:
                self._last = time.monotonic()
                print(line, file=self._out, flush=True)


class RichReporter(Reporter):
    """A bar over pages and one over documents, with pages/s and the time left; a line per finished document above."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn

        self._counts = RunProgress()
        self._console = Console(stderr=True)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<9}"),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            _rate_column(self._counts),
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

        self._counts.add(event)
        counts = self._counts
        if isinstance(event, RunStarted):
            self._console.print(f"[dim]{escape(event.reason)}[/]", highlight=False)
        elif isinstance(event, DocumentDone):
            result = event.result
            mark = "[green]✓[/]" if result.ok else "[yellow]-[/]" if result.skipped else "[red]✗[/]"
            self._console.print(f"{mark} {escape(describe(result))}", highlight=False)
        elif isinstance(event, PageDone) and event.error:
            self._console.print(f"[red]✗[/] {escape(_failed_page(counts, event))}", highlight=False)
        elif isinstance(event, RunDone):
            self._console.print(escape(summary(event)), highlight=False)
        self._progress.update(self._pages, completed=counts.pages_done, total=counts.pages_expected or None)
        self._progress.update(self._documents, completed=counts.documents_done, total=counts.documents_expected or None)


def _rate_column(counts: RunProgress) -> ProgressColumn:
    from rich.progress import ProgressColumn
    from rich.text import Text

    class RateColumn(ProgressColumn):
        """Pages/s on the first bar, the time left on the second."""

        def render(self, task: Task) -> Text:
            if not counts.pages_done:
                return Text("")
            if task.description == "pages":
                return Text(f"{counts.rate:.1f} pages/s")
            return Text(f"{duration(counts.eta)} left" if counts.eta else "")

    return RateColumn()


def _failed_page(counts: RunProgress, event: PageDone) -> str:
    name = printable(counts.names.get(event.document, "?"))
    return f"{name}: page {event.index + 1}: {event.error}"
