"""What ``bench vlm`` asks of an AsyncLLM, in the process that has it (`mineru_accel.vlm.vllm_host.process`)."""

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
"""How many of the first token's logits are compared: the greatest."""


async def answer(llm: Any, picture: Any, name: str, tokens: int, mineru: bool, tokenized: bool) -> int:
    """Answer a crop greedily with so many tokens; returns how many came.

    Nothing ends an answer early (``ignore_eos``), so there is no ``min_tokens``: MinerU sends none, and vLLM looks at
    each such answer in each step.

    Args:
        name: of the request.
        mineru: whether with the penalties that MinerU's client sends.
        tokenized: whether the prompt goes as its tokens (ours) or as a text (MinerU's client).
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
    """The greatest logits of an answer's first token: token -> logit."""
    from vllm import SamplingParams

    count = min(LOGITS, llm.model_config.get_vocab_size() // 2)
    one = SamplingParams(temperature=0.0, max_tokens=1, logprobs=count, ignore_eos=True)
    async for output in llm.generate(await _rendered(llm, picture, tokenized), one, name):
        last = output
    return {str(token): entry.logprob for token, entry in last.outputs[0].logprobs[0].items()}


async def processes(llm: Any) -> tuple[int, list[int]]:
    """Pids: of the process that has it, and of its cores, each of which on one GPU is its worker as well."""
    return os.getpid(), [process.pid for process in llms.processes(llm)]


async def patches(_: Any) -> dict[str, str]:
    """Name of a patch -> what became of it there."""
    return {each.name: str(each) for each in await asyncio.to_thread(status)}


async def _rendered(llm: Any, picture: Any, tokenized: bool) -> Any:
    """As MinerU's client does, which vLLM's processors for tokens see; a plain `generate` would take another way."""
    if isinstance(picture, Patches):
        return vllm.engine_input(llm, _tokens(llm), picture)
    prompt = {"prompt_token_ids": _tokens(llm)} if tokenized else {"prompt": PROMPT}
    return (await llm.renderer.render_cmpl_async([{**prompt, "multi_modal_data": {"image": picture}}]))[0]


_known: dict[int, list[int]] = {}


def _tokens(llm: Any) -> list[int]:
    """The prompt's; made once, as our client does."""
    key = id(llm.tokenizer)
    if key not in _known:
        _known[key] = llm.tokenizer.encode(PROMPT)
    return list(_known[key])
