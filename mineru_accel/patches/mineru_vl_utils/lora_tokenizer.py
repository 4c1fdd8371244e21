"""``mineru-vl-utils-lora-tokenizer``: a method that mineru-vl-utils calls and vLLM dropped in 0.11."""

from __future__ import annotations

import functools
from typing import Any

from packaging.version import Version

from ...hardware import accelerator
from ..patch import NotNeeded, Undo

FIXED = Version("0.1.14")
"""The first mineru-vl-utils that checks for the method."""


def check() -> str:
    """Only the version matters."""
    version = accelerator.version_of("mineru-vl-utils")
    if version is not None and version >= FIXED:
        raise NotNeeded(f"mineru-vl-utils {version} asks before it calls get_lora_tokenizer (since {FIXED})")
    return f"mineru-vl-utils {version} calls get_lora_tokenizer, which vLLM 0.11 and newer don't have"


def install(undo: Undo) -> str:
    """Give the engine's tokenizer the method before the client calls it."""
    from mineru_vl_utils.vlm_client.vllm_async_engine_client import VllmAsyncEngineVlmClient as Client

    original = Client.__init__

    @functools.wraps(original)
    def init(self: Any, vllm_async_llm: Any, *args: Any, **kwargs: Any) -> None:
        tokenizer = getattr(vllm_async_llm, "tokenizer", None)
        if tokenizer is not None and not hasattr(tokenizer, "get_lora_tokenizer"):
            tokenizer.get_lora_tokenizer = lambda lora_request=None: tokenizer
        original(self, vllm_async_llm, *args, **kwargs)

    undo.setattr(Client, "__init__", init)
    return "the async client finds get_lora_tokenizer on every tokenizer"
