"""``mineru-accel bench vlm-pipeline``: from a PDF's path to files on disk with the VLM, beside MinerU 4's own flow.

The checkpoint may be of random weights: every generation is made as long as the region's text is (greedy decoding of a
fixed number of tokens), and then that text is used. So engine, pipeline and files do their whole work, whatever the
weights. All systems use the same engine in the same process, the same detector and the same lengths; of several engines
MinerU's flow (`mineru_flow`) has the first, since MinerU starts one.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ...conversion.document_folder import DocumentFolder
from ...conversion.executor import LocalExecutor
from ...conversion.page_jobs import PageJobs
from ...conversion.startup import default_workers
from ...document import Region, Source
from ...errors import EXIT_FAILED, EXIT_OK
from ...layout.protocol import LayoutDetector
from ...options import Backend
from ...pdf.opening import inspect, open_page
from ...pdf.rendering import render
from ...pdf.types import Key
from ...pipeline import Pipeline
from ...storage.inputs import Input
from ...vlm.protocol import VlmEngine
from ...vlm.vllm_host.arguments import parse
from ..report.report import Chart, Column, Report
from .forced_answers import ForcedAnswers, forced_engine
from .gpu_utilization import GpuUtilization
from .mineru_flow import FORMATS, MineruFlow

_TITLES = {"vlm": "mineru-accel -b vlm", "hybrid": "mineru-accel -b hybrid", "mineru": "MinerU's own VLM flow"}
COLUMNS = (
    *(Column("case", "what"), Column("system", "system"), Column("pages_per_s", "pages/s", ".2f")),
    *(Column("seconds", "seconds", ".1f"), Column("gpu_busy_percent", "GPU busy %")),
)


def run(argv: Sequence[str]) -> int:
    """Measure and print; partial results are written at once."""
    args = _parser().parse_args(argv)
    out = VlmPipelineResults(args.json, argv, f"{args.pages} pages of {args.pdf.name}, VLM")
    with tempfile.TemporaryDirectory() as folder:
        book = _repeated_pages(args.pdf, args.pages, Path(folder))
        started = time.perf_counter()
        with VlmPipelineBenchmark(args) as bench:
            out.add("start", {"seconds": time.perf_counter() - started, "engine": bench.engine.name})
            out.add("truth", bench.answers.learn(args.pdf, bench.layout(args.pdf)))
            systems: dict[str, Any] = {}
            for name in args.systems:
                systems[name] = bench.mineru if name == "mineru" else lambda b, o, n=name: bench.ours(n, b, o)
            good = True
            for name, convert in systems.items():
                try:
                    convert(args.pdf, Path(folder) / f"warm-{name}")
                    rows = [_measure(bench, convert, book, Path(folder) / f"{name}-{i}") for i in range(args.repeats)]
                except Exception as error:  # the other systems are still measured
                    out.add(name, {"error": f"{type(error).__name__}: {error}"})
                    good = False
                    continue
                best = max(rows, key=lambda row: row["pages_per_second"])
                median = statistics.median(row["pages_per_second"] for row in rows)
                out.add(name, {**best, "pages_per_second": round(median, 2), "runs": len(rows)})
            out.add_ratios()
    return EXIT_OK if good else EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mineru-accel bench vlm-pipeline", description=__doc__.split("\n\n")[0])
    parser.add_argument("pdf", type=Path, help="a born-digital PDF")
    parser.add_argument("--vlm", required=True, metavar="FOLDER", help="a checkpoint; random weights are enough")
    parser.add_argument(
        "--pages", type=int, default=208, help="total pages; the PDF's pages are repeated; default: 208"
    )
    parser.add_argument(
        "--systems", nargs="+", default=["vlm", "hybrid", "mineru"], choices=["vlm", "hybrid", "mineru"]
    )
    parser.add_argument("--repeats", type=int, default=1, help="the median counts; default: %(default)s")
    parser.add_argument("--workers", type=int, default=default_workers())
    parser.add_argument("--vllm-arg", action="append", default=[], metavar="K=V", help="of vLLM's engine; repeatable")
    parser.add_argument("--replicas", type=int, help="engines on the GPU; default: as conversions have it")
    parser.add_argument("--device", default="auto", help="of the layout model")
    parser.add_argument("--layout-weights", type=Path)
    parser.add_argument("--json", type=Path, help="write results here, too, as they come")
    return parser


class VlmPipelineResults:
    """Prints each result when it is known, and rewrites the file."""

    def __init__(self, path: Path | None, argv: Sequence[str], case: str) -> None:
        self._path = path
        self._case = case
        self.rows: dict[str, Any] = {}
        self.report = Report("vlm-pipeline", COLUMNS, Chart("Conversions with the VLM", "pages_per_s", "pages/s"), argv)
        self.report.notes.append(
            "Random weights are enough for these figures: lengths of answers are forced, as long as each region's text."
        )

    def add(self, name: str, row: dict[str, Any]) -> None:
        """Record the result of a step or system."""
        self.rows[name] = row
        print(f"{name}: {json.dumps(row)}", flush=True)
        if "error" in row:
            self.report.leave_out(_TITLES[name], row["error"])
        elif "pages_per_second" in row:
            named = {"case": self._case, "system": _TITLES[name], "pages_per_s": row["pages_per_second"]}
            self.report.rows.append(named | row)
        else:
            self.report.settings[name] = row
        if self._path:
            self._path.write_text(json.dumps(self.report.to_dict(), indent=1), encoding="utf-8")

    def add_ratios(self) -> None:
        """Record this package's speeds relative to MinerU's flow."""
        speeds = {name: row.get("pages_per_second") for name, row in self.rows.items()}
        if mineru := speeds.get("mineru"):
            ours = {name: round(speeds[name] / mineru, 2) for name in ("vlm", "hybrid") if speeds.get(name)}
            self.add("times as fast as MinerU's flow", ours)


def _measure(bench: VlmPipelineBenchmark, convert: Any, book: Path, out: Path) -> dict[str, Any]:
    """Convert ``book`` once; returns speed, GPU utilization and counts."""
    before = dict(bench.answers.counts)
    with GpuUtilization() as busy:
        started = time.perf_counter()
        row = convert(book, out)
        seconds = time.perf_counter() - started
    text = "".join(p.read_text(encoding="utf-8") for p in out.rglob("*.md"))
    if not text.strip():
        raise RuntimeError("no Markdown came out")
    speed = round(row.pop("pages") / seconds, 2)
    return {
        "pages_per_second": speed,
        "seconds": round(seconds, 2),
        "gpu_busy_percent": None if math.isnan(busy.mean()) else round(busy.mean(), 1),
        **{name: count - before[name] for name, count in bench.answers.counts.items()},
        "markdown_characters": len(text),
        **row,
    }


class VlmPipelineBenchmark:
    """One pipeline, its engine and the forced answers, for all systems."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.answers = ForcedAnswers()
        self.engine: Any = None

    def __enter__(self) -> VlmPipelineBenchmark:
        bench = self

        class ForcedPipeline(Pipeline):
            def _make_engine(self) -> VlmEngine:
                a = bench.args
                bench.engine = forced_engine(self.plan.vlm or Path(), parse(a.vllm_arg), a.replicas, bench.answers)
                return bench.engine

        a = self.args
        self.pipeline = ForcedPipeline(
            backend="vlm",
            engine="vllm",
            vlm=a.vlm,
            workers=a.workers,
            formats=FORMATS,
            device=a.device,
            layout_weights=a.layout_weights,
            overwrite=True,
            timeout=600,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self.pipeline.close()

    @property
    def _executor(self) -> LocalExecutor:
        assert isinstance(self.pipeline.executor, LocalExecutor)
        return self.pipeline.executor

    @property
    def _detector(self) -> LayoutDetector:
        detector = self._executor.scheduler.detector
        assert detector is not None
        return detector

    def layout(self, pdf: Path) -> list[list[Region]]:
        """The detector's regions of each page."""
        key = Key(str(pdf))
        detector = self._detector
        found: list[list[Region]] = []
        for index in range(len(inspect(str(pdf)).page_sizes)):
            with open_page(key, index) as page:
                found += detector.detect([render(page, detector.imgsz / max(page.get_size()))])
        return found

    def ours(self, back_end: str, pdf: Path, out: Path) -> dict[str, Any]:
        """Convert one document with this package."""
        executor = self._executor
        assert executor.scheduler.vlm is not None
        before = dict(executor.scheduler.vlm.counts)
        options, plan = executor.options, replace(executor.plan, backend=Backend(back_end))
        folder = DocumentFolder(Input(pdf), out, options, plan, executor.outputs)
        result = executor.scheduler.submit(folder, PageJobs(options, plan, executor.jobs.imgsz)).result()
        if not result.ok:
            raise RuntimeError(result.error or next(r.error for r in result.pages if r.error))
        shares: dict[str, float] = {}
        for page in result.pages:
            for stage, seconds in page.timings.items():
                shares[stage] = shares.get(stage, 0.0) + seconds
        after = executor.scheduler.vlm.counts
        sources = [s for page in result.pages for s in page.sources]
        return {
            "pages": len(result.pages),
            "retries": after["retries"] - before["retries"],
            "sources": {str(s): sources.count(str(s)) for s in Source if str(s) in sources},
            "milliseconds_per_page": {k: round(1000 * v / len(result.pages), 1) for k, v in sorted(shares.items())},
        }

    def mineru(self, pdf: Path, out: Path) -> dict[str, Any]:
        """Convert one document with MinerU's flow, in the engine's own event loop."""
        flow = MineruFlow(self.engine, self._detector, self.answers)
        vlm = self._executor.scheduler.vlm
        assert vlm is not None
        return asyncio.run_coroutine_threadsafe(flow.convert(pdf, out), vlm.loop).result()


def _repeated_pages(pdf: Path, pages: int, folder: Path) -> Path:
    """A PDF with ``pages`` pages, those of ``pdf`` repeated."""
    import pypdfium2 as pdfium

    source = pdfium.PdfDocument(pdf)
    out = pdfium.PdfDocument.new()
    while len(out) < pages:
        out.import_pages(source, list(range(min(len(source), pages - len(out)))))
    path = folder / "book.pdf"
    out.save(path)
    return path


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
