"""The local pipeline's stages for a document that a cluster shares: a part of its pages, and all parts together.

Both run in the same :class:`~mineru_accel.conversion.scheduler.Scheduler` as a document on one machine does.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..conversion.page_jobs import Stages
from ..conversion.plan import Plan
from ..document import DocumentResult
from ..errors import OutputError
from ..options import Options
from ..storage.inputs import Input
from ..storage.journal import Entry
from ..storage.output_folder import WorkFolder
from ..workers.protocol import Job, job
from . import batch_files
from .messages import Document, PageBatch
from .worker_jobs import known

if TYPE_CHECKING:
    from ..conversion.state import DocumentState, PageState


class _Shared(Stages):
    """Stages of one document that was opened elsewhere."""

    def __init__(self, options: Options, plan: Plan, imgsz: int, document: Document) -> None:
        super().__init__(options, plan, imgsz)
        self._document = document

    def inspect(self, item: Input) -> Job:
        made_from = self._document.made_from
        return job(known, 60.0, item.path.name, pages=self._document.total, digest=made_from["sha256"])

    def resumes(self, item: Input) -> bool:
        return False  # what is done of it waits elsewhere

    def _label(self) -> str:
        return self._document.name

    def prepare(self, item: Input, output: Path) -> tuple[str, WorkFolder | None, dict[str, Any] | None]:
        return self._label(), WorkFolder(output, self._label()), None


class BatchStages(_Shared):
    """Reads the pages of a part and packs them up. ``pages`` is the bundle when that is done."""

    def __init__(self, options: Options, plan: Plan, imgsz: int, part: PageBatch) -> None:
        super().__init__(options, plan, imgsz, part.document)
        self._part = part
        self.pages: bytes | None = None

    def _label(self) -> str:
        return f"{self._document.key}-{self._part.start}"

    def select(self, info: Any) -> tuple[list[int], bool]:
        return list(self._part.indices), False

    def begin(self, state: DocumentState, digest: str) -> list[Entry]:
        assert state.work is not None
        try:
            state.work.clear()
            state.work.journal.start([])
        except OSError as error:
            raise OutputError(f"{state.output}: can't write there: {error.strerror or error}") from error
        return []

    def _is_first(self, page: PageState) -> bool:
        return self._part.start == 0 and super()._is_first(page)  # of the document, not only of the part

    def write(self, state: DocumentState, apart: bool) -> list[Job]:
        limit = self._options.page_timeout
        return [job(batch_files.pack, limit, state.input.path.name, staging=str(state.staging))]

    def result(
        self, state: DocumentState, error: str | None, written: Any, report: dict[str, Any] | None
    ) -> DocumentResult:
        result = DocumentResult(state.input.path, state.name, None, str(self._plan.backend), str(self._plan.layout))
        result.pages = state.results()
        result.error = error
        if error is None or (state.pages and len(result.pages) == len(state.pages)):  # if all failed, they say why
            self.pages = batch_files.with_results(written, result.pages)
        if state.work is not None:
            state.work.close()
        return result


class JoinStages(_Shared):
    """Puts a document together from its batches: the scheduler finds their pages done, as if by an earlier run."""

    keep_failures = True
    """A page that failed on its node is not tried again here."""

    def __init__(self, options: Options, plan: Plan, document: Document, bundles: list[bytes]) -> None:
        super().__init__(options, plan, 0, document)
        self._bundles = bundles

    def select(self, info: Any) -> tuple[list[int], bool]:
        return list(self._document.pages), len(self._document.pages) == self._document.total

    def begin(self, state: DocumentState, digest: str) -> list[Entry]:
        assert state.work is not None
        state.made_from = self._document.made_from
        state.started = time.perf_counter() - (time.time() - self._document.opened)
        header = {"source": state.input.source, "fingerprint": state.made_from}
        try:
            state.work.clear()
            entries: list[Entry] = []
            for data in self._bundles:
                entries += batch_files.unpack(data, state.work.path)
            state.work.journal.start([header, *entries])
        except OSError as error:
            raise OutputError(f"{state.output}: can't write there: {error.strerror or error}") from error
        except ValueError as error:
            raise OutputError(f"a part of it is damaged: {error}") from error
        return entries
