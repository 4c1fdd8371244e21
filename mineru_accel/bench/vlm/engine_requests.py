"""Requests of ``bench vlm`` to an AsyncLLM, in the process that has it (`mineru_accel.vlm.vllm_host.process`)."""

from __future__ import annotations

import asyncio
import os
from typing import Any

from ...patches import status
from ...vlm.engines import vllm
from ...vlm.types import Patches
from ...vlm.vllm_host import async_llm as llms

PROMPT = (
    "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n<|im_start|>user\n<|vision_start|><|image_pad|>"
    "<|vision_end|>\nText Recognition:<|im_end|>\n<|im_start|>assistant\n"
)
LOGITS = 2000
"""Number of the first token's greatest logits that are compared."""


async def answer(llm: Any, picture: Any, name: str, tokens: int, mineru: bool, tokenized: bool) -> int:
    """Answer a crop greedily with ``tokens`` tokens; returns their number.

    ``ignore_eos`` keeps answers from ending early. ``min_tokens`` is not set: MinerU sends none, and vLLM looks at each
    answer that has it in each step.

    Args:
        llm: the AsyncLLM.
        picture: a PIL image, or patches.
        name: id of the request.
        tokens: length of the answer.
        mineru: with the penalties that MinerU's client sends.
        tokenized: send the prompt as tokens (this package) instead of text (MinerU's client).
    """
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    penalties: dict[str, Any] = {"presence_penalty": 1.0, "frequency_penalty": 0.05} if mineru else {}
    extra: dict[str, Any] = {"extra_args": {"no_repeat_ngram_size": 100}} if mineru else {}
    sampling = SamplingParams(
        temperature=0.0, max_tokens=tokens, ignore_eos=True, skip_special_tokens=False,
        output_kind=RequestOutputKind.FINAL_ONLY, **penalties, **extra,
    )  # fmt: skip
    async for output in llm.generate(await _rendered(llm, picture, tokenized), sampling, name):
        last = output
    return len(last.outputs[0].token_ids)


async def first_logits(llm: Any, picture: Any, name: str, tokenized: bool) -> dict[str, float]:
    """The greatest logits of an answer's first token, by token."""
    from vllm import SamplingParams

    count = min(LOGITS, llm.model_config.get_vocab_size() // 2)
    one = SamplingParams(temperature=0.0, max_tokens=1, logprobs=count, ignore_eos=True)
    async for output in llm.generate(await _rendered(llm, picture, tokenized), one, name):
        last = output
    return {str(token): entry.logprob for token, entry in last.outputs[0].logprobs[0].items()}


async def processes(llm: Any) -> tuple[int, list[int]]:
    """Pid of the AsyncLLM's process, and the pids of its cores; on one GPU a core is the worker, too."""
    return os.getpid(), [process.pid for process in llms.processes(llm)]


async def patches(_: Any) -> dict[str, str]:
    """State of each patch by name, in this process."""
    return {each.name: str(each) for each in await asyncio.to_thread(status)}


async def _rendered(llm: Any, picture: Any, tokenized: bool) -> Any:
    """The prompt rendered like MinerU's client does; a plain `generate` would skip vLLM's renderer."""
    if isinstance(picture, Patches):
        return vllm.engine_input(llm, _tokens(llm), picture)
    prompt = {"prompt_token_ids": _tokens(llm)} if tokenized else {"prompt": PROMPT}
    return (await llm.renderer.render_cmpl_async([{**prompt, "multi_modal_data": {"image": picture}}]))[0]


_prompt_tokens: dict[int, list[int]] = {}
"""Tokens of the prompt by the tokenizer's id."""


def _tokens(llm: Any) -> list[int]:
    """Tokens of the prompt; computed once."""
    key = id(llm.tokenizer)
    if key not in _prompt_tokens:
        _prompt_tokens[key] = llm.tokenizer.encode(PROMPT)
    return list(_prompt_tokens[key])
