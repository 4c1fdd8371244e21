"""What MinerU's client must find on the synthetic pages."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import vlm_checkpoints as tiny


def check_blocks(found: Sequence[dict[str, Any]], blocks: Sequence[tiny.Block]) -> None:
    """Compare blocks of ``two_step_extract`` with those of a page: types, places and content."""
    assert [b["type"] for b in found] == [b.type for b in blocks]
    assert [[round(v * 1000) for v in b["bbox"]] for b in found] == [list(b.bbox) for b in blocks]
    for have, want in zip(found, blocks, strict=True):
        if want.type == "table":
            assert have["content"] == "<table><tr><td>a</td><td>b</td></tr><tr><td>1</td><td>2</td></tr></table>"
        else:
            assert have["content"].replace("\n", "") == want.answer
