"""The stages of a cluster, each a class whose instances Ray Data calls with rows. None of them knows Ray.

::

    Open -> ConvertPages -> WriteDocuments

Each sets up once and then runs the local pipeline's code; what goes wrong with a page or document is data.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import socket
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from loguru import logger

from .. import urls
from ..document import DocumentResult, PageResult, PageStatus
from ..errors import AccelError, ModelError, OutputError, WorkerError
from ..inputs import Input
from ..launch import launch, launch_writer, make_pool
from ..options import Options
from ..output import Names, WorkFolder, check_output, difference, locked, read_report, report_path
from ..plan import Plan
from ..stages import Stages, pages_of
from . import bundle, store
from .ledger import PartKey
from .stages import JoinStages, PartStages
from .turns import Turns
from .work import Document, Done, Part, Row, Task, Work

_TRIES = 4
"""How often a part's actor may be lost before the part is given up."""


class Agreed(Protocol):
    """A :class:`~mineru_accel.distributed.ledger.Ledger`, wherever it is."""

    def take(self, name: str, number: int) -> bool: ...

    def begin(self, parts: Sequence[PartKey]) -> list[int]: ...

    def begin_again(self, part: PartKey) -> None: ...

    def end(self, parts: Sequence[PartKey]) -> None: ...

    def add(self, number: int, start: int, there: frozenset[int], total: int) -> bool: ...


@dataclass(frozen=True)
class Settings:
    """What every actor of a run is told."""

    options: Options
    plan: Plan
    weights_sha256: str | None
    """Of the layout model that the driver would take."""
    output: Path
    part_pages: int

    def plan_here(self) -> Plan:
        """The driver's plan, with the models as they lie on this machine.

        Raises:
            ModelError: if they are not there, or others.
        """
        return replace(self.plan, weights=self._weights_here(), vlm=self._vlm_here())

    def _weights_here(self) -> Path | None:
        if self.plan.weights is None:
            return None
        from ..models import find_layout_weights

        paths = [self.plan.weights]
        if (found := find_layout_weights(None)) is not None:
            paths.append(found.path)
        for path in paths:
            if path.is_file() and file_sha256(path) == self.weights_sha256:
                return path
        raise ModelError(f"{socket.gethostname()}: {self.plan.weights} is not there, nor the same weights elsewhere")

    def _vlm_here(self) -> Path | None:
        if self.plan.vlm is None or self.plan.vlm.is_dir():
            return self.plan.vlm
        from ..vlm.weights import find_vlm

        if (found := find_vlm(self.options.vlm)) is None:
            raise ModelError(f"{socket.gethostname()}: no VLM {self.options.vlm}; 'mineru-accel models download' there")
        return found.path

    def failed(self, task: Task, name: str, error: str) -> DocumentResult:
        """The result of a document of which nothing came."""
        return DocumentResult(task.path, name, None, str(self.plan.backend), str(self.plan.layout), error=error)

    def found(self, task: Task, name: str, report: dict[str, Any]) -> DocumentResult:
        """The result of a document that is there, by its report."""
        folder = self.output / name
        result = DocumentResult(task.path, name, folder, str(self.plan.backend), str(self.plan.layout))
        result.files = {kind: folder / file for kind, file in report.get("files", {}).items()}
        result.files["report"] = report_path(self.output, name)
        result.pages = pages_of(report)
        return result


def file_sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _scratch() -> Path:
    """This user's folder for files in the making on this machine; what killed actors left in it is swept."""
    folder = Path(tempfile.gettempdir()) / f"mineru-accel-ray-{os.getuid()}"
    check_output(folder)
    for left in folder.glob("*.partial"):
        try:
            WorkFolder(folder, left.name.removesuffix(".partial")).close()
        except OutputError:  # another actor works in it
            continue
    return folder


def explain(error: Exception) -> str:
    if not isinstance(error, AccelError):
        logger.opt(exception=error).debug("unexpected")
        return f"internal error: {type(error).__name__}: {error}"
    return str(error)


