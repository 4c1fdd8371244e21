"""The jobs of a document and its pages: which function a worker calls, with which arguments and time limit."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import TYPE_CHECKING, Any, TypeVar

from ..errors import InputError
from ..export import jobs as export
from ..export.types import PART, Part, PartJob, WriteJob, Writing
from ..options import Format, Images, Options
from ..page_range import select
from ..pdf import jobs as pdf
from ..pdf.types import DocumentInfo, Key, PageSource
from ..reading import jobs as reading
from ..reading.source_policy import make_source_policy
from ..storage.inputs import Input, input_sha256
from ..workers.protocol import Job, job
from .document_folder import DocumentFolder
from .pages import Pages, PageState
from .plan import Plan

if TYPE_CHECKING:
    from ..vlm.protocol import VlmEngine

W = TypeVar("W")

_WRITE_SECONDS_PER_PAGE = 3.0
_DIGEST_SECONDS = 600.0


class PageJobs:
    """Makes the jobs of documents that are converted with the same options.

    Args:
        options, plan: how documents are converted.
        imgsz: long side in pixels of what the layout model sees; 0 without one.
    """

    def __init__(self, options: Options, plan: Plan, imgsz: int) -> None:
        self.imgsz = imgsz
        self._options = options
        self._plan = plan
        self._policy = make_source_policy(plan.backend, options.vlm_for, options.describe_images)

    def with_options(self, options: Options) -> PageJobs:
        """The jobs of a document with other options."""
        return PageJobs(options, self._plan, self.imgsz)

    @property
    def document_timeout(self) -> float | None:
        """Seconds that a document may take; None: any."""
        return self._options.document_timeout

    # Of a document

    def digest(self, item: Input) -> Job:
        return job(input_sha256, _DIGEST_SECONDS, item.path.name, path=str(item.path))

    def inspect(self, item: Input) -> Job:
        path, password = str(item.path), self._options.password
        return job(pdf.inspect, self._options.page_timeout, item.path.name, path=path, password=password)

    def select(self, info: DocumentInfo) -> Pages:
        """The pages to convert.

        Raises:
            InputError: if the choice leaves none.
        """
        o = self._options
        count = len(info.page_sizes)
        chosen = select(count, o.pages, o.start, o.end)
        if not chosen:
            raise InputError(f"has {count} page(s): none of them is in the range asked for")
        chosen = chosen[: o.max_pages]
        return Pages(chosen, whole=len(chosen) == count)

    # Of a page

    def read(self, folder: DocumentFolder, page: PageState, slot_bytes: int) -> Job:
        o = self._options
        return job(
            pdf.read,
            o.page_timeout,
            self._what(folder, page),
            key=self._key(folder),
            index=page.index,
            method=o.method,
            dpi=o.dpi,
            layout_side=(self.imgsz or None) if page.slot is not None else None,
            slot=page.slot or 0,
            slot_bytes=slot_bytes,
            ocr=self._plan.engine is None,
        )

    def prepare(self, folder: DocumentFolder, page: PageState, slot_bytes: int, engine: VlmEngine) -> Job:
        """Decide what the VLM is asked."""
        assert page.read is not None
        draft, answers = page.vlm or (None, [])
        return job(
            reading.prepare,
            self._options.page_timeout,
            self._what(folder, page),
            key=self._key(folder, [page]),
            page=PageSource(page.index, None, page.read.why_ocr, page.read.hidden),
            regions=page.regions,
            policy=self._policy,
            describe=self._options.describe_images,
            dpi=self._options.dpi,
            png=engine.png,
            cutter=engine.cutter,
            first=self.is_first(page),
            slot=page.slot or 0,
            slot_bytes=slot_bytes,
            draft=draft,
            answers=answers,
        )

    def extract(self, folder: DocumentFolder, pages: list[PageState]) -> Job:
        """Make the blocks of a page, or of several where the route takes them together, and store them."""
        first, last = pages[0], pages[-1]
        limit = self._options.page_timeout * len(pages)
        what = self._what(folder, first) + (f"-{last.index + 1}" if last is not first else "")
        common: dict[str, Any] = {
            "key": self._key(folder, pages),
            "staging": str(folder.staging),
            "dpi": self._options.dpi,
            "images": self._options.images is not Images.NONE,
        }
        sources = [
            PageSource(p.index, p.read.ocr, hidden=p.read.hidden) if p.read else PageSource(p.index) for p in pages
        ]
        if first.vlm is not None:
            draft, answers = first.vlm
            common |= {"page": sources[0], "describe": self._options.describe_images}
            return job(reading.finish, limit, what, draft=draft, answers=answers, **common)
        common["first"] = self.is_first(first)
        if first.regions is None:
            native = job(reading.native, limit, what, pages=sources, **common)
            return replace(native, complete=True)
        common |= {"page": sources[0], "policy": self._policy}
        one = job(reading.regions, limit, what, regions=first.regions, **common)
        return replace(one, complete=True)

    def is_first(self, page: PageState) -> bool:
        """Whether the page is the first of its document: the title stands there."""
        return page.position == 0

    # Of its files

    def part(self, folder: DocumentFolder, pages: Pages, part: Part) -> Job:
        """Put a part of a long document together."""
        low, high = part.around
        until = pages.indices[part.stop] if part.stop < part.count else None
        around = list(pages.indices[low:high])
        part_job = PartJob(self._writing(folder, pages, around), part, self._options.formats, until)
        return self._write_job(export.write_part, folder, len(around), part_job)

    def write(self, folder: DocumentFolder, pages: Pages, parts: int, apart: bool) -> list[Job]:
        """Write a document's files.

        Args:
            parts: number of parts that have been put together; 0 for a document that is not long.
            apart: whether the layout PDF, which takes as long as the rest, may be made beside it.
        """
        formats = [self._options.formats]
        if apart and not parts and self._options.images is Images.FILE:
            formats = [tuple(f for f in formats[0] if (f is Format.LAYOUT_PDF) is drawn) for drawn in (True, False)]
        writing = self._writing(folder, pages, list(pages.indices))
        jobs = [WriteJob(writing, some, parts) for some in formats if some]
        alone = len(pages) > PART
        return [replace(self._write_job(export.write, folder, len(pages), j), alone=alone) for j in jobs]

    def _write_job(self, function: Callable[[W], Any], folder: DocumentFolder, pages: int, argument: W) -> Job:
        limit = self._options.page_timeout + _WRITE_SECONDS_PER_PAGE * pages
        return replace(job(function, limit, folder.input.path.name, argument), complete=True)

    def _writing(self, folder: DocumentFolder, pages: Pages, indices: list[int]) -> Writing:
        return Writing(
            key=self._key(folder),
            name=folder.name,
            staging=str(folder.staging),
            pages=indices,
            whole=pages.whole,
            images=self._options.images,
            effort=self._plan.effort,
            parse_mode="ocr" if 2 * pages.ocr > len(pages) else "txt",
        )

    def _key(self, folder: DocumentFolder, pages: Iterable[PageState] = ()) -> Key:
        """The document, with those pages upright that are to be read."""
        turns = ((page.index, page.read.turn) for page in pages if page.read)
        return Key(str(folder.input.path), self._options.password).with_turns(turns)

    def _what(self, folder: DocumentFolder, page: PageState) -> str:
        """A page for people who look at a trace."""
        return f"{folder.input.path.name} {page.index + 1}"
