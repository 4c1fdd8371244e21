"""The VLM in transformers, through MinerU's client: for machines without vLLM. Slow, but runs wherever torch does."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ...errors import ModelError, one_line
from ...hardware import gpus
from ..errors import NoAnswer
from ..types import Generated, Sampling

if TYPE_CHECKING:
    from ...patches.image_patches import Cutter


class TransformersEngine:
    """Answers one request after the other in a thread, so that no answer depends on other requests.

    Args:
        model: a folder with a checkpoint.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:<n>``.
    """

    png = False
    cutter: Cutter | None = None
    concurrency = 2
    """One request at work, one ready."""

    def __init__(self, model: Path, device: str = "auto") -> None:
        self.name = f"transformers {model.name}"
        self._path = model
        self._device = device
        self._client: Any = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="vlm-transformers")
        self._stop = False

    async def start(self) -> None:
        await asyncio.get_running_loop().run_in_executor(self._thread, self._load)

    def _load(self) -> None:
        try:
            import torch  # noqa: F401 - or the message says what is missing
            from mineru_vl_utils.transformers_loading import load_transformers_model, load_transformers_processor
            from mineru_vl_utils.vlm_client.transformers_client import TransformersVlmClient
            from transformers.utils import logging as transformers_logging
        except ImportError as error:
            raise ModelError(f"--engine transformers needs {error.name}: pip install 'mineru-accel[torch]'") from error
        transformers_logging.disable_progress_bar()
        device = self._device
        if device == "auto":
            device = "cuda" if gpus.usable() else "cpu"
        try:
            model: Any = load_transformers_model(self._path, device_map=None)  # type: ignore[arg-type]
            model = model.to(device).eval()
            processor = load_transformers_processor(self._path)
            self._client = TransformersVlmClient(
                model, processor, allow_truncated_content=True, batch_size=1, use_tqdm=False
            )
        except Exception as error:  # a damaged checkpoint raises anything
            raise ModelError(f"{self._path}: can't be loaded: {one_line(error)}") from error

    async def predict(self, picture: Any, prompt: str, sampling: Sampling, timeout: float) -> Generated:
        limit = _Limit(time.monotonic() + timeout)
        future = asyncio.get_running_loop().run_in_executor(
            self._thread, lambda: self._generate(picture, prompt, sampling, limit)
        )
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            limit.deadline = 0.0  # ends with the next token
            raise

    def _generate(self, picture: Any, prompt: str, sampling: Sampling, limit: _Limit) -> Generated:
        from mineru_vl_utils.vlm_client import SamplingParams
        from transformers import StoppingCriteriaList

        if self._stop or limit.over:
            raise NoAnswer("the VLM gave no answer in time")
        try:
            text = self._client.predict(
                picture, prompt, SamplingParams(**sampling), stopping_criteria=StoppingCriteriaList([limit])
            )
        except Exception as error:
            raise NoAnswer(f"transformers: {one_line(error)}") from error
        if limit.over:
            raise NoAnswer("the VLM gave no answer in time")
        long = limit.tokens >= sampling.get("max_new_tokens", 1 << 30) or limit.length >= self._client.model_max_length
        return Generated(text, long)

    async def close(self) -> None:
        self._stop = True
        self._thread.shutdown(wait=False, cancel_futures=True)
        self._client = None


class _Limit:
    """A stopping criterion that counts tokens and ends the generation at its deadline."""

    def __init__(self, deadline: float) -> None:
        self.deadline = deadline
        self.tokens = self.length = 0

    @property
    def over(self) -> bool:
        return time.monotonic() > self.deadline

    def __call__(self, input_ids: Any, scores: Any, **kwargs: Any) -> Any:
        import torch

        self.tokens += 1
        self.length = input_ids.shape[1]
        return torch.full((input_ids.shape[0],), self.over, dtype=torch.bool, device=input_ids.device)
