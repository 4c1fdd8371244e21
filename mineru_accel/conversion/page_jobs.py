"""What each stage of a run does: which job with which arguments, and what becomes of a document at its end."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..document import DocumentResult, PageResult, PageStatus, Region
from ..errors import AccelError, InputError, OutputError
from ..export.types import PART, Part, PartJob, WriteJob, Writing
from ..options import Format, Images, Layout, Options
from ..page_range import select
from ..pdf.types import Key, PageSource
from ..reading.source_policy import make_source_policy
from ..reading.types import CHUNK
from ..storage import page_store
from ..storage.inputs import Input
from ..storage.journal import Entry, warn
from ..storage.output_folder import (
    Fingerprint,
    Names,
    WorkFolder,
    check_output,
    difference,
    fingerprint,
    locked,
    publish,
    report_path,
    write_report,
)
from ..version import __version__
from ..workers.protocol import Job
from .plan import Plan

if TYPE_CHECKING:
    from ..vlm.protocol import VlmEngine
    from .state import DocumentState, PageState

_WRITE_SECONDS_PER_PAGE = 3.0
_DIGEST_SECONDS = 600.0
_NO_MATTER = {
    *("workers", "device", "overwrite", "password", "offline", "page_timeout", "document_timeout", "worker_memory"),
    *("resume", "max_failed_pages", "fail_fast", "profile"),
    *("executor", "ray_address", "ray_actors", "ray_gpus", "part_pages"),
    *("engine", "urls", "vllm_args", "vlm_replicas", "timeout"),
}
"""Options that change how a result is made, not what it is."""
PER_DOCUMENT = {
    *("method", "pages", "start", "end", "max_pages", "lang", "dpi", "formats", "images", "password", "overwrite"),
    *("page_timeout", "document_timeout", "resume"),
}
"""Options in which the documents of one pipeline may differ: no model and no worker depends on them."""


class Stages:
    """The stages of a run with these options.

    ``chunk`` is how many pages of a document are extracted together; ``imgsz`` the long side in pixels of what the
    layout model sees.
    """

    keep_failures = False
    """Are pages that failed in an earlier run left as they are, rather than tried again?"""

    def __init__(self, options: Options, plan: Plan, imgsz: int) -> None:
        self.imgsz = imgsz
        self._options = options
        self._plan = plan
        self._policy = make_source_policy(plan.backend, options.vlm_for, options.describe_images)
        self.document_timeout = options.document_timeout
        self.chunk = CHUNK if plan.layout is Layout.NATIVE else 1
        self._checked: set[Path] = set()
        self._names = Names()
        weights = plan.weights.name if plan.weights else None
        self._fingerprint = options.model_dump(mode="json", exclude=_NO_MATTER)
        self._fingerprint |= {"plan": str(plan.layout), "weights": weights}

    def with_options(self, options: Options) -> Stages:
        """The same stages for a document with other options; the two give no name in OUT twice."""
        other = Stages(options, self._plan, self.imgsz)
        other._names = self._names
        return other

    def prepare(self, item: Input, output: Path) -> tuple[str, WorkFolder | None, dict[str, Any] | None]:
        """The document's name in OUT, and either where it is made or the report of the result that is there.

        Raises:
            OutputError: if OUT can't be written, or another run is making this document.
        """
        if output not in self._checked:
            check_output(output)
            self._checked.add(output)
        with locked(output):
            name, report = self._names.claim(output, item.stem, item.source)
            if report is not None and not self._options.overwrite:
                page_store.remove(output / name)  # killed between the two last steps
                return name, None, report
            try:
                return name, WorkFolder(output, name), None
            except OutputError:
                self._names.release(output, name)
                raise

    def digest(self, item: Input) -> Job:
        return job("storage.inputs:digest", _DIGEST_SECONDS, item.path.name, path=str(item.path))

    def refuse(self, item: Input, output: Path, name: str, report: dict[str, Any], digest: str) -> WorkFolder | None:
        """Where the document is made anew although a result is there; None if that result is still good.

        Raises:
            OutputError: if it was made otherwise and only ``overwrite`` may replace it.
        """
        changed = difference(report.get("fingerprint"), self.made_from(digest))
        if changed is None:
            return None
        if not item.replace:
            raise OutputError(f"{output / name} was made {changed}; --overwrite replaces it")
        with locked(output):
            return WorkFolder(output, name)

    def begin(self, state: DocumentState, digest: str) -> list[Entry]:
        """Begin a document's journal; what an earlier run has done of it, if that is to be resumed.

        Returns:
            The journal's lines on pages and parts.

        Raises:
            OutputError: if it can't be written.
        """
        assert state.work is not None
        state.made_from = self.made_from(digest)
        header = {"source": state.input.source, "fingerprint": state.made_from}
        done: list[Entry] = []
        try:
            if self.resumes(state.input):
                there = state.work.journal.read()
                if there and there[0] == header:
                    done = there[1:]
            if not done:
                state.work.clear()
            state.work.journal.start([header, *done])
        except OSError as error:
            raise OutputError(f"{state.output}: can't write there: {error.strerror or error}") from error
        return done

    def resumes(self, item: Input) -> bool:
        """Is what was done of a document kept, and gone on with?"""
        return item.in_folder if self._options.resume is None else self._options.resume

    def made_from(self, digest: str) -> Fingerprint:
        """What a result of a file with this SHA-256 depends on."""
        return fingerprint(digest, self._fingerprint, __version__)

    def inspect(self, item: Input) -> Job:
        return job(
            "pdf.jobs:inspect",
            self._options.page_timeout,
            item.path.name,
            path=str(item.path),
            password=self._options.password,
        )

    def select(self, info: Any) -> tuple[list[int], bool]:
        """The 0-based pages to convert, and whether that is all of them.

        Raises:
            InputError: if the choice leaves none.
        """
        o = self._options
        count = len(info.page_sizes)
        chosen = select(count, o.pages, o.start, o.end)
        if not chosen:
            raise InputError(f"has {count} page(s): none of them is in the range asked for")
        chosen = chosen[: o.max_pages]
        return chosen, len(chosen) == count

    def read(self, item: Input, index: int, slot: int | None, slot_bytes: int) -> Job:
        o = self._options
        return job(
            "pdf.jobs:read",
            o.page_timeout,
            f"{item.path.name} {index + 1}",
            key=self._key(item),
            index=index,
            method=o.method,
            dpi=o.dpi,
            layout_side=(self.imgsz or None) if slot is not None else None,
            slot=slot or 0,
            slot_bytes=slot_bytes,
            ocr=self._plan.engine is None,
        )

    def prepare_vlm(
        self,
        state: DocumentState,
        page: PageState,
        regions: list[Region] | None,
        slot_bytes: int,
        engine: VlmEngine,
    ) -> Job:
        draft, answers = page.vlm or (None, [])
        return job(
            "reading.jobs:prepare",
            self._options.page_timeout,
            f"{state.input.path.name} {page.index + 1}",
            key=self._key(state.input),
            page=PageSource(page.index, None, page.read.why_ocr),
            regions=regions,
            policy=self._policy,
            describe=self._options.describe_images,
            dpi=self._options.dpi,
            png=engine.png,
            cutter=engine.cutter,
            first=self._is_first(page),
            slot=page.slot or 0,
            slot_bytes=slot_bytes,
            draft=draft,
            answers=answers,
        )

    def _is_first(self, page: PageState) -> bool:
        """Is it the first of its document's pages? The title stands there."""
        return page.position == 0

    def extract(self, state: DocumentState, pages: list[PageState], regions: list[Region] | None) -> Job:
        sources = [PageSource(p.index, p.read.ocr) for p in pages]
        common = {
            "key": self._key(state.input),
            "staging": str(state.staging),
            "dpi": self._options.dpi,
            "images": self._options.images is not Images.NONE,
            "first": self._is_first(pages[0]),
        }
        limit = self._options.page_timeout * len(pages)
        what = f"{state.input.path.name} {pages[0].index + 1}" + (f"-{pages[-1].index + 1}" if pages[1:] else "")
        if pages[0].vlm is not None:
            del common["first"]
            draft, answers = pages[0].vlm
            common |= {"page": sources[0], "describe": self._options.describe_images}
            return job("reading.jobs:finish", limit, what, draft=draft, answers=answers, **common)
        if regions is None:
            native = job("reading.jobs:native", limit, what, pages=sources, **common)
            return replace(native, complete=True)
        common |= {"page": sources[0], "policy": self._policy}
        one = job("reading.jobs:regions", limit, what, regions=regions, **common)
        return replace(one, complete=True)

    def part(self, state: DocumentState, part: Part, pages: list[int], until: int | None) -> Job:
        """Put a part of a long document together.

        Args:
            pages: 0-based numbers of the pages around the part.
            until: number of the page after the last that the layout PDF shows with it.
        """
        job = PartJob(self._writing(state, pages), part, self._options.formats, until)
        return self._write_job("export.parts:write_part", state, len(pages), job=job)

    def write(self, state: DocumentState, apart: bool) -> list[Job]:
        """Write a document's files.

        Args:
            apart: whether the layout PDF, which takes as long as the rest, may be made beside it.
        """
        pages = list(state.pages.indices)
        formats = [self._options.formats]
        if apart and not state.parts and self._options.images is Images.FILE:
            formats = [tuple(f for f in formats[0] if (f is Format.LAYOUT_PDF) is drawn) for drawn in (True, False)]
        jobs = [WriteJob(self._writing(state, pages), some, state.parts) for some in formats if some]
        alone = len(pages) > PART
        return [replace(self._write_job("export.writer:write", state, len(pages), job=j), alone=alone) for j in jobs]

    def _write_job(self, function: str, state: DocumentState, pages: int, **kwargs: Any) -> Job:
        limit = self._options.page_timeout + _WRITE_SECONDS_PER_PAGE * pages
        return replace(job(function, limit, state.input.path.name, **kwargs), complete=True)

    def _writing(self, state: DocumentState, pages: list[int]) -> Writing:
        return Writing(
            key=self._key(state.input),
            name=state.name,
            staging=str(state.staging),
            pages=pages,
            whole=state.whole,
            images=self._options.images,
            effort=self._plan.effort,
            parse_mode="ocr" if 2 * state.pages.ocr > len(state.pages) else "txt",
        )

    def result(
        self, state: DocumentState, error: str | None, written: Any, report: dict[str, Any] | None
    ) -> DocumentResult:
        """Publish a document's files, or clean up after it; ``report`` is that of a result that was there already."""
        item = state.input
        result = DocumentResult(
            path=item.path,
            name=state.name,
            output_dir=None,
            backend=str(self._plan.backend),
            layout=str(self._plan.layout),
            pages=state.results(),
            error=error,
            skipped=report is not None and error is None,
        )
        result.seconds = time.perf_counter() - state.started
        if report is not None and error is None:
            folder = result.output_dir = state.output / state.name
            result.files = {f: folder / n for f, n in report.get("files", {}).items()}
            result.files["report"] = report_path(state.output, state.name)
            result.pages = pages_of(report)
        elif error is None and state.work is not None:
            warn({p.index: p for p in result.pages}, written.warnings)
            written.files = {f: written.files[f] for f in self._options.formats if f in written.files}
            report = _report(result, item, written, self._plan, state.made_from)
            try:
                write_report(state.work.path, state.name, report, map(_page_report, result.pages))
                folder = publish(state.work.path, state.output, state.name)
                result.output_dir = folder
                result.files = {fmt: folder / name for fmt, name in written.files.items()}
                result.files["report"] = report_path(state.output, state.name)
                if written.failed_formats:
                    named = "; ".join(f"{fmt}: {why}" for fmt, why in written.failed_formats.items())
                    result.error = f"some formats failed: {named}"
            except AccelError as problem:
                result.error = str(problem)
        if state.work is not None:
            some = state.pages.done > state.pages.failed
            state.work.close(keep=result.error is not None and some and self.resumes(item))
        if state.name:
            self._names.release(state.output, state.name)
        return result

    def _key(self, item: Input) -> Key:
        return Key(str(item.path), self._options.password)


