"""The local pipeline's jobs and folder for a document that a cluster shares: a batch of its pages, and all of them.

Both run in the same :class:`~mineru_accel.conversion.scheduler.Scheduler` as a document on one machine does.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..conversion.document_folder import DocumentFolder, Outputs
from ..conversion.page_jobs import PageJobs
from ..conversion.pages import Pages, PageState
from ..conversion.plan import Plan
from ..document import DocumentResult
from ..errors import OutputError
from ..export.types import Written
from ..options import Options
from ..pdf.types import DocumentInfo
from ..storage.inputs import Input
from ..storage.journal import Entry
from ..storage.work_folder import WorkFolder
from ..workers.protocol import Job, job
from . import batch_archive
from .messages import OpenedDocument, PageBatch
from .worker_jobs import known


class _OpenedJobs(PageJobs):
    """Jobs of a document that was opened elsewhere."""

    def __init__(self, options: Options, plan: Plan, imgsz: int, document: OpenedDocument) -> None:
        super().__init__(options, plan, imgsz)
        self._document = document

    def inspect(self, item: Input) -> Job:
        digest = self._document.made_from["sha256"]
        return job(known, 60.0, item.path.name, pages=self._document.total, digest=digest)


class _OpenedFolder(DocumentFolder):
    """Folder of a document whose name was settled elsewhere."""

    resumes = False  # what is done of it waits elsewhere
    label: str
    """Name of the folder where it is made."""

    def open(self) -> dict[str, Any] | None:
        self._work, self.name = WorkFolder(self.output, self.label), self.label
        return None


class BatchJobs(_OpenedJobs):
    """Jobs that read the pages of a batch and pack them up."""

    def __init__(self, options: Options, plan: Plan, imgsz: int, batch: PageBatch) -> None:
        super().__init__(options, plan, imgsz, batch.document)
        self._batch = batch

    def select(self, info: DocumentInfo) -> Pages:
        return Pages(self._batch.indices, whole=False)

    def is_first(self, page: PageState) -> bool:
        return self._batch.start == 0 and super().is_first(page)  # of the document, not only of the batch

    def write(self, folder: DocumentFolder, pages: Pages, batches: int, apart: bool) -> list[Job]:
        limit, name = self._options.page_timeout, folder.input.path.name
        return [job(batch_archive.pack, limit, name, staging=str(folder.staging))]


class BatchFolder(_OpenedFolder):
    """The folder where the pages of a batch are made. ``bundle`` is their file when that is done."""

    def __init__(self, item: Input, output: Path, options: Options, plan: Plan, batch: PageBatch) -> None:
        super().__init__(item, output, options, plan, Outputs())
        self.label = f"{batch.document.key}-{batch.start}"
        self.bundle: bytes | None = None

    def begin(self, digest: str) -> list[Entry]:
        try:
            self.work.clear()
            self.work.journal.start([])
        except OSError as error:
            raise self.cannot_write(error) from error
        return []

    def finish(
        self, pages: Pages, error: str | None, written: Written | None, report: dict[str, Any] | None
    ) -> DocumentResult:
        result = self.result(pages, error)
        if error is None or (pages and len(result.pages) == len(pages)):  # if all failed, they say why
            assert written is None or isinstance(written, batch_archive.BatchPages)
            self.bundle = batch_archive.with_results(written, result.pages)
        self.close()
        return result


class JoinJobs(_OpenedJobs):
    """Jobs that put a document together from its batches."""

    def __init__(self, options: Options, plan: Plan, document: OpenedDocument) -> None:
        super().__init__(options, plan, 0, document)

    def select(self, info: DocumentInfo) -> Pages:
        return Pages(self._document.pages, whole=len(self._document.pages) == self._document.total)


class JoinFolder(_OpenedFolder):
    """The folder where a document is put together: the scheduler finds all its pages done, as if by an earlier run."""

    keep_failures = True  # a page that failed on its node is not tried again here

    def __init__(
        self, item: Input, output: Path, options: Options, plan: Plan, document: OpenedDocument, bundles: list[bytes]
    ) -> None:
        super().__init__(item, output, options, plan, Outputs())
        self.label = document.name
        self._document = document
        self._bundles = bundles

    def begin(self, digest: str) -> list[Entry]:
        self.made_from = self._document.made_from
        self.started = time.perf_counter() - (time.time() - self._document.opened)
        header = {"source": self.input.source, "fingerprint": self.made_from}
        try:
            self.work.clear()
            entries: list[Entry] = []
            for data in self._bundles:
                entries += batch_archive.unpack(data, self.work.path)
            self.work.journal.start([header, *entries])
        except OSError as error:
            raise self.cannot_write(error) from error
        except ValueError as error:
            raise OutputError(f"a part of it is damaged: {error}") from error
        return entries
