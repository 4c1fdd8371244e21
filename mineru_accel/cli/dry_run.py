"""``mineru-accel --dry-run``: counts pages and estimates their time on this machine."""

from __future__ import annotations

import sys
import tempfile
import time
from concurrent.futures import Future, wait
from pathlib import Path
from typing import Any

from .. import events
from ..conversion.progress import duration
from ..distributed import estimate
from ..document import DocumentResult, PageResult
from ..errors import EXIT_FAILED, EXIT_OK, AccelError, UsageError
from ..options import Engine, Executor, Options
from ..page_range import select
from ..pdf import jobs
from ..pipeline import Pipeline
from ..storage.inputs import Input
from ..storage.remote import is_url

_DOCUMENTS, _PAGES = 4, 4
"""Sizes of the probe: documents spread over all, and pages from the middle of each."""


def run(inputs: list[Input], options: Options, as_json: bool, cluster: str | None = None) -> int:
    """Count the pages of documents, convert a few of them into a temporary folder, and print what to expect.

    Args:
        cluster: Nodes for which to estimate it, too; see :func:`mineru_accel.distributed.estimate.parse_cluster`.

    Returns:
        ``EXIT_OK`` if all documents can be opened, else ``EXIT_FAILED``.

    Raises:
        UsageError: for files that are not on this machine, or a cluster that makes no sense.
    """
    if remote := next((item.path for item in inputs if is_url(item.path)), None):
        raise UsageError(f"{remote}: --dry-run looks into files that are on this machine")
    kind = estimate.parse_cluster(cluster) if cluster else None
    update = {"profile": None, "max_failed_pages": None, "fail_fast": False, "resume": False}
    quiet = options.model_copy(update={**update, "executor": Executor.LOCAL})
    with Pipeline(quiet) as pipeline:
        pages, failures = _count(pipeline, inputs, options)
        rate, results, written = _probe(pipeline, {i: p for i, p in pages.items() if p})
        on_gpu = pipeline.layout_on_gpu
        vlm_here = pipeline.plan.engine in (Engine.VLLM, Engine.TRANSFORMERS)
    total = sum(map(len, pages.values()))
    probed = len(results)
    found: dict[str, Any] = {
        "documents": len(inputs),
        "pages": total,
        "probed_pages": probed,
        "pages_per_second": round(rate, 3) if rate else None,
        "seconds": round(total / rate, 1) if rate else None,
        "failures": failures,
    }
    lines = ""
    if kind and probed:
        read = sum(item.path.stat().st_size for item in pages) / total
        page = estimate.page_cost(results, read, written / probed, on_gpu, vlm_here)
        found_rate = estimate.estimate(page, *kind, options.part_pages)
        found["cluster"] = {"pages_per_second": round(found_rate.pages_per_second, 3), "limits": found_rate.limits}
        lines = "\n" + estimate.describe(page, *kind, options.part_pages)
    print(events.as_json({"event": "dry_run", **found}) if as_json else _text(found) + lines)
    for failure in failures if not as_json else []:
        print(f"mineru-accel: {failure['path']}: {failure['error']}", file=sys.stderr)
    return EXIT_FAILED if failures else EXIT_OK


def _count(
    pipeline: Pipeline, inputs: list[Input], options: Options
) -> tuple[dict[Input, list[int]], list[dict[str, str]]]:
    """The 0-based numbers of the pages to convert, by document, and the documents that can't be opened."""
    asked = {
        item.path: pipeline.ask(jobs.inspect, options.page_timeout, path=str(item.path), password=options.password)
        for item in inputs
    }
    pages: dict[Input, list[int]] = {}
    failures = []
    for item in inputs:
        try:
            count = len(asked[item.path].result().page_sizes)
        except AccelError as error:
            failures.append({"path": str(item.path), "error": str(error)})
            continue
        pages[item] = select(count, options.pages, options.start, options.end)[: options.max_pages]
    return pages, failures


def _probe(pipeline: Pipeline, pages: dict[Input, list[int]]) -> tuple[float | None, list[PageResult], int]:
    """Convert some pages for a trial: pages per second, their results, and the bytes written."""
    items = list(pages)
    chosen = items[:: max(1, len(items) // _DOCUMENTS)][:_DOCUMENTS]
    if not chosen:
        return None, [], 0
    with tempfile.TemporaryDirectory(prefix="mineru-accel-") as folder:

        def start(item: Input, most: int) -> Future[DocumentResult]:
            middle = max(0, (len(pages[item]) - most) // 2)
            some = ",".join(str(index + 1) for index in pages[item][middle : middle + most])
            own: dict[str, Any] = {"pages": some, "start": None, "end": None, "max_pages": None, "overwrite": True}
            return pipeline.submit(item, folder, **own)

        start(chosen[0], 1).result()  # the first page waits for models to load
        started = time.perf_counter()
        running = [start(item, _PAGES) for item in chosen]
        wait(running)
        seconds = time.perf_counter() - started
        written = sum(f.stat().st_size for f in Path(folder).rglob("*") if f.is_file())
    results = [page for future in running for page in future.result().pages]
    return (len(results) / seconds if results else None), results, written


def _text(found: dict[str, Any]) -> str:
    text = f"{found['documents']} document(s), {found['pages']} page(s)"
    if found["failures"]:
        text += f"; {len(found['failures'])} document(s) can't be opened"
    if found["seconds"] is not None:
        text += (
            f"; about {duration(found['seconds'])} at {found['pages_per_second']:.1f} pages/s, "
            f"as {found['probed_pages']} of them took"
        )
    return text