class Open:
    """Inputs -> parts of documents. Settles names, leaves out what is done, looks into files.

    Args:
        settings: of the run.
        ledger: says which names other actors have given.
    """

    def __init__(self, settings: Settings, ledger: Agreed) -> None:
        self._ledger = ledger
        self._settings = settings
        self._output = settings.output
        self._stages = Stages(settings.options, settings.plan, 0)
        self._names = Names()
        self._given: dict[int, str] = {}
        self._cache = urls.Cache(_scratch() / "inputs")
        self._pool = make_pool(settings.options, 1, "mineru_accel.pdf.jobs")
        if not urls.is_url(self._output):
            check_output(self._output)

    def __call__(self, row: Row) -> Iterator[Row]:
        work = Work()
        for group in Work.from_row(row).tasks:
            for task in group:
                opened = self._open(task)
                if isinstance(opened, Done):
                    work.done.append(opened)
                    continue
                for part in opened:
                    work.parts.append(part)
                    if sum(p.stop - p.start for p in work.parts) >= self._settings.part_pages:
                        yield work.to_row()
                        work = Work()
        if work.parts or work.done:
            yield work.to_row()

    def _open(self, task: Task) -> list[Part] | Done:
        began = time.time()
        name = ""
        try:
            item = _input(self._cache, task)
            name, report = self._claim(item, task.number)
            info = self._ask(self._stages.inspect(item))
            made_from = self._stages.made_from(info.digest)
            if report is not None and not self._settings.options.overwrite:
                changed = difference(report.get("fingerprint"), made_from)
                if changed is None:
                    result = self._settings.found(task, name, report)
                    result.skipped = True
                    return Done(task, result)
                raise OutputError(f"{self._output / name} was made {changed}; --overwrite replaces it")
            pages, _ = self._stages.select(info)
        except Exception as error:
            return Done(task, self._settings.failed(task, name, explain(error)))
        text = f"{sorted(made_from.items())}{name}{pages}"
        key = hashlib.sha256(text.encode()).hexdigest()[:24]
        return self._parts(Document(task, name, made_from, key, tuple(pages), len(info.page_sizes), began))

    def _claim(self, item: Input, number: int) -> tuple[str, dict[str, Any] | None]:
        if number in self._given:  # asked again: what was found was lost on its way
            self._names.release(self._output, self._given.pop(number))
        while True:
            with contextlib.nullcontext() if urls.is_url(self._output) else locked(self._output):
                name, report = self._names.claim(self._output, item.stem, item.source)
            if self._ledger.take(name, number):
                self._given[number] = name
                return name, None if report is not None and report.get("unfinished") else report

    def _ask(self, job: Any) -> Any:
        try:
            return self._pool.submit(job).result()
        except WorkerError:
            return self._pool.submit(job).result()

    def _parts(self, document: Document) -> list[Part]:
        size, count = self._settings.part_pages, len(document.pages)
        if count <= size:
            return [Part(document, 0, count, stored=False)]
        starts = range(0, count, size)
        found = store.there(self._output, document.key) if self._settings.options.resume is not False else set()
        there = frozenset(found.intersection(starts) - {starts[-1]})  # one has to say that all are there
        missing = [start for start in starts if start not in there]
        return [Part(document, i, min(i + size, count), True, there, len(starts)) for i in missing]


class ConvertPages:
    """Parts -> their pages: rendered, laid out and read in one actor, so that no pixel leaves the node.

    Ray gives a call whose actor was lost to another one, again and again. A part with which that happened before is
    converted alone, and given up after some tries: it may be what kills them.

    Args:
        settings: of the run.
        ledger: counts the tries.
        workers: processes, one per CPU of the actor.
    """

    def __init__(self, settings: Settings, ledger: Agreed, workers: int) -> None:
        self._settings = settings
        self._ledger = ledger
        self._turns = Turns()
        self._plan = settings.plan_here()
        self._scratch = _scratch()
        self._cache = urls.Cache(self._scratch / "inputs")
        launched = launch(settings.options, self._plan, workers, lambda event: None, threads=workers)
        self._flow, self._imgsz = launched.flow, launched.stages.imgsz

    def __call__(self, row: Row) -> Row:
        work = Work.from_row(row)
        with self._turns.together():
            tries = self._ledger.begin([part.key for part in work.parts])
            clean = [part for part, count in zip(work.parts, tries, strict=True) if not count]
            self._convert(clean)
            self._ledger.end([part.key for part in clean])
        for part, count in zip(work.parts, tries, strict=True):
            if count >= _TRIES:
                self._give_up(part, f"the process that converted it was lost {count} times")
            elif count:
                with self._turns.alone():
                    self._ledger.begin_again(part.key)
                    self._convert([part])
                    self._ledger.end([part.key])
        return work.to_row()

    def _convert(self, parts: list[Part]) -> None:
        waiting = [(part, *self._submit(part)) for part in parts]
        for part, stages, future in waiting:
            self._finish(part, stages, future)

    def _submit(self, part: Part) -> tuple[PartStages, Future[DocumentResult]]:
        stages = PartStages(self._settings.options, self._plan, self._imgsz, part)
        try:
            item = _input(self._cache, part.document.task)
            return stages, self._flow.submit(item, self._scratch, stages=stages)
        except Exception as error:
            future: Future[DocumentResult] = Future()
            future.set_exception(error)
            return stages, future

    def _finish(self, part: Part, stages: PartStages, future: Future[DocumentResult]) -> None:
        try:
            result = future.result()
            part.results, part.pages, error = result.pages, stages.pages, result.error
        except Exception as problem:
            error = explain(problem)
        if part.pages is None:
            self._give_up(part, error)
        else:
            self._store(part, part.pages)

    def _give_up(self, part: Part, error: str | None) -> None:
        """What went wrong with a part as a whole is said of each of its pages."""
        part.results = [PageResult(i, PageStatus.FAILED, error) for i in part.indices]
        part.pages = bundle.with_results(None, part.results)
        self._store(part, part.pages)

    def _store(self, part: Part, pages: bytes) -> None:
        if part.stored:
            failed = any(r.status is PageStatus.FAILED for r in part.results)
            try:
                store.save(self._settings.output, part.document.key, part.start, pages, failed)
            except OutputError as problem:  # its document will say that this part is missing
                logger.debug("{}", problem)
            part.pages = None


