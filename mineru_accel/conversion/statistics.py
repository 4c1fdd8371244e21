"""Statistics of a run: results of its documents and pages, time by stage, and whether it should go on."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from typing import Any

from ..document import DocumentResult, PageResult, PageStatus
from ..options import Options

_MAX_FAILURES = 1000
"""Maximum failures that are kept with their reasons; all are counted."""


class RunStatistics:
    """Counts results of one call's documents. Written by the scheduler's thread, read when the call is over."""

    def __init__(self, options: Options) -> None:
        self._limit = 0 if options.fail_fast else options.max_failed_pages
        self._fail_fast = options.fail_fast
        self._started = time.perf_counter()
        self.documents = self.skipped = self.failed_documents = 0
        self.pages: Counter[str] = Counter()
        """Pages by status, those of this run and those that an earlier one had done."""
        self.resumed = 0
        """Pages that an earlier run had done."""
        self.ocr: Counter[str] = Counter()
        """Pages by the reason why OCR read them."""
        self.stages: dict[str, float] = defaultdict(float)
        """Seconds of work by stage, over all workers."""
        self.failures: list[dict[str, Any]] = []
        self.stopped: str | None = None
        """The reason for which the run was given up."""

    @property
    def failed_pages(self) -> int:
        return self.pages[PageStatus.FAILED]

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self._started

    def page(self, path: str, result: PageResult, resumed: bool = False) -> None:
        """Count a page."""
        self.pages[str(result.status)] += 1
        if result.why_ocr:
            self.ocr[result.why_ocr] += 1
        if resumed:
            self.resumed += 1
            return
        for stage, seconds in result.timings.items():
            self.stages[stage] += seconds
        if result.status is PageStatus.FAILED:
            self._failure({"path": path, "page": result.index + 1, "error": result.error})
            if self._limit is not None and self.failed_pages > self._limit:
                self._stop(f"{self.failed_pages} page(s) failed")

    def document(self, result: DocumentResult) -> None:
        """Count a document."""
        self.documents += 1
        self.skipped += result.skipped
        self.failed_documents += not result.ok
        if result.error:
            self._failure({"path": str(result.path), "error": result.error})
            if self._fail_fast:
                self._stop("a document failed")

    def _failure(self, failure: dict[str, Any]) -> None:
        if len(self.failures) < _MAX_FAILURES:
            self.failures.append(failure)

    def _stop(self, why: str) -> None:
        self.stopped = self.stopped or f"the run was given up: {why}"

    def summary(self) -> dict[str, Any]:
        """All counts, JSON-ready."""
        converted = sum(self.pages.values()) - self.resumed
        return {
            "documents": self.documents,
            "failed_documents": self.failed_documents,
            "skipped_documents": self.skipped,
            "pages": sum(self.pages.values()),
            "page_status": dict(self.pages),
            "resumed_pages": self.resumed,
            "seconds": round(self.seconds, 3),
            "pages_per_second": round(converted / max(self.seconds, 1e-3), 3),
            "stage_seconds": {k: round(v, 3) for k, v in sorted(self.stages.items(), key=lambda item: -item[1])},
            "ocr_pages": dict(self.ocr.most_common()),
            "stopped": self.stopped,
            "failures": self.failures,
        }
