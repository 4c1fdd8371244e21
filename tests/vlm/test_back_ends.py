"""The synthetic pages through every back end and engine: one expected Markdown, whoever reads them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import vlm_checkpoints as tiny
from common import PATIENCE, wait_until
from expected import check_blocks
from stub_detector import KnowsPages

from mineru_accel import PageStatus, Pipeline
from mineru_accel.conversion.document_folder import DocumentFolder, Outputs
from mineru_accel.conversion.page_jobs import PageJobs
from mineru_accel.options import Backend
from mineru_accel.storage.inputs import Input

BACK_ENDS = {
    "vlm": {"backend": "vlm"},
    "two-steps": {"backend": "vlm", "layout": "vlm", "layout_weights": None},
    "hybrid": {"backend": "hybrid"},
}


def check(result: Any, back_end: str) -> None:
    assert result.ok and result.markdown + "\n" == tiny.MARKDOWN
    assert [p.status for p in result.pages] == [PageStatus.OK] * 2
    if back_end == "hybrid":  # the second paragraph of the first page is mostly texture: too little text for its size
        assert result.pages[0].sources == ["text-layer", "vlm", "text-layer", "vlm"]
        assert "less text" in result.pages[0].reasons[1] and result.pages[0].reasons[3] == ""
        assert result.pages[1].sources == ["text-layer", "vlm", "text-layer"]
    else:
        assert {s for p in result.pages for s in p.sources} == {"vlm"}


@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_transformers(back_end: str, trained: Path, pages: Path, vlm_options: dict[str, Any]) -> None:
    options = {**vlm_options, "engine": "transformers", "vlm": str(trained), "device": "cpu", **BACK_ENDS[back_end]}
    with Pipeline(**options) as pipeline:
        check(pipeline.convert(pages), back_end)


def answers(url: str) -> bool:
    """Whether a server is up."""
    try:
        urllib.request.urlopen(f"{url}/health", timeout=2)
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def vllm_server(trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """vLLM's own server of the trained checkpoint with our patches, on loopback."""
    pytest.importorskip("vllm")
    port = 18123 + os.getpid() % 1000
    log = tmp_path_factory.mktemp("server") / "log"
    arguments = [
        *("--model", str(trained), "--dtype", "float32", "--enforce-eager", "--max-model-len", "4096"),
        *("--max-num-seqs", "4", "--host", "127.0.0.1", "--port", str(port), "--served-model-name", "tiny"),
        *("--limit-mm-per-prompt", '{"image": 1, "video": 0}'),
    ]
    environment = {
        **os.environ,
        "VLLM_CPU_KVCACHE_SPACE": "1",
        "MINERU_ACCEL_PATCHES": "auto",
        "HF_HUB_OFFLINE": "1",
        "VLLM_NO_USAGE_STATS": "1",
    }
    with log.open("wb") as out:
        server = subprocess.Popen(
            [sys.executable, "-m", "vllm.entrypoints.openai.api_server", *arguments],
            stdout=out,
            stderr=subprocess.STDOUT,
            env=environment,
        )
    url = f"http://127.0.0.1:{port}"
    try:
        up = wait_until(lambda: server.poll() is not None or answers(url), 3 * PATIENCE)
        assert up and server.poll() is None, log.read_text(errors="replace")[-3000:]
        patched = re.findall(r"patch vllm-uint8-pixels \(pid (\d+)\): active", log.read_text(errors="replace"))
        assert len(set(patched)) >= 2  # the server, and the engine's processes
        yield url
    finally:
        server.terminate()
        server.wait(PATIENCE)


@pytest.mark.slow
@pytest.mark.parametrize("back_end", BACK_ENDS)
def test_vllm_server(back_end: str, vllm_server: str, pages: Path, vlm_options: dict[str, Any]) -> None:
    with Pipeline(**{**vlm_options, "urls": [vllm_server], "timeout": 120, **BACK_ENDS[back_end]}) as pipeline:
        check(pipeline.convert(pages), back_end)


@pytest.mark.slow
def test_minerus_own_client_at_a_patched_server(vllm_server: str) -> None:
    from mineru_vl_utils import MinerUClient

    client = MinerUClient("http-client", server_url=vllm_server, use_tqdm=False)
    for image, blocks in zip(tiny.page_images(), tiny.PAGES, strict=True):
        check_blocks(client.two_step_extract(image), blocks)


@pytest.mark.slow
def test_vllm_in_process(
    trained: Path, tmp_path: Path, vlm_options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several documents at once: each says what it says alone. Then hybrid, on the same engine."""
    pytest.importorskip("vllm")
    from mineru_accel.patches.vllm import fast_processor_qwen2vl

    made, found = fast_processor_qwen2vl.from_patches, []
    monkeypatch.setattr(fast_processor_qwen2vl, "from_patches", lambda *a: found.append(made(*a)) or found[-1])
    monkeypatch.setenv("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
    monkeypatch.setenv("VLLM_CPU_KVCACHE_SPACE", "1")
    arguments = {"dtype": "float32", "max_num_seqs": 4, "max_model_len": 4096}
    paths = []
    for n in range(4):
        paths.append(tmp_path / f"{n}.pdf")
        paths[-1].write_bytes(tiny.pages_pdf())
    options = {**vlm_options, "backend": "vlm", "engine": "vllm", "vllm_args": arguments, "workers": 2}
    with Pipeline(**options, vlm=str(trained)) as pipeline:
        for result in pipeline.convert_batch(paths):
            check(result, "vlm")
        options, plan = pipeline.options, replace(pipeline.plan, backend=Backend.HYBRID)
        folder = DocumentFolder(Input(paths[0]), tmp_path / "hybrid", options, plan, Outputs())
        jobs = PageJobs(options, plan, KnowsPages.imgsz)
        check(pipeline.executor.scheduler.submit(folder, jobs).result(), "hybrid")
    assert len(found) >= 4 * 8  # every crop came from a worker in patches


def test_answers_do_not_depend_on_company(
    untrained: Path, tmp_path: Path, pages: Path, vlm_options: dict[str, Any]
) -> None:
    """Random weights say the same of a page, alone or among others."""
    options = {**vlm_options, "backend": "vlm", "engine": "transformers", "vlm": str(untrained), "device": "cpu"}
    others = []
    for n in range(2):
        others.append(tmp_path / f"other{n}.pdf")
        others[-1].write_bytes(tiny.pages_pdf())
    with Pipeline(**options) as pipeline:
        alone = pipeline.convert(pages).markdown
        together = {r.markdown for r in pipeline.convert_batch([pages, *others])}
    assert together == {alone}
