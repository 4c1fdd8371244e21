"""The folder in which a document is made: its name and lock, its journal, and the move to its place in OUT.

Opening, beginning and finishing wait for other processes and for the disk: the scheduler has them done by its disk
thread. In between, the journal is written by the scheduler's own thread, so that a page is in it before anybody hears
of the page.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from ..document import DocumentResult, PageResult
from ..errors import AccelError, OutputError
from ..export.types import Written
from ..options import Options
from ..storage import page_store
from ..storage.document_names import DocumentNames, naming_lock
from ..storage.fingerprint import Fingerprint, difference
from ..storage.inputs import Input
from ..storage.journal import Entry, add_warnings
from ..storage.output_folder import check_output, publish
from ..storage.report import report_path, write_report
from ..storage.work_folder import WorkFolder
from .fingerprint import made_from
from .pages import Pages
from .plan import Plan
from .report import document_report, page_report, pages_of


class Outputs:
    """The output folders of a pipeline: each is checked once, and no name in it is given to two documents at a time."""

    def __init__(self) -> None:
        self.names = DocumentNames()
        self._checked: set[Path] = set()

    def check(self, output: Path) -> None:
        """See that files can be made in an output folder, the first time that it is asked for.

        Raises:
            OutputError: if not.
        """
        if output not in self._checked:
            check_output(output)
            self._checked.add(output)


class DocumentFolder:
    """The folder of one document: first where it is made, then its place in OUT.

    Args:
        item: the document.
        output: OUT; its files go to ``output/{name}/``.
        options, plan: how it is converted.
        outputs: of its pipeline.
    """

    keep_failures = False
    """Whether pages that failed in an earlier run stay as they are, rather than being tried again."""

    def __init__(self, item: Input, output: Path, options: Options, plan: Plan, outputs: Outputs) -> None:
        self.input = item
        self.output = output
        self.name = ""
        """Name of the folder in OUT; empty until :meth:`open`."""
        self.started = time.perf_counter()
        self.made_from: Fingerprint = {}
        self._options = options
        self._plan = plan
        self._outputs = outputs
        self._work: WorkFolder | None = None

    @property
    def staging(self) -> Path | None:
        """The folder where its files are made, while there is one."""
        return self._work.path if self._work else None

    @property
    def resumes(self) -> bool:
        """Whether what was done of the document is kept, and gone on with."""
        return self.input.in_folder if self._options.resume is None else self._options.resume

    def open(self) -> dict[str, Any] | None:
        """Settle the document's name and lock the folder where it is made.

        Returns:
            None, or the report of a result that is there already: then no folder is made.

        Raises:
            OutputError: if OUT can't be written, or another run is making this document.
        """
        self._outputs.check(self.output)
        names = self._outputs.names
        with naming_lock(self.output):
            name, report = names.assign(self.output, self.input.stem, self.input.source)
            if report is not None and not self._options.overwrite:
                page_store.remove_pages(self.output / name)  # killed between the two last steps
                self.name = name
                return report
            try:
                self._work = WorkFolder(self.output, name)
            except OutputError:
                names.release(self.output, name)
                raise
        self.name = name
        return None

    def open_again(self, report: dict[str, Any], digest: str) -> bool:
        """Make the document anew if the result that is there, with this report, was made from something else.

        Returns:
            False if that result is still good.

        Raises:
            OutputError: if it is not, but only ``overwrite`` may replace it.
        """
        changed = difference(report.get("fingerprint"), made_from(digest, self._options, self._plan))
        if changed is None:
            return False
        if not self.input.replace:
            raise OutputError(f"{self.output / self.name} was made {changed}; --overwrite replaces it")
        with naming_lock(self.output):
            self._work = WorkFolder(self.output, self.name)
        return True

    def begin(self, digest: str) -> list[Entry]:
        """Begin the journal.

        Returns:
            The lines on pages and parts that an earlier run has done, if they are to be resumed.

        Raises:
            OutputError: if it can't be written.
        """
        self.made_from = made_from(digest, self._options, self._plan)
        header = {"source": self.input.source, "fingerprint": self.made_from}
        done: list[Entry] = []
        try:
            if self.resumes:
                found = self.work.journal.read()
                if found and found[0] == header:
                    done = found[1:]
            if not done:
                self.work.clear()
            self.work.journal.start([header, *done])
        except OSError as error:
            raise self.cannot_write(error) from error
        return done

    def note(self, entries: list[Entry]) -> None:
        """Write lines to the journal.

        Raises:
            OutputError: if they can't be written; the document should be given up then.
        """
        try:
            self.work.journal.append(entries)
        except OSError as error:
            raise OutputError(f"can't write results: {error.strerror or error}") from error

    def results(self, pages: Pages) -> list[PageResult]:
        """Results of the pages that are done, read back from the journal."""
        return pages.finished(self._work.journal.results()) if self._work and pages.done else []

    def finish(
        self, pages: Pages, error: str | None, written: Written | None, report: dict[str, Any] | None
    ) -> DocumentResult:
        """Publish the document's files, or clean up after it.

        Args:
            pages: nobody changes them any more.
            error: why the document is given up.
            written: its files; None if it is given up or was there already.
            report: of the result that was there already, if that is still good.
        """
        result = self.result(pages, error)
        if error is None and report is not None:
            self._take_over(result, report)
        elif error is None and written is not None:
            self._publish(result, written)
        some = pages.done > pages.failed
        self.close(keep=result.error is not None and some and self.resumes)
        return result

    def result(self, pages: Pages, error: str | None) -> DocumentResult:
        """The document's result without its files."""
        return DocumentResult(
            path=self.input.path,
            name=self.name,
            output_dir=None,
            backend=str(self._plan.backend),
            layout=str(self._plan.layout),
            pages=self.results(pages),
            error=error,
            seconds=time.perf_counter() - self.started,
        )

    def close(self, keep: bool = False) -> None:
        """Let go of folder and name.

        Args:
            keep: whether what was done is kept for a later run.
        """
        if self._work is not None:
            work, self._work = self._work, None
            work.close(keep)
        if self.name:
            self._outputs.names.release(self.output, self.name)

    @property
    def work(self) -> WorkFolder:
        """The locked folder; only between :meth:`open` and :meth:`close`."""
        assert self._work is not None
        return self._work

    def cannot_write(self, error: OSError) -> OutputError:
        """An error of OUT as one line."""
        return OutputError(f"{self.output}: can't write there: {error.strerror or error}")

    def _take_over(self, result: DocumentResult, report: dict[str, Any]) -> None:
        result.skipped = True
        folder = result.output_dir = self.output / self.name
        result.files = {f: folder / n for f, n in report.get("files", {}).items()}
        result.files["report"] = report_path(self.output, self.name)
        result.pages = pages_of(report)

    def _publish(self, result: DocumentResult, written: Written) -> None:
        add_warnings({p.index: p for p in result.pages}, written.warnings)
        written.files = {f: written.files[f] for f in self._options.formats if f in written.files}
        report = document_report(result, self.input.source, written, self._plan, self.made_from)
        try:
            write_report(self.work.path, self.name, report, map(page_report, result.pages))
            folder = publish(self.work.path, self.output, self.name)
        except AccelError as error:
            result.error = str(error)
            return
        result.output_dir = folder
        result.files = {fmt: folder / name for fmt, name in written.files.items()}
        result.files["report"] = report_path(self.output, self.name)
        if written.failed_formats:
            named = "; ".join(f"{fmt}: {why}" for fmt, why in written.failed_formats.items())
            result.error = f"some formats failed: {named}"
