"""MinerU's client in the workers, without an engine: what it would ask is noted, what it was answered is played back.

``MinerUClient.layout_detect`` and ``extract_with_layout`` (mineru-vl-utils' public API) run twice on a page: once with
an engine that only takes notes, so that cropping, turning, padding, prompts and sampling parameters are MinerU's and
happen in a worker; once with one that plays back the answers, so that parsing and post-processing are MinerU's too.
Between the two, crops of all pages and documents are answered one by one, in whatever order suits the engine.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from mineru_vl_utils import MinerUClient
from mineru_vl_utils.structs import BLOCK_TYPES, ContentBlock
from mineru_vl_utils.vlm_client import SamplingParams, ScoredOutput, VlmClient
from PIL import Image

from .types import Answer, Sampling

_TAG = "mineru_accel"
"""Under this key a block carries its own number through MinerU's client."""


@dataclass(slots=True)
class Asked:
    """One request that MinerU's client makes."""

    picture: Image.Image | bytes
    prompt: str
    sampling: Sampling


class _Notes(VlmClient):
    """An engine that answers nothing and notes everything; a score tells which request a block's content came from."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[Asked] = []

    def predict_scored(
        self,
        image: Any,
        prompt: str = "",
        sampling_params: SamplingParams | None = None,
        priority: int | None = None,
    ) -> ScoredOutput:
        sampling = {k: v for k, v in vars(sampling_params or SamplingParams()).items() if v is not None}
        self.asked.append(Asked(image, prompt, sampling))
        return _scored(self.answer(len(self.asked) - 1), len(self.asked) - 1)

    def batch_predict_scored(
        self,
        images: Sequence[Any],
        prompts: Sequence[str] | str = "",
        sampling_params: Any = None,
        priority: Any = None,
    ) -> list[ScoredOutput]:
        texts = [prompts] * len(images) if isinstance(prompts, str) else prompts
        params = sampling_params if isinstance(sampling_params, Sequence) else [sampling_params] * len(images)
        return [self.predict_scored(*each) for each in zip(images, texts, params, strict=True)]

    def answer(self, number: int) -> str:
        return ""


class _Playback(_Notes):
    """An engine that knows the answers."""

    def __init__(self, answers: Sequence[str]) -> None:
        super().__init__()
        self._answers = answers

    def answer(self, number: int) -> str:
        return self._answers[number]


def _scored(text: str, number: int) -> ScoredOutput:
    return ScoredOutput(text, [number], [], 0.0, 0.0, 0.0)


@lru_cache(maxsize=2)
def _client(png: bool) -> MinerUClient:
    """MinerU's client; no server is asked for anything when the model's name is given."""
    client = MinerUClient(
        "http-client",
        server_url="http://nowhere.invalid",
        model_name="none",
        skip_model_name_checking=True,
        use_tqdm=False,
    )
    if not png:  # PIL images instead of PNG files
        client.helper.backend = client.backend = "vllm-engine"
        client.batching_mode = "stepping"
    return client


def _with(engine: _Notes, png: bool) -> MinerUClient:
    client = _client(png)
    client.client = engine
    random.seed(0)  # MinerU marks pictures in tables by random letters, which must be the same in both runs
    return client


def ask_layout(image: Image.Image, png: bool) -> Asked:
    """The request for a page's layout.

    Args:
        image: the page as MinerU renders it (200 dpi).
        png: whether the engine takes PNG files.
    """
    notes = _Notes()
    _with(notes, png).layout_detect(image, scored=True)
    return notes.asked[0]


def hear_layout(answer: str) -> list[dict[str, Any]]:
    """The regions that an answer names, in reading order: ``type`` in MinerU's words, unit ``bbox``, ``angle``."""
    return list(_with(_Playback([answer]), False).layout_detect(Image.new("RGB", (28, 28)), scored=True))


def ask_content(
    image: Image.Image, blocks: Sequence[dict[str, Any]], png: bool, describe: bool
) -> tuple[list[Asked], list[int | None]]:
    """The requests for the content of a page's blocks.

    Args:
        blocks: with ``type``, ``bbox`` and ``angle`` as mineru-vl-utils has them.
        describe: whether pictures and charts are read too.

    Returns:
        The requests, and for each the number of the block that it is for.
    """
    notes = _Notes()
    done = _with(notes, png).extract_with_layout(image, _tagged(blocks), scored=True, image_analysis=describe)
    owner = {b["scored"].token_ids[0]: b[_TAG] for b in done if b.get("scored")}
    return notes.asked, [owner.get(n) for n in range(len(notes.asked))]


def hear_content(
    image: Image.Image, blocks: Sequence[dict[str, Any]], answers: Sequence[Answer], describe: bool
) -> list[tuple[int | None, dict[str, Any], Answer | None]]:
    """The blocks with their content as MinerU's post-processing makes it.

    Args:
        image: the page; only pictures inside tables are taken from it, otherwise a blank of its size will do.
        answers: to the requests of :func:`ask_content`, in their order.

    Returns:
        (number of the block, the block, its answer) in order. MinerU leaves out what it absorbs into another block; one
        that it makes of several has no number.
    """
    playback = _Playback(["" if a.reason else a.text for a in answers])
    done = _with(playback, False).extract_with_layout(image, _tagged(blocks), scored=True, image_analysis=describe)
    out = []
    for block in done:
        scored = block.pop("scored", None)
        answer = answers[scored.token_ids[0]] if scored else None
        out.append((block.pop(_TAG, None), dict(block), answer))
    return out


def takes_pictures(blocks: Sequence[dict[str, Any]]) -> bool:
    """Does a table hold a picture, so that playing back needs the page's pixels?"""
    tables = [b["bbox"] for b in blocks if b["type"] == "table"]
    return any(
        b["type"] == "image"
        and any(t[0] < (b["bbox"][0] + b["bbox"][2]) / 2 < t[2] and t[1] < (b["bbox"][1] + b["bbox"][3]) / 2 < t[3])
        for b in blocks
        for t in tables
    )


def usable(kind: str, bbox: Sequence[float]) -> bool:
    """Would MinerU's client take such a block? One that it would not fails its page."""
    return kind in BLOCK_TYPES and all(0 <= v <= 1 for v in bbox) and bbox[0] < bbox[2] and bbox[1] < bbox[3]


def _tagged(blocks: Sequence[dict[str, Any]]) -> list[ContentBlock | dict[str, Any]]:
    return [{**b, _TAG: number} for number, b in enumerate(blocks)]