class WriteDocuments:
    """Parts -> documents in OUT, once all parts of a document are there.

    Args:
        settings: of the run.
        ledger: says which part of a long document is the last.
        workers: processes, one per CPU of the actor.
    """

    def __init__(self, settings: Settings, ledger: Agreed, workers: int) -> None:
        self._settings = settings
        self._ledger = ledger
        self._scratch = _scratch()
        self._cache = urls.Cache(self._scratch / "inputs")
        self._flow = launch_writer(settings.options, settings.plan, workers).flow

    def __call__(self, row: Row) -> Row:
        work = Work.from_row(row)
        waiting = []
        for part in work.parts:
            number = part.document.task.number
            if not part.stored or self._ledger.add(number, part.start, part.there, part.total):
                waiting.append((part, self._join(part)))
        for part, future in waiting:
            work.done.append(Done(part.document.task, self._publish(part, future)))
        for part in work.parts:
            part.pages = None
        return work.to_row()

    def _join(self, part: Part) -> Future[DocumentResult]:
        document = part.document
        try:
            item = _input(self._cache, document.task)
            bundles = self._bundles(part)
            output = self._settings.output
            if urls.is_url(output):
                output = self._scratch / f"out-{document.key}"
                output.mkdir(exist_ok=True)
            stages = JoinStages(self._settings.options, self._settings.plan, document, bundles)
            return self._flow.submit(item, output, stages=stages)
        except Exception as error:
            future: Future[DocumentResult] = Future()
            future.set_exception(error)
            return future

    def _bundles(self, part: Part) -> list[bytes]:
        if not part.stored:
            return [part.pages or b""]
        size, document = self._settings.part_pages, part.document
        return [store.load(self._settings.output, document.key, i) for i in range(0, len(document.pages), size)]

    def _publish(self, part: Part, future: Future[DocumentResult]) -> DocumentResult:
        """The document's result, its files in OUT."""
        document, output = part.document, self._settings.output
        try:
            result = future.result()
            made, result.path = result.output_dir, document.task.path
            if made is not None and urls.is_url(output):
                target = output / document.name
                report = f"{document.name}_report.json"
                begun = {"source": str(result.path), "unfinished": True}
                urls.upload(made, target, last=report, first=(report, json.dumps(begun).encode()))
                result.output_dir = target
                result.files = {kind: target / file.relative_to(made) for kind, file in result.files.items()}
            if part.stored and result.output_dir is not None:
                store.forget(output, document.key)
        except Exception as error:
            before = self._written_before(document) if part.stored else None
            result = before or self._settings.failed(document.task, document.name, explain(error))
        if urls.is_url(output):
            shutil.rmtree(self._scratch / f"out-{document.key}", ignore_errors=True)
        return result

    def _written_before(self, document: Document) -> DocumentResult | None:
        """The result that this run has written already, if only the news of it was lost with a node."""
        report = read_report(self._settings.output, document.name)
        if report is None or report.get("fingerprint") != document.made_from:
            return None
        return self._settings.found(document.task, document.name, report)


def _input(cache: urls.Cache, task: Task) -> Input:
    """An input as the local pipeline knows it, on this machine."""
    name = str(task.path) if urls.is_url(task.path) else None
    return Input(cache.fetch(task.path), known_as=name)
