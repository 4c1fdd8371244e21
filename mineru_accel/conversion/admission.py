"""The way in: a document's folder is opened, the file is inspected, and the journal is begun or resumed.

All of it runs in the scheduler's thread.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from ..document import PageStatus
from ..errors import InputError, WorkerError
from ..pdf.types import DocumentInfo
from ..storage.journal import Entry, page_result
from .assembly import count_part, next_part
from .faults import describe
from .pages import Pages
from .state import DocumentState
from .steps import Rank, Steps


class End(Protocol):
    """Ends a document: with an error, or with the report of a result that was there already."""

    def __call__(
        self, document: DocumentState, error: str | None = None, *, report: dict[str, Any] | None = None
    ) -> None: ...


class Admission:
    """Opens documents.

    Args:
        steps: starts work and brings its outcomes back.
        pages_together: pages that are extracted in one job; they are resumed together, too.
        begun: called with a document whose pages may be read, and the number of pages of its file.
        end: ends a document.
    """

    def __init__(
        self, steps: Steps, pages_together: int, begun: Callable[[DocumentState, int], None], end: End
    ) -> None:
        self._steps = steps
        self._pages_together = pages_together
        self._begun = begun
        self._end = end

    def open(self, document: DocumentState) -> None:
        """Open a document; its end or ``begun`` follows."""
        self._steps.on_disk(document, document.folder.open, partial(self._opened, document))

    def _opened(self, document: DocumentState, report: dict[str, Any] | None, error: Exception | None) -> None:
        if document.over:
            return
        if error is not None:
            self._end(document, str(error))
        elif report is None:
            self._inspect(document)
        else:
            job = document.jobs.digest(document.folder.input)
            self._steps.run(document, Rank.INSPECT, job, partial(self._digested, document, report))

    def _digested(self, document: DocumentState, report: dict[str, Any], digest: str, error: Exception | None) -> None:
        if document.over:
            return
        if error is not None:
            self._end(document, describe(error))
            return
        call = partial(document.folder.open_again, report, digest)
        self._steps.on_disk(document, call, partial(self._compared, document, report))

    def _compared(
        self, document: DocumentState, report: dict[str, Any], again: bool | None, error: Exception | None
    ) -> None:
        """Keep the result that is there, or make the document anew."""
        if document.over:
            return
        if error is not None:
            self._end(document, str(error))
        elif again:
            self._inspect(document)
        else:
            self._end(document, report=report)

    def _inspect(self, document: DocumentState) -> None:
        job = document.jobs.inspect(document.folder.input)
        self._steps.run(document, Rank.INSPECT, job, partial(self._inspected, document))

    def _inspected(self, document: DocumentState, info: DocumentInfo | None, error: Exception | None) -> None:
        if document.over:
            return
        if isinstance(error, WorkerError) and not document.lost:
            document.lost += 1
            self._inspect(document)
        elif info is None:
            self._end(document, describe(error or WorkerError("nothing came back")))
        else:
            try:
                pages = document.jobs.select(info)
            except InputError as problem:
                self._end(document, str(problem))
                return
            begin = partial(document.folder.begin, info.digest)
            self._steps.on_disk(document, begin, partial(self._resume, document, pages, len(info.page_sizes)))

    def _resume(
        self,
        document: DocumentState,
        pages: Pages,
        total: int,
        done: list[Entry] | None,
        error: Exception | None,
    ) -> None:
        """The journal is begun: take over what it says of an earlier run."""
        if document.over:
            return
        if done is None:
            self._end(document, str(error))
            return
        document.pages = pages
        self._resume_pages(document, done)
        _resume_parts(document, done)
        self._begun(document, total)

    def _resume_pages(self, document: DocumentState, done: list[Entry]) -> None:
        """Take over pages where all that are extracted together with them are done."""
        keep, pages = document.folder.keep_failures, document.pages
        known = {e["page"]: e for e in done if "page" in e and (keep or e["status"] != PageStatus.FAILED)}
        for start in range(0, len(pages), self._pages_together):
            chunk = range(start, min(start + self._pages_together, len(pages)))
            if not all(pages.indices[position] in known for position in chunk):
                continue
            for position in chunk:
                result = page_result(known[pages.indices[position]])
                pages.finish(position, result)
                if document.statistics:
                    document.statistics.page(str(document.path), result, resumed=True)


def _resume_parts(document: DocumentState, done: list[Entry]) -> None:
    """Take over the parts that were made of pages that are taken over."""
    for entry in (e for e in done if "part" in e):
        if entry["part"] != document.parts or document.pages.prefix < next_part(document).around[1]:
            break
        count_part(document, entry["text_to"])
