"""``mineru-accel bench vlm-pipeline``: from a PDF's path to files on disk with the VLM, beside MinerU 4's own flow.

The checkpoint may be of random weights: every generation is made as long as the region's text is (greedy decoding of
exactly so many tokens), and then that text is taken. So engine, pipeline and files do their whole work, whatever the
weights know. All systems use the same engine in the same process, the same detector and the same lengths; of several
engines MinerU's flow has the first, since MinerU starts one.

MinerU's flow is rebuilt from its parts: windows of 64 pages, one after the other; its renderer (three processes),
layout two pages at a time, ``aio_batch_extract_with_layout`` of its client under its limit of 100 requests, crops from
the page image, normalization, and its renderers of Markdown and JSON. Its models for inline formulas and OCR lines,
which it runs too, are left out: they would only cost it time.
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

from ...conversion.page_jobs import Stages
from ...conversion.startup import default_workers
from ...document import Region, Source
from ...errors import EXIT_FAILED, EXIT_OK
from ...options import Backend, Format
from ...pipeline import Pipeline
from ...storage.inputs import Input
from ...vlm.protocol import VlmEngine
from ...vlm.types import Generated, Sampling
from ..report.model import Chart, Column, Report
from . import forced_length
from .gpu_utilization import Busy

_CHARS_PER_TOKEN = {"equation": 1.0, "table": 2.0}
"""Characters of a region's text layer for each token of its answer: LaTeX and OTSL are wordier than what they show."""
_CHARS_PER_TEXT_TOKEN = 3.6
_FORMATS = (Format.MD, Format.CONTENT_LIST, Format.MIDDLE, Format.MODEL)
_WINDOW, _LAYOUT_BATCH, _REQUESTS = 64, 2, 100
"""MinerU's."""
_TITLES = {"vlm": "mineru-accel -b vlm", "hybrid": "mineru-accel -b hybrid", "mineru": "MinerU's own VLM flow"}
COLUMNS = (
    *(Column("case", "what"), Column("system", "system"), Column("pages_per_s", "pages/s", ".2f")),
    *(Column("seconds", "seconds", ".1f"), Column("gpu_busy_percent", "GPU busy %")),
)

Truth = dict[tuple[tuple[int, int], str], tuple[int, str]]
"""(tokens, answer) by a crop's size and prompt."""


def run(argv: Sequence[str]) -> int:
    """Measure and print; partial results are written as they come."""
    args = _parser().parse_args(argv)
    out = _Results(args.json, argv, f"{args.pages} pages of {args.pdf.name}, VLM")
    with tempfile.TemporaryDirectory() as folder:
        book = _book(args.pdf, args.pages, Path(folder))
        started = time.perf_counter()
        with _Bench(args) as bench:
            out.add("start", {"seconds": time.perf_counter() - started, "engine": bench.engine.name})
            out.add("truth", bench.learn(args.pdf))
            systems: dict[str, Any] = {}
            for name in args.systems:
                systems[name] = bench.mineru if name == "mineru" else lambda b, o, n=name: bench.ours(n, b, o)
            good = True
            for name, convert in systems.items():
                try:
                    convert(args.pdf, Path(folder) / f"warm-{name}")
                    rows = [_measure(bench, convert, book, Path(folder) / f"{name}-{i}") for i in range(args.repeats)]
                except Exception as error:  # the others still count
                    out.add(name, {"error": f"{type(error).__name__}: {error}"})
                    good = False
                    continue
                best = max(rows, key=lambda row: row["pages_per_second"])
                median = statistics.median(row["pages_per_second"] for row in rows)
                out.add(name, {**best, "pages_per_second": round(median, 2), "runs": len(rows)})
            out.ratios()
    return EXIT_OK if good else EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="mineru-accel bench vlm-pipeline", description=__doc__.split("\n\n")[0])
    parser.add_argument("pdf", type=Path, help="a born-digital PDF")
    parser.add_argument("--vlm", required=True, metavar="FOLDER", help="a checkpoint, of random weights if need be")
    parser.add_argument("--pages", type=int, default=208, help="the PDF's pages are repeated so far; default: 208")
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


