"""The stages of a cluster, each a class whose instances Ray Data calls with rows. None of them knows Ray.

::

    Open -> Convert

Each sets up once and then runs the local pipeline's code; what goes wrong with a page or document is data.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from typing import Any

from loguru import logger

from ..conversion.fingerprint import made_from
from ..conversion.page_jobs import PageJobs
from ..conversion.startup import Started, make_pool, start
from ..document import DocumentResult, PageResult, PageStatus
from ..errors import OutputError, WorkerError
from ..storage import remote
from ..storage.document_names import DocumentNames, naming_lock
from ..storage.fingerprint import difference
from ..storage.inputs import Input
from ..storage.output_folder import check_output
from ..workers.exclusive_lock import ExclusiveLock
from ..workers.pool import WorkerPool
from . import batch_archive, batch_store
from .batch_jobs import BatchFolder, BatchJobs
from .ledger import LedgerProtocol
from .messages import FinishedDocument, InputTask, OpenedDocument, PageBatch, Row, StageCall, grouped
from .settings import Settings, explain, fetch, scratch_folder
from .writer import Writer

_MAX_LOSSES = 4
"""Maximum actors that a batch may lose; then it is given up."""


class Open:
    """From inputs to batches of pages: settles names, leaves out what is done, looks into files.

    Args:
        settings: of the run.
        ledger: knows the names that other actors have given.
        pool: looks into files; closed with the actor. By default one is started.
    """

    def __init__(self, settings: Settings, ledger: LedgerProtocol, pool: WorkerPool | None = None) -> None:
        self._ledger = ledger
        self._settings = settings
        self._output = settings.output
        self._jobs = PageJobs(settings.options, settings.plan, 0)
        self._names = DocumentNames()
        self._claimed: dict[int, str] = {}
        self._cache = remote.Cache(scratch_folder() / "inputs")
        self._pool = pool or make_pool(settings.options, 1)
        if not remote.is_url(self._output):
            check_output(self._output)

    def __call__(self, row: Row) -> Iterator[Row]:
        call = StageCall.from_row(row)
        if call.batches:  # the driver has opened them
            yield row
            return
        opened = self.open(task for group in call.tasks for task in group)
        for converting in grouped(opened, self._settings.part_pages):
            yield converting.to_row()

    def open(self, tasks: Iterable[InputTask]) -> Iterator[PageBatch | FinishedDocument]:
        """The batches of inputs, and the results of inputs without pages to convert."""
        for task in tasks:
            opened = self._open(task)
            yield from [opened] if isinstance(opened, FinishedDocument) else opened

    def close(self) -> None:
        """End the worker process, and with it what is being opened."""
        self._pool.close()

    def _open(self, task: InputTask) -> list[PageBatch] | FinishedDocument:
        began = time.time()
        name = ""
        try:
            item = fetch(self._cache, task)
            name, report = self._claim(item, task.number)
            info = self._ask(self._jobs.inspect(item))
            fingerprint = made_from(info.digest, self._settings.options, self._settings.plan)
            if report is not None and not self._settings.options.overwrite:
                changed = difference(report.get("fingerprint"), fingerprint)
                if changed is None:
                    result = self._settings.found(task, name, report)
                    result.skipped = True
                    return FinishedDocument(task, result)
                raise OutputError(f"{self._output / name} was made {changed}; --overwrite replaces it")
            pages = self._jobs.select(info).indices.tolist()
        except Exception as error:
            return FinishedDocument(task, self._settings.failed(task, name, explain(error)))
        text = f"{sorted(fingerprint.items())}{name}{pages}"
        key = hashlib.sha256(text.encode()).hexdigest()[:24]
        return self._batches(OpenedDocument(task, name, fingerprint, key, tuple(pages), len(info.page_sizes), began))

    def _claim(self, item: Input, number: int) -> tuple[str, dict[str, Any] | None]:
        if number in self._claimed:  # asked again: the first answer was lost
            self._names.release(self._output, self._claimed.pop(number))
        while True:
            with contextlib.nullcontext() if remote.is_url(self._output) else naming_lock(self._output):
                name, report = self._names.assign(self._output, item.stem, item.source)
            if self._ledger.claim_name(name, number):
                self._claimed[number] = name
                return name, None if report is not None and report.get("unfinished") else report

    def _ask(self, job: Any) -> Any:
        try:
            return self._pool.submit(job).result()
        except WorkerError:
            return self._pool.submit(job).result()

    def _batches(self, document: OpenedDocument) -> list[PageBatch]:
        size, count = self._settings.part_pages, len(document.pages)
        if count <= size:
            return [PageBatch(document, 0, count, stored=False)]
        starts = range(0, count, size)
        found = batch_store.stored(self._output, document.key) if self._settings.options.resume is not False else set()
        there = frozenset(found.intersection(starts) - {starts[-1]})  # a last batch to convert completes the document
        missing = [start for start in starts if start not in there]
        return [PageBatch(document, i, min(i + size, count), True, there, len(starts)) for i in missing]


class Convert:
    """From batches to their pages, and to documents in OUT once all of their batches are there.

    Pages are rendered, laid out and read in one actor, so that no pixel leaves the node.

    Ray gives a call whose actor was lost to another one, again and again. A batch with which that happened before is
    converted alone, and given up after some tries: it may be what kills them.

    Args:
        settings: of the run.
        ledger: counts the actors that a batch has lost, and knows which batch of a long document is the last.
        workers: processes, one per CPU of the actor.
        started: converts batches. By default a pipeline is started.
    """

    def __init__(
        self, settings: Settings, ledger: LedgerProtocol, workers: int, started: Started | None = None
    ) -> None:
        self._settings = settings
        self._ledger = ledger
        self._lock = ExclusiveLock()
        self._plan = settings.plan_here()
        self._scratch = scratch_folder()
        if os.environ.get("OMP_NUM_THREADS") == str(max(1, workers - 1)):  # Ray's: 98 % of them, rounded down
            os.environ["OMP_NUM_THREADS"] = str(workers)  # for a VLM on CPUs
        self._cache = remote.Cache(self._scratch / "inputs")
        started = started or start(settings.options, self._plan, workers, lambda event: None, threads=workers)
        self.scheduler, self._imgsz = started.scheduler, started.jobs.imgsz
        self._writer = Writer(settings, ledger, self.scheduler, self._scratch, self._cache)

    def __call__(self, row: Row) -> Row:
        call = StageCall.from_row(row)
        with self._lock.shared():
            tries = self._ledger.begin_together([batch.key for batch in call.batches])
            clean = [batch for batch, count in zip(call.batches, tries, strict=True) if not count]
            self.convert(clean)
            call.done += self._writer.write(clean)
            self._ledger.survived([batch.key for batch in clean])
        for batch, count in zip(call.batches, tries, strict=True):
            if count >= _MAX_LOSSES:
                self._give_up(batch, f"the process that converted it was lost {count} times")
                call.done += self._writer.write([batch])
            elif count:
                with self._lock.alone():
                    self._ledger.begin_alone(batch.key)
                    self.convert([batch])
                    call.done += self._writer.write([batch])
                    self._ledger.survived([batch.key])
        for batch in call.batches:
            batch.pages = None
        return call.to_row()

    def convert(self, batches: list[PageBatch]) -> None:
        """Read the pages of batches that are not suspected of killing their actor, side by side."""
        for batch, folder, future in [(batch, *self._submit(batch)) for batch in batches]:
            self._finish(batch, folder, future)

    def _submit(self, batch: PageBatch) -> tuple[BatchFolder | None, Future[DocumentResult]]:
        options = self._settings.options
        try:
            item = fetch(self._cache, batch.document.task)
            folder = BatchFolder(item, self._scratch, options, self._plan, batch)
            return folder, self.scheduler.submit(folder, BatchJobs(options, self._plan, self._imgsz, batch))
        except Exception as error:
            future: Future[DocumentResult] = Future()
            future.set_exception(error)
            return None, future

    def _finish(self, batch: PageBatch, folder: BatchFolder | None, future: Future[DocumentResult]) -> None:
        try:
            result = future.result()
            batch.results, batch.pages, error = result.pages, folder.bundle if folder else None, result.error
        except Exception as problem:
            error = explain(problem)
        if batch.pages is None:
            self._give_up(batch, error)
        else:
            self._store(batch, batch.pages)

    def _give_up(self, batch: PageBatch, error: str | None) -> None:
        """Report what went wrong with a batch as a whole for each of its pages."""
        batch.results = [PageResult(i, PageStatus.FAILED, error) for i in batch.indices]
        batch.pages = batch_archive.with_results(None, batch.results)
        self._store(batch, batch.pages)

    def _store(self, batch: PageBatch, pages: bytes) -> None:
        if batch.stored:
            failed = any(r.status is PageStatus.FAILED for r in batch.results)
            try:
                batch_store.save(self._settings.output, batch.document.key, batch.start, pages, failed)
            except OutputError as problem:  # its document will say that this batch is missing
                logger.debug("{}", problem)
            batch.pages = None
