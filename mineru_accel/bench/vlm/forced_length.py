"""Generations of a given length by this package's and by MinerU's client, in the process of the AsyncLLM."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from typing import Any

from ...vlm.types import Sampling

_tokens: contextvars.ContextVar[int] = contextvars.ContextVar("tokens")


async def generate_as_mineru_accel(llm: Any, picture: Any, prompt: str, sampling: Sampling, tokens: int) -> None:
    """Like :func:`mineru_accel.vlm.engines.vllm.generate`, with exactly ``tokens`` tokens."""
    from ...vlm.engines.vllm import client_class

    await _generate(llm, "_bench_mineru_accel", client_class, picture, prompt, sampling, tokens)


async def generate_as_mineru(llm: Any, picture: Any, prompt: str, sampling: Sampling, tokens: int) -> None:
    """Like ``VllmAsyncEngineVlmClient.aio_predict``, with exactly ``tokens`` tokens."""
    from mineru_vl_utils.vlm_client.vllm_async_engine_client import VllmAsyncEngineVlmClient

    await _generate(llm, "_bench_mineru", lambda: VllmAsyncEngineVlmClient, picture, prompt, sampling, tokens)


async def _generate(
    llm: Any, name: str, base: Callable[[], type], picture: Any, prompt: str, sampling: Sampling, tokens: int
) -> None:
    from mineru_vl_utils.vlm_client import SamplingParams

    from ...vlm.engines.vllm import client_of

    client = client_of(llm, name, lambda: _fixed_length_client(base()))
    _tokens.set(tokens)
    await client.aio_predict(picture, prompt, SamplingParams(**sampling))


def _fixed_length_client(base: Any) -> Any:
    class FixedLengthClient(base):  # type: ignore[misc]
        def build_vllm_sampling_params(self, sampling_params: Any) -> Any:
            params = super().build_vllm_sampling_params(sampling_params)
            params.max_tokens = _tokens.get()
            params.ignore_eos = True
            return params

        def get_output_content(self, output: Any) -> str:
            count = len(output.outputs[0].token_ids)
            assert count == _tokens.get(), f"{count} tokens for {_tokens.get()}"
            return str(output.outputs[0].text)

    return FixedLengthClient