class _Results:
    """Prints each result when it is there, and keeps the file up to date."""

    def __init__(self, path: Path | None, argv: Sequence[str], case: str) -> None:
        self._path = path
        self._case = case
        self.rows: dict[str, Any] = {}
        self.report = Report("vlm-pipeline", COLUMNS, Chart("Conversions with the VLM", "pages_per_s", "pages/s"), argv)
        self.report.notes.append(
            "Random weights are enough for these figures: lengths of answers are forced, as long as each region's text."
        )

    def add(self, name: str, row: dict[str, Any]) -> None:
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

    def ratios(self) -> None:
        speeds = {name: row.get("pages_per_second") for name, row in self.rows.items()}
        if theirs := speeds.get("mineru"):
            ours = {name: round(speeds[name] / theirs, 2) for name in ("vlm", "hybrid") if speeds.get(name)}
            self.add("times as fast as MinerU's flow", ours)


def _measure(bench: _Bench, convert: Any, book: Path, out: Path) -> dict[str, Any]:
    before = dict(bench.asked)
    with Busy() as busy:
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
        **{name: count - before[name] for name, count in bench.asked.items()},
        "markdown_characters": len(text),
        **row,
    }


class _Bench:
    """One pipeline and its engine, for every system."""

    def __init__(self, args: argparse.Namespace) -> None:
        self.args = args
        self.truth: Truth = {}
        self.boxes: list[list[dict[str, Any]]] = []
        """What MinerU's client is told of each page, so that all systems ask for the same crops."""
        self.asked = dict.fromkeys(("requests", "tokens", "guessed"), 0)
        self.engine: Any = None

    def __enter__(self) -> _Bench:
        bench = self

        class Measured(Pipeline):
            def _make_engine(self) -> VlmEngine:
                bench.engine = _forced(self, bench)
                return bench.engine

        a = self.args
        self.pipeline = Measured(
            backend="vlm",
            engine="vllm",
            vlm=a.vlm,
            workers=a.workers,
            formats=_FORMATS,
            device=a.device,
            layout_weights=a.layout_weights,
            overwrite=True,
            timeout=600,
        )
        return self

    def __exit__(self, *exc: object) -> None:
        self.pipeline.close()

    def wanted(self, size: tuple[int, int], prompt: str) -> tuple[int, str]:
        """Tokens and answer of a crop that is asked for."""
        known = self.truth.get((size, prompt))
        tokens, text = known or _guess(size)
        self.asked["requests"] += 1
        self.asked["tokens"] += tokens
        self.asked["guessed"] += known is None
        return tokens, text

    def learn(self, pdf: Path) -> dict[str, Any]:
        """What the text layer says of every region, by the crop that MinerU's client makes of it."""
        from ...pdf.types import Key, PageSource
        from ...reading.blocks import build_draft
        from ...reading.source_policy import make_source_policy
        from ...reading.vlm_requests import as_mineru_blocks, blocks_with_task, page_image
        from ...vlm import mineru_client

        key = Key(str(pdf))
        count = tokens = 0
        for index, regions in enumerate(self.layout(pdf)):
            policy = make_source_policy(Backend.VLM, None, False)
            blocks = blocks_with_task(build_draft(key, PageSource(index), regions, policy, 200, index == 0))
            self.boxes.append(as_mineru_blocks(blocks))
            asked, owners = mineru_client.ask_content(page_image(key, index), self.boxes[-1], False, False)
            for one, owner in zip(asked, owners, strict=True):
                task = blocks[owner].task if owner is not None else None
                text = task.text_layer if task else ""
                kind = task.kind if task else "text"
                length = max(4, round(len(text) / _CHARS_PER_TOKEN.get(kind, _CHARS_PER_TEXT_TOKEN)))
                picture: Any = one.picture
                self.truth[picture.size, one.prompt] = length, _answer(kind, text)
                count, tokens = count + 1, tokens + length
        pages = index + 1
        return {"pages": pages, "crops_per_page": round(count / pages, 1), "tokens_per_page": round(tokens / pages)}

    def layout(self, pdf: Path) -> list[list[Region]]:
        """The detector's regions of each page, as the pipeline has them."""
        from ...pdf.opening import inspect, open_page
        from ...pdf.rendering import render
        from ...pdf.types import Key

        key = Key(str(pdf))
        detector = self.pipeline._scheduler._layout._detector  # type: ignore[union-attr]
        found: list[list[Region]] = []
        for index in range(len(inspect(str(pdf)).page_sizes)):
            with open_page(key, index) as page:
                found += detector.detect([render(page, detector.imgsz / max(page.get_size()))])
        return found

    def ours(self, back_end: str, pdf: Path, out: Path) -> dict[str, Any]:
        """One document through our pipeline."""
        p = self.pipeline
        before = dict(p._scheduler._vlm.counts)  # type: ignore[union-attr]
        stages = Stages(p.options, replace(p.plan, backend=Backend(back_end)), p._stages.imgsz)
        result = p._scheduler.submit(Input(pdf), out, stages).result()
        if not result.ok:
            raise RuntimeError(result.error or next(r.error for r in result.pages if r.error))
        shares: dict[str, float] = {}
        for page in result.pages:
            for stage, seconds in page.timings.items():
                shares[stage] = shares.get(stage, 0.0) + seconds
        after = p._scheduler._vlm.counts  # type: ignore[union-attr]
        sources = [s for page in result.pages for s in page.sources]
        return {
            "pages": len(result.pages),
            "retries": after["retries"] - before["retries"],
            "sources": {str(s): sources.count(str(s)) for s in Source if str(s) in sources},
            "milliseconds_per_page": {k: round(1000 * v / len(result.pages), 1) for k, v in sorted(shares.items())},
        }

    def mineru(self, pdf: Path, out: Path) -> dict[str, Any]:
        """One document through MinerU's flow, in the engine's own loop."""
        loop = self.pipeline._scheduler._vlm._loop  # type: ignore[union-attr]
        return asyncio.run_coroutine_threadsafe(self._mineru(pdf, out), loop).result()

    async def _mineru(self, pdf: Path, out: Path) -> dict[str, Any]:
        from mineru_client.backend.analysis.pdf.images import load_images_from_pdf_bytes_range

        data = await asyncio.to_thread(pdf.read_bytes)
        pages = await asyncio.to_thread(_count, data)
        client = _mineru_client(self)
        spent = dict.fromkeys(("render", "layout", "vlm", "finish", "write"), 0.0)
        model: list[list[dict[str, Any]]] = []
        for first in range(0, pages, _WINDOW):
            last = min(first + _WINDOW, pages) - 1
            began = time.perf_counter()
            images = await asyncio.to_thread(
                load_images_from_pdf_bytes_range, data, start_page_id=first, end_page_id=last, image_type="pil_img"
            )
            pictures = [image["img_pil"] for image in images]
            spent["render"] += (drawn := time.perf_counter()) - began
            blocks = await asyncio.to_thread(self._mineru_layout, pictures, first)
            spent["layout"] += (found := time.perf_counter()) - drawn
            results = await client.aio_batch_extract_with_layout(pictures, blocks)
            spent["vlm"] += (read := time.perf_counter()) - found
            model += await asyncio.to_thread(_mineru_finish, results, images)
            spent["finish"] += time.perf_counter() - read
        began = time.perf_counter()
        await asyncio.to_thread(_mineru_write, model, data, pdf.stem, out)
        spent["write"] = time.perf_counter() - began
        return {"pages": pages, "milliseconds_per_page": {k: round(1000 * v / pages, 1) for k, v in spent.items()}}

    def _mineru_layout(self, pictures: list[Any], first: int) -> list[list[dict[str, Any]]]:
        """Layout as MinerU runs it; the boxes are those that we found, so that all systems ask for the same crops."""
        import numpy as np

        detector = self.pipeline._scheduler._layout._detector  # type: ignore[union-attr]
        arrays = [np.asarray(picture).copy() for picture in pictures]
        for start in range(0, len(arrays), _LAYOUT_BATCH):
            detector.detect(arrays[start : start + _LAYOUT_BATCH])
        numbers = range(first, first + len(arrays))
        return [[dict(block) for block in self.boxes[n % len(self.boxes)]] for n in numbers]


