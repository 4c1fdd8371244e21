"""MinerU's client in the workers, without an engine: its requests are recorded, and answers are replayed to it.

``MinerUClient.layout_detect`` and ``extract_with_layout`` (mineru-vl-utils' public API) make requests and wait for the
answers. Here they run twice on a page, and the engine is asked in between:

1. with a client that records requests and answers each with an empty text: cropping, turning, padding, prompts and
   sampling parameters are MinerU's, and happen in a worker;
2. with a client that replays the answers: parsing and post-processing are MinerU's, too.

So a worker never waits for the engine, and crops of all pages and documents can be answered in any order. The invariant
is that both runs make the same requests in the same order: a request and its answer have the same number. For that
both get the same blocks and random seed, and no request may depend on an earlier answer of the same call.
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
"""Key under which a block carries its number through MinerU's client."""


@dataclass(slots=True)
class VlmRequest:
    """A request that MinerU's client makes."""

    picture: Image.Image | bytes
    prompt: str
    sampling: Sampling


class _RecordingClient(VlmClient):
    """Records requests and answers with empty texts.

    An answer's only token id is its request's number: MinerU's client keeps it with the block's content, where it tells
    which request that came from.
    """

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[VlmRequest] = []

    def predict_scored(
        self,
        image: Any,
        prompt: str = "",
        sampling_params: SamplingParams | None = None,
        priority: int | None = None,
    ) -> ScoredOutput:
        sampling = {k: v for k, v in vars(sampling_params or SamplingParams()).items() if v is not None}
        number = len(self.requests)
        self.requests.append(VlmRequest(image, prompt, sampling))
        return ScoredOutput(self.answer(number), [number], [], 0.0, 0.0, 0.0)

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
        """The answer to request ``number``."""
        return ""


class _ReplayingClient(_RecordingClient):
    """Answers requests by their number."""

    def __init__(self, answers: Sequence[str]) -> None:
        super().__init__()
        self._answers = answers

    def answer(self, number: int) -> str:
        return self._answers[number]


@lru_cache(maxsize=2)
def _client(png: bool) -> MinerUClient:
    """MinerU's client. It has no server: none is asked for anything when the model's name is given."""
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


def _client_with(answers: _RecordingClient, png: bool) -> MinerUClient:
    """MinerU's client, which sends its requests to ``answers``."""
    client = _client(png)
    client.client = answers
    random.seed(0)  # MinerU marks pictures in tables by random letters, which must be the same in both runs
    return client


def layout_request(image: Image.Image, png: bool) -> VlmRequest:
    """The request for a page's layout.

    Args:
        image: the page as MinerU renders it (200 dpi).
        png: whether the engine takes PNG files.
    """
    recorder = _RecordingClient()
    _client_with(recorder, png).layout_detect(image, scored=True)
    return recorder.requests[0]


def parse_layout(answer: str) -> list[dict[str, Any]]:
    """The regions of a layout answer, in reading order.

    Each has ``type`` as mineru-vl-utils names it, ``angle``, and ``bbox`` (x0, y0, x1, y1 as fractions of the page).
    """
    client = _client_with(_ReplayingClient([answer]), False)
    return list(client.layout_detect(Image.new("RGB", (28, 28)), scored=True))  # of the page only its answer counts


def content_requests(
    image: Image.Image, blocks: Sequence[dict[str, Any]], png: bool, describe: bool
) -> tuple[list[VlmRequest], list[int | None]]:
    """The requests for the content of a page's blocks.

    Args:
        blocks: with ``type``, ``bbox`` and ``angle`` as mineru-vl-utils has them.
        describe: whether pictures and charts are read, too.

    Returns:
        The requests, and for each the number of the block that it is for (None if MinerU has dropped the block).
    """
    recorder = _RecordingClient()
    client = _client_with(recorder, png)
    done = client.extract_with_layout(image, _tagged(blocks), scored=True, image_analysis=describe)
    owner = {b["scored"].token_ids[0]: b[_TAG] for b in done if b.get("scored")}
    return recorder.requests, [owner.get(n) for n in range(len(recorder.requests))]


def parse_content(
    image: Image.Image, blocks: Sequence[dict[str, Any]], answers: Sequence[Answer], describe: bool
) -> list[tuple[int | None, dict[str, Any], Answer | None]]:
    """The blocks with their content as MinerU's post-processing makes it.

    Args:
        image: the page. Its pixels are used for pictures inside tables only: where there are none
            (:func:`has_pictures_in_tables`), a blank image of its size will do.
        answers: to the requests of :func:`content_requests`, in their order.

    Returns:
        (number of the block, the block, its answer) in order. Blocks that MinerU merges into another one are left out;
        a block that it makes of several has no number.
    """
    client = _client_with(_ReplayingClient(["" if a.reason else a.text for a in answers]), False)
    done = client.extract_with_layout(image, _tagged(blocks), scored=True, image_analysis=describe)
    out = []
    for block in done:
        scored = block.pop("scored", None)
        answer = answers[scored.token_ids[0]] if scored else None
        out.append((block.pop(_TAG, None), dict(block), answer))
    return out


def has_pictures_in_tables(blocks: Sequence[dict[str, Any]]) -> bool:
    """Whether a table holds a picture (by its centre), so that :func:`parse_content` needs the page's pixels."""
    tables = [b["bbox"] for b in blocks if b["type"] == "table"]
    return any(
        b["type"] == "image"
        and any(t[0] < (b["bbox"][0] + b["bbox"][2]) / 2 < t[2] and t[1] < (b["bbox"][1] + b["bbox"][3]) / 2 < t[3])
        for b in blocks
        for t in tables
    )


def is_accepted(kind: str, bbox: Sequence[float]) -> bool:
    """Whether MinerU's client takes a block of this type and box. One that it does not take fails its whole page."""
    return kind in BLOCK_TYPES and all(0 <= v <= 1 for v in bbox) and bbox[0] < bbox[2] and bbox[1] < bbox[3]


def _tagged(blocks: Sequence[dict[str, Any]]) -> list[ContentBlock | dict[str, Any]]:
    """The blocks with their numbers."""
    return [{**b, _TAG: number} for number, b in enumerate(blocks)]