def job(function: str, timeout: float, what: str, **kwargs: Any) -> Job:
    return Job(f"mineru_accel.{function}", timeout, kwargs, what=what)


def pages_of(report: dict[str, Any]) -> list[PageResult]:
    """What an earlier run said of the pages."""
    fields = ("error", "regions", "sources", "warnings", "timings", "why_ocr")
    return [
        PageResult(p["page_idx"], PageStatus(p["status"]), **{f: p[f] for f in fields if f in p})
        for p in report.get("page_results", [])
    ]


def _report(result: DocumentResult, item: Input, written: Any, plan: Plan, made_from: Fingerprint) -> dict[str, Any]:
    pages: list[PageResult] = result.pages
    counts = {str(s): sum(p.status is s for p in pages) for s in PageStatus}
    return {
        "source": item.source,
        "fingerprint": made_from,
        "backend": result.backend,
        "layout": result.layout,
        "plan": plan.reason,
        "version": __version__,
        "seconds": round(result.seconds, 3),
        "pages": len(pages),
        "status": {k: v for k, v in counts.items() if v},
        "files": written.files,
        "failed_formats": written.failed_formats,
    }


def _page_report(page: PageResult) -> dict[str, Any]:
    return {
        "page_idx": page.index,
        "status": str(page.status),
        "error": page.error,
        "why_ocr": page.why_ocr,
        "regions": page.regions,
        "sources": page.sources,
        **({"reasons": page.reasons} if any(page.reasons) else {}),
        "warnings": page.warnings,
        "timings": page.timings,
    }
