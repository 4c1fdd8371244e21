"""Puts documents together from their batches and moves them to OUT."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from concurrent.futures import Future
from pathlib import Path

from ..conversion.scheduler import Scheduler
from ..document import DocumentResult
from ..storage import remote
from ..storage.report import read_report
from . import batch_store
from .batch_jobs import JoinFolder, JoinJobs
from .ledger import LedgerProtocol
from .messages import FinishedDocument, OpenedDocument, PageBatch
from .settings import Settings, explain, fetch


class Writer:
    """Writes documents to OUT once all their batches are there.

    Args:
        settings: of the run.
        ledger: knows which batch of a long document is the last.
        scheduler: puts documents together.
        scratch: folder for files in the making.
        cache: of inputs.
    """

    def __init__(
        self, settings: Settings, ledger: LedgerProtocol, scheduler: Scheduler, scratch: Path, cache: remote.Cache
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._scheduler = scheduler
        self._scratch = scratch
        self._cache = cache

    def write(self, batches: Sequence[PageBatch]) -> list[FinishedDocument]:
        """Write the documents whose last batches these are."""
        waiting = []
        for batch in batches:
            number = batch.document.task.number
            if not batch.stored or self._ledger.is_last(number, batch.start, batch.there, batch.total):
                waiting.append((batch, self._join(batch)))
        return [FinishedDocument(batch.document.task, self._publish(batch, future)) for batch, future in waiting]

    def _join(self, batch: PageBatch) -> Future[DocumentResult]:
        document = batch.document
        try:
            item = fetch(self._cache, document.task)
            bundles = self._bundles(batch)
            output = self._settings.output
            if remote.is_url(output):
                output = self._scratch / f"out-{document.key}"
                output.mkdir(exist_ok=True)
            options, plan = self._settings.options, self._settings.plan
            folder = JoinFolder(item, output, options, plan, document, bundles)
            return self._scheduler.submit(folder, JoinJobs(options, plan, document))
        except Exception as error:
            future: Future[DocumentResult] = Future()
            future.set_exception(error)
            return future

    def _bundles(self, batch: PageBatch) -> list[bytes]:
        if not batch.stored:
            return [batch.pages or b""]
        size, document = self._settings.part_pages, batch.document
        return [batch_store.load(self._settings.output, document.key, i) for i in range(0, len(document.pages), size)]

    def _publish(self, batch: PageBatch, future: Future[DocumentResult]) -> DocumentResult:
        """Bring a document's files to OUT and give its result."""
        document, output = batch.document, self._settings.output
        try:
            result = future.result()
            made, result.path = result.output_dir, document.task.path
            if made is not None and remote.is_url(output):
                target = output / document.name
                report = f"{document.name}_report.json"
                begun = {"source": str(result.path), "unfinished": True}
                remote.upload(made, target, last=report, first=(report, json.dumps(begun).encode()))
                result.output_dir = target
                result.files = {kind: target / file.relative_to(made) for kind, file in result.files.items()}
            if batch.stored and result.output_dir is not None:
                batch_store.remove(output, document.key)
        except Exception as error:
            before = self._written_before(document) if batch.stored else None
            if before is not None:
                batch_store.remove(output, document.key)
            result = before or self._settings.failed(document.task, document.name, explain(error))
        if remote.is_url(output):
            shutil.rmtree(self._scratch / f"out-{document.key}", ignore_errors=True)
        return result

    def _written_before(self, document: OpenedDocument) -> DocumentResult | None:
        """The result that this run has written already, if a node was lost before it could say so."""
        report = read_report(self._settings.output, document.name)
        if report is None or report.get("fingerprint") != document.made_from:
            return None
        return self._settings.found(document.task, document.name, report)