def _forced(pipeline: Pipeline, bench: _Bench) -> Any:
    """vLLM, whose generations are as long as the truth and say the truth."""
    from ...vlm.engines.vllm import LocalVllm
    from ...vlm.vllm_host.arguments import parse
    from ...vlm.vllm_host.process import apply
    from ...vlm.vllm_host.supervisor import EngineSupervisor

    class Forced(LocalVllm):
        def __init__(self, model: Path, args: dict[str, Any]) -> None:
            super().__init__(model)
            self._engine = EngineSupervisor(model, args=args, replicas=bench.args.replicas or "auto", devices=[0])

        @property
        def llm(self) -> Any:
            return self._engine.llm

        async def _ask(self, replica: Any, picture: Any, prompt: str, sampling: Sampling) -> Generated:
            tokens, text = bench.wanted(picture.size, prompt)
            await apply(replica.llm, forced_length.ours, picture, prompt, sampling, tokens)
            return Generated(text)

    return Forced(pipeline.plan.vlm or Path(), parse(bench.args.vllm_arg))


def _mineru_client(bench: _Bench) -> Any:
    """MinerU's client as its VLM back end has it; its engine may be in another process, which costs MinerU nothing."""
    from mineru_vl_utils import MinerUClient
    from mineru_vl_utils.vlm_client import SamplingParams, VlmClient
    from mineru_vl_utils.vlm_client.vllm_async_engine_client import VllmAsyncEngineVlmClient

    from ...vlm.vllm_host.process import apply

    class Theirs(VllmAsyncEngineVlmClient):
        def __init__(self) -> None:
            VlmClient.__init__(self, allow_truncated_content=True)
            self.max_concurrency = _REQUESTS

        async def aio_predict(
            self, image: Any, prompt: str = "", sampling_params: Any = None, priority: int | None = None
        ) -> Any:
            tokens, text = bench.wanted(image.size, prompt)
            sampling = {k: v for k, v in vars(sampling_params or SamplingParams()).items() if v is not None}
            await apply(bench.engine.llm, forced_length.theirs, image, prompt, sampling, tokens)
            return text

    client = MinerUClient(
        "http-client", server_url="http://nowhere.invalid", model_name="none", skip_model_name_checking=True,
        max_concurrency=_REQUESTS, use_tqdm=False,
    )  # fmt: skip
    client.backend = client.helper.backend = "vllm-async-engine"
    client.client = Theirs()
    return client


