"""The tiny checkpoints themselves, through MinerU's own client and the transformers back end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import vlm_checkpoints as tiny
from expected import check_blocks

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def client(trained: Path) -> Any:
    from mineru_vl_utils import MinerUClient
    from mineru_vl_utils.transformers_loading import load_transformers_model, load_transformers_processor

    model = load_transformers_model(trained, device_map=None)  # type: ignore[arg-type]  # a map needs accelerate
    return MinerUClient("transformers", model=model, processor=load_transformers_processor(trained), use_tqdm=False)


def test_trained_checkpoint_knows_its_pages(client: Any) -> None:
    for image, blocks in zip(tiny.page_images(), tiny.PAGES, strict=True):
        check_blocks(client.two_step_extract(image), blocks)


def test_trained_checkpoint_looks_at_the_pixels(client: Any) -> None:
    """One prompt, other pixels: another answer. Else the checkpoint would prove nothing."""
    said = set()
    for image, blocks in zip(tiny.page_images(), tiny.PAGES, strict=True):
        width, height = image.size
        for block in (b for b in blocks if b.type == "text"):
            x0, y0, x1, y1 = (v / 1000 * s for v, s in zip(block.bbox, (width, height) * 2, strict=True))
            said.add(client.content_extract(image.crop((x0, y0, x1, y1)), "text"))
    assert said == {b.answer for page in tiny.PAGES for b in page if b.type == "text"} and len(said) == 3
