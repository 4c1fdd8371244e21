"""vLLM prepares a picture by way of Hugging Face's processor, in Python that holds the interpreter."""

from __future__ import annotations

import functools
from typing import Any

from ..patch import NotApplicable, Patch, Undo


def check() -> str:
    """Nothing but the version matters."""
    return "a crop costs the client process several milliseconds of Python"


def install(undo: Undo) -> str:
    """Ask `qwen2vl_processor.quick` first."""
    from vllm.model_executor.models import qwen2_vl

    from . import qwen2vl_processor

    if not hasattr(qwen2_vl, "FusedInputNorm"):
        raise NotApplicable("this vLLM normalizes in the processor")
    cls = qwen2_vl.Qwen2VLMultiModalProcessor
    original = cls.apply

    @functools.wraps(original)
    def apply(self: Any, inputs: Any, timing_ctx: Any) -> Any:
        with timing_ctx.record("apply_hf_processor"):
            found = (
                qwen2vl_processor.quick(self, inputs, getattr(cls, "_accel_frames", 2)) if type(self) is cls else None
            )
        return original(self, inputs, timing_ctx) if found is None else found

    apply._accel_quick = True  # type: ignore[attr-defined]  # kept by what wraps it
    undo.setattr(cls, "apply", apply)
    return "pictures of token prompts are cut into patches directly"


PATCH = Patch(
    name="vllm-fast-processor",
    package="vllm",
    versions=">=0.27,<0.29",
    replaces="Qwen2VLMultiModalProcessor.apply, for token prompts with RGB pictures and no processor cache",
    why="preparing crops saturates the client process at some 240 a second, whatever the GPU can do",
    how="patches, tokens and placeholders are computed from the picture's size; everything else goes vLLM's way",
    upstream="https://github.com/vllm-project/vllm/pull/57531 skips the dummy text for another model",
    remove_when="vLLM prepares pictures outside the interpreter's lock",
    check=check,
    install=install,
)