def _guess(size: tuple[int, int]) -> tuple[int, str]:
    """For a crop that the truth does not know (a region that the detector saw a little differently)."""
    tokens = max(4, size[0] * size[1] // 3000)
    return tokens, " ".join(["word"] * tokens)


def _answer(kind: str, text: str) -> str:
    """A plausible answer of the VLM that says ``text``."""
    text = text.replace("\\", " ")
    if kind == "table":
        words = text.split() or ["-"]
        rows = [words[i : i + 6] for i in range(0, len(words), 6)]
        return "".join("".join(f"<fcel>{w}" for w in row) + "<ecel>" * (6 - len(row)) + "<nl>" for row in rows)
    if kind == "equation":
        return "\\[" + " ".join(c for c in text if c.isalnum() or c in "+-=()") + "\\]"
    return text


def _book(pdf: Path, pages: int, folder: Path) -> Path:
    """A PDF of so many pages: those of ``pdf`` over and over."""
    import pypdfium2 as pdfium

    source = pdfium.PdfDocument(pdf)
    out = pdfium.PdfDocument.new()
    while len(out) < pages:
        out.import_pages(source, list(range(min(len(source), pages - len(out)))))
    path = folder / "book.pdf"
    out.save(path)
    return path


def _count(data: bytes) -> int:
    import pypdfium2 as pdfium

    return len(pdfium.PdfDocument(data))


def _mineru_finish(results: Sequence[Any], images: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """As MinerU ends a window: formula numbers folded, types of its raw blocks, pictures cropped."""
    from docvortex.document.pdf.visuals import attach_visual_block_images

    from ...document import Source
    from ...reading.regions.formula_numbers import fold_formula_numbers
    from ...reading.types import PageBlock
    from ...reading.vlm_layout import raw_type

    pages = []
    for blocks in results:
        page = []
        for block in blocks:
            kind = block["type"]
            raw = {"bbox": block["bbox"], "angle": block.get("angle") or 0, "content": block.get("content") or ""}
            raw["type"] = raw_type(kind)
            if kind == "title":
                raw.update(type="paragraph_title", level=2)
            page.append(PageBlock(raw, Source.VLM))
        pages.append([block.raw for block in fold_formula_numbers(page)])
    attach_visual_block_images(pages, images)
    return pages


def _mineru_write(model: list[list[dict[str, Any]]], data: bytes, stem: str, out: Path) -> None:
    """MinerU's normalization and renderers; pictures as files."""
    from docvortex.export import materialize_middle

    from ...export import mineru as adapter

    document = adapter.build_model(model, None, "xhigh", "ocr", data)
    middle, assets = materialize_middle(adapter.to_middle(document))
    out.mkdir(parents=True, exist_ok=True)
    for name, content in assets.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    for fmt in _FORMATS:
        rendered = adapter.render(fmt, document, middle, data, stem, out)
        (out / (stem + adapter.SUFFIXES[fmt])).write_bytes(rendered)


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
