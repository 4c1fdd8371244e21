"""``vllm-fast-processor``: pictures prepared without Hugging Face's processor and its Python."""

from __future__ import annotations

import functools
from typing import Any

from ..patch import NotApplicable, Undo


def check() -> str:
    """Only the version matters."""
    return "a crop costs the client process several milliseconds of Python"


def install(undo: Undo) -> str:
    """Try `fast_processor_qwen2vl.process` first.

    Raises:
        NotApplicable: if this vLLM normalizes in the processor (before 0.27).
    """
    from vllm.model_executor.models import qwen2_vl

    from . import fast_processor_qwen2vl

    if not hasattr(qwen2_vl, "FusedInputNorm"):
        raise NotApplicable("this vLLM normalizes in the processor")
    cls = qwen2_vl.Qwen2VLMultiModalProcessor
    original = cls.apply

    @functools.wraps(original)
    def apply(self: Any, inputs: Any, timing_ctx: Any) -> Any:
        with timing_ctx.record("apply_hf_processor"):
            frames = getattr(cls, "_accel_frames", 2)
            result = fast_processor_qwen2vl.process(self, inputs, frames) if type(self) is cls else None
        return original(self, inputs, timing_ctx) if result is None else result

    apply._accel_fast = True  # type: ignore[attr-defined]  # functools.wraps copies it to what wraps this function
    undo.setattr(cls, "apply", apply)
    return "pictures of token prompts are cut into patches directly"
