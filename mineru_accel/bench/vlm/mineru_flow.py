"""MinerU 4's own VLM flow, rebuilt from its parts on a given engine and detector.

Windows of 64 pages, one after the other; its renderer (three processes), layout two pages at a time,
``aio_batch_extract_with_layout`` of its client under its limit of 100 requests, crops from the page image,
normalization, and its renderers of Markdown and JSON. Its models for inline formulas and OCR lines, which it also runs,
are left out: they would only cost it time.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...options import Format
from . import forced_length
from .forced_answers import ForcedAnswers

FORMATS = (Format.MD, Format.CONTENT_LIST, Format.MIDDLE, Format.MODEL)
_WINDOW, _LAYOUT_BATCH, _REQUESTS = 64, 2, 100
"""MinerU's own settings: pages, pages, requests at once."""


class MineruFlow:
    """MinerU's flow.

    Args:
        engine: this package's engine, with MinerU's client on top of it.
        detector: layout detector.
        answers: lengths, texts and boxes for the document.
    """

    def __init__(self, engine: Any, detector: Any, answers: ForcedAnswers) -> None:
        self._engine = engine
        self._detector = detector
        self._answers = answers

    async def convert(self, pdf: Path, out: Path) -> dict[str, Any]:
        """Convert one document; returns pages and milliseconds per page and step."""
        from mineru.backend.analysis.pdf.images import load_images_from_pdf_bytes_range

        data = await asyncio.to_thread(pdf.read_bytes)
        pages = await asyncio.to_thread(_page_count, data)
        client = _mineru_client(self._engine, self._answers)
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
            blocks = await asyncio.to_thread(self._layout, pictures, first)
            spent["layout"] += (found := time.perf_counter()) - drawn
            results = await client.aio_batch_extract_with_layout(pictures, blocks)
            spent["vlm"] += (read := time.perf_counter()) - found
            model += await asyncio.to_thread(_finish_window, results, images)
            spent["finish"] += time.perf_counter() - read
        began = time.perf_counter()
        await asyncio.to_thread(_write, model, data, pdf.stem, out)
        spent["write"] = time.perf_counter() - began
        return {"pages": pages, "milliseconds_per_page": {k: round(1000 * v / pages, 1) for k, v in spent.items()}}

    def _layout(self, pictures: list[Any], first: int) -> list[list[dict[str, Any]]]:
        """Run the detector in MinerU's batches; returns the known boxes, so that all systems ask for the same crops."""
        import numpy as np

        arrays = [np.asarray(picture).copy() for picture in pictures]
        for start in range(0, len(arrays), _LAYOUT_BATCH):
            self._detector.detect(arrays[start : start + _LAYOUT_BATCH])
        numbers = range(first, first + len(arrays))
        return [[dict(block) for block in self._answers.boxes[n % len(self._answers.boxes)]] for n in numbers]


def _mineru_client(engine: Any, answers: ForcedAnswers) -> Any:
    """MinerU's client as its VLM back end makes it. The engine may be in another process, at no cost to MinerU."""
    from mineru_vl_utils import MinerUClient
    from mineru_vl_utils.vlm_client import SamplingParams, VlmClient
    from mineru_vl_utils.vlm_client.vllm_async_engine_client import VllmAsyncEngineVlmClient

    from ...vlm.vllm_host.process import apply

    class ForcedMineruClient(VllmAsyncEngineVlmClient):
        def __init__(self) -> None:
            VlmClient.__init__(self, allow_truncated_content=True)
            self.max_concurrency = _REQUESTS

        async def aio_predict(
            self, image: Any, prompt: str = "", sampling_params: Any = None, priority: int | None = None
        ) -> Any:
            tokens, text = answers.answer(image.size, prompt)
            sampling = {k: v for k, v in vars(sampling_params or SamplingParams()).items() if v is not None}
            await apply(engine.llm, forced_length.generate_as_mineru, image, prompt, sampling, tokens)
            return text

    client = MinerUClient(
        "http-client", server_url="http://nowhere.invalid", model_name="none", skip_model_name_checking=True,
        max_concurrency=_REQUESTS, use_tqdm=False,
    )  # fmt: skip
    client.backend = client.helper.backend = "vllm-async-engine"
    client.client = ForcedMineruClient()
    return client


def _page_count(data: bytes) -> int:
    import pypdfium2 as pdfium

    return len(pdfium.PdfDocument(data))


def _finish_window(results: Sequence[Any], images: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
    """The end of MinerU's window: formula numbers folded, types of raw blocks, pictures cropped."""
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


def _write(model: list[list[dict[str, Any]]], data: bytes, stem: str, out: Path) -> None:
    """Run MinerU's normalization and renderers, and write all files."""
    from docvortex.export import materialize_middle

    from ...export import mineru as adapter

    document = adapter.build_model(model, None, "xhigh", "ocr", data)
    middle, assets = materialize_middle(adapter.to_middle(document))
    out.mkdir(parents=True, exist_ok=True)
    for name, content in assets.items():
        (out / name).parent.mkdir(parents=True, exist_ok=True)
        (out / name).write_bytes(content)
    for fmt in FORMATS:
        rendered = adapter.render(fmt, document, middle, {}, data, stem, out)
        (out / (stem + adapter.SUFFIXES[fmt])).write_bytes(rendered)
