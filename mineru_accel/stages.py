"""What each stage of a run does: which job with which arguments, and what becomes of a document at its end."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from . import spool
from .document import DocumentResult, PageResult, PageStatus, Region
from .errors import AccelError, InputError, OutputError
from .export.types import WriteJob
from .extraction.rules import make_rule
from .extraction.types import CHUNK, PageSource
from .inputs import Input
from .options import Engine, Images, Layout, Options
from .output import (
    Fingerprint,
    Names,
    check_output,
    discard,
    fingerprint,
    publish,
    report_path,
    staging_folder,
    write_report,
)
from .pdf.page_range import select
from .pdf.types import Key
from .plan import Plan
from .version import __version__
from .workers.protocol import Job

if TYPE_CHECKING:
    from .flow import DocumentState, PageState

_WRITE_SECONDS_PER_PAGE = 3.0
_MANY_PAGES = 64
"""Putting together a document of more takes memory that is worth giving back."""
_NO_MATTER = {
    *("workers", "device", "page_timeout", "overwrite", "password", "offline"),
    *("engine", "urls", "vllm_args", "timeout"),
}
"""Options that change how a result is made, not what it is."""
PER_DOCUMENT = {
    *("method", "pages", "start", "end", "max_pages", "lang", "dpi", "formats", "images", "password", "overwrite"),
    "page_timeout",
}
"""Options in which the documents of one pipeline may differ: no model and no worker depends on them."""


class Stages:
    """The stages of a run with these options.

    ``chunk`` is how many pages of a document are extracted together; ``imgsz`` the long side in pixels of what the
    layout model sees.
    """

    def __init__(self, options: Options, plan: Plan, imgsz: int) -> None:
        self._imgsz = imgsz
        self._options = options
        self._plan = plan
        self._rule = make_rule(plan.backend, options.vlm_for, options.describe_images) if plan.engine else {}
        self._png = plan.engine is Engine.HTTP
        self.chunk = CHUNK if plan.layout is Layout.NATIVE else 1
        self._checked: set[Path] = set()
        self._names = Names()
        self._fingerprint = options.model_dump(mode="json", exclude=_NO_MATTER) | {"plan": str(plan.layout)}

    def with_options(self, options: Options) -> Stages:
        """The same stages for a document with other options; the two give no name in OUT twice."""
        other = Stages(options, self._plan, self._imgsz)
        other._names = self._names
        return other

    def prepare(self, item: Input, output: Path) -> tuple[str, dict[str, Any] | None]:
        """The document's name in OUT, and the report of the result that is there and still good, if there is one.

        Raises:
            OutputError: if OUT can't be written, or a result is there that only ``overwrite`` may replace.
        """
        if output not in self._checked:
            check_output(output)
            self._checked.add(output)
        name, report = self._names.claim(output, item.stem, item.source)
        if report is None or self._options.overwrite:
            return name, None
        if report.get("fingerprint") != fingerprint(item.path, self._fingerprint):
            self._names.release(output, name)
            raise OutputError(
                f"{output / name} was made from another version of this file or with other options; "
                "--overwrite replaces it"
            )
        return name, report

    def stage(self, output: Path, name: str) -> Path:
        """Make the folder where the document's files are made.

        Raises:
            OutputError: if it can't be made.
        """
        folder = staging_folder(output, name)
        try:
            folder.mkdir()
        except OSError as error:
            raise OutputError(f"{output}: can't write there: {error.strerror or error}") from error
        return folder

    def inspect(self, item: Input) -> Job:
        return _job(
            "pdf.jobs:inspect",
            self._options.page_timeout,
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
        return _job(
            "pdf.jobs:read",
            o.page_timeout,
            key=self._key(item),
            index=index,
            method=o.method,
            dpi=o.dpi,
            layout_side=(self._imgsz or None) if slot is not None else None,
            slot=slot or 0,
            slot_bytes=slot_bytes,
            ocr=self._plan.engine is None,
        )

    def prepare_vlm(self, state: DocumentState, page: PageState, regions: list[Region] | None, slot_bytes: int) -> Job:
        draft, answers = page.vlm or (None, [])
        return _job(
            "vlm.jobs:prepare",
            self._options.page_timeout,
            key=self._key(state.input),
            index=page.index,
            regions=regions,
            why_ocr=page.read.why_ocr,
            rule=self._rule,
            describe=self._options.describe_images,
            png=self._png,
            first=page.position == 0,
            slot=page.slot or 0,
            slot_bytes=slot_bytes,
            draft=draft,
            answers=answers,
        )

    def extract(self, state: DocumentState, pages: list[PageState], regions: list[Region] | None) -> Job:
        sources = [PageSource(p.index, p.read.ocr) for p in pages]
        common = {
            "key": self._key(state.input),
            "staging": str(state.staging),
            "dpi": self._options.dpi,
            "images": self._options.images is not Images.NONE,
            "first": pages[0].position == 0,
        }
        limit = self._options.page_timeout * len(pages)
        if pages[0].vlm is not None:
            del common["first"]
            draft, answers = pages[0].vlm
            describe = self._options.describe_images
            return _job("vlm.jobs:finish", limit, draft=draft, answers=answers, describe=describe, **common)
        if regions is None:
            return _job("extraction.jobs:native", limit, pages=sources, **common)
        return _job("extraction.jobs:regions", limit, page=sources[0], regions=regions, **common)

    def write(self, state: DocumentState) -> Job:
        job = WriteJob(
            key=self._key(state.input),
            name=state.name,
            staging=str(state.staging),
            pages=[p.index for p in state.pages],
            whole=state.whole,
            formats=self._options.formats,
            images=self._options.images,
            effort=self._plan.effort,
            parse_mode="ocr" if 2 * state.ocr_pages > len(state.pages) else "txt",
        )
        limit = self._options.page_timeout + _WRITE_SECONDS_PER_PAGE * len(state.pages)
        alone = len(state.pages) > _MANY_PAGES
        return replace(_job("export.writer:write", limit, job=job), complete=True, alone=alone)

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
            pages=[state.results[p.index] for p in state.pages if p.index in state.results],
            error=error,
            skipped=report is not None,
        )
        result.seconds = time.perf_counter() - state.started
        if report is not None:
            folder = result.output_dir = state.output / state.name
            result.files = {f: folder / n for f, n in report.get("files", {}).items()}
            result.files["report"] = report_path(state.output, state.name)
        elif error is None and state.staging is not None:
            try:
                spool.remove(state.staging)
                made_from = fingerprint(item.path, self._fingerprint)
                write_report(state.staging, state.name, _report(result, item, written, self._plan, made_from))
                folder = publish(state.staging, state.output, state.name)
                result.output_dir = folder
                result.files = {fmt: folder / name for fmt, name in written.files.items()}
                result.files["report"] = report_path(state.output, state.name)
                if written.failed_formats:
                    named = "; ".join(f"{fmt}: {why}" for fmt, why in written.failed_formats.items())
                    result.error = f"some formats failed: {named}"
            except AccelError as problem:
                result.error = str(problem)
        if state.staging is not None:
            discard(state.staging)
        if state.name:
            self._names.release(state.output, state.name)
        return result

    def _key(self, item: Input) -> Key:
        return Key(str(item.path), self._options.password)


def _job(function: str, timeout: float, **kwargs: Any) -> Job:
    return Job(f"mineru_accel.{function}", timeout, kwargs)


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
        "page_results": [
            {
                "page_idx": p.index,
                "status": str(p.status),
                "error": p.error,
                "regions": p.regions,
                "sources": p.sources,
                **({"reasons": p.reasons} if any(p.reasons) else {}),
                "warnings": p.warnings,
                "timings": p.timings,
            }
            for p in pages
        ],
    }
