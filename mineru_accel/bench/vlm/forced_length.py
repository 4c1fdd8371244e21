"""Generations of a given length, in the process that has the AsyncLLM: by our client, and by MinerU's own."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from ...vlm.types import Sampling

_tokens: contextvars.ContextVar[int] = contextvars.ContextVar("tokens")


async def ours(llm: Any, picture: Any, prompt: str, sampling: Sampling, tokens: int) -> None:
    """As :func:`mineru_accel.vlm.engines.vllm.generate`, exactly so many tokens long."""
    from ...vlm.engines.vllm import client_class

    await _generate(llm, "_bench_ours", client_class, picture, prompt, sampling, tokens)


async def theirs(llm: Any, picture: Any, prompt: str, sampling: Sampling, tokens: int) -> None:
    """As ``VllmAsyncEngineVlmClient.aio_predict``, exactly so many tokens long."""
    from mineru_vl_utils.vlm_client.vllm_async_engine_client import VllmAsyncEngineVlmClient

    await _generate(llm, "_bench_theirs", lambda: VllmAsyncEngineVlmClient, picture, prompt, sampling, tokens)


async def _generate(
    llm: Any, name: str, base: Callable[[], type], picture: Any, prompt: str, sampling: Sampling, tokens: int
) -> None:
    from mineru_vl_utils.vlm_client import SamplingParams

    from ...vlm.engines.vllm import client_of

    client = client_of(llm, name, lambda: _forced(base()))
    _tokens.set(tokens)
    await client.aio_predict(picture, prompt, SamplingParams(**sampling))


def _forced(base: Any) -> Any:
    class Forced(base):  # type: ignore[misc]
        def build_vllm_sampling_params(self, sampling_params: Any) -> Any:
            params = super().build_vllm_sampling_params(sampling_params)
            params.max_tokens = _tokens.get()
            params.ignore_eos = True
            return params

        def get_output_content(self, output: Any) -> str:
            said = len(output.outputs[0].token_ids)
            assert said == _tokens.get(), f"{said} tokens for {_tokens.get()}"
            return str(output.outputs[0].text)

    return Forced
