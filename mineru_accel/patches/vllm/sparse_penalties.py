"""``vllm-sparse-penalties``: penalties without passes over the whole vocabulary."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..patch import NotApplicable, Undo

_PARAMETERS = ["logits", "sampling_metadata", "output_token_ids"]
"""Of `Sampler.apply_penalties`."""


def check() -> str:
    """Only the version matters."""
    return "presence and frequency penalties move some 12 MB for each sequence and step"


def install(undo: Undo) -> str:
    """Replace the sampler's penalties, and the copy of prompts that only repetition penalties need.

    An empty prompt tensor tells our penalties that no request of the batch has a repetition penalty.

    Raises:
        NotApplicable: if the sampler's function has other parameters.
    """
    from vllm.v1.sample.sampler import Sampler
    from vllm.v1.worker.gpu_input_batch import InputBatch

    original = Sampler.apply_penalties
    if list(inspect.signature(original).parameters) != _PARAMETERS:
        raise NotApplicable("this vLLM's sampler is another one")
    prompts = _prompts(InputBatch._make_prompt_token_ids_cpu_tensor)
    undo.setattr(InputBatch, "_make_prompt_token_ids_cpu_tensor", prompts)
    undo.setattr(Sampler, "apply_penalties", staticmethod(_penalties(original)))
    return "penalties touch the tokens that were said; prompts are sent to the sampler only if it reads them"


def _prompts(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `InputBatch._make_prompt_token_ids_cpu_tensor`."""
    import torch

    @functools.wraps(original)
    def _make_prompt_token_ids_cpu_tensor(self: Any) -> Any:
        count = self.num_reqs
        if (
            self.is_pooling_model
            or self.repetition_penalties_reqs
            or self.logits_processing_needs_token_ids[:count].any()
        ):
            return original(self)
        return torch.empty((count, 0), dtype=torch.int64)

    return _make_prompt_token_ids_cpu_tensor


def _penalties(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `Sampler.apply_penalties`."""
    from vllm.distributed.kv_transfer import has_kv_transfer_group
    from vllm.v1.sample.ops import penalties as dense

    from .device_copy import to_device
    from .sparse_penalties_counts import OutputTokens, penalize

    tokens, pinned = OutputTokens(), getattr(dense, "PIN_MEMORY", False)

    @functools.wraps(original)
    def apply_penalties(logits: Any, sampling_metadata: Any, output_token_ids: Any) -> Any:
        batch = sampling_metadata
        prompts = batch.prompt_token_ids
        if batch.no_penalties or prompts is None or prompts.shape[1] or not logits.is_contiguous():
            tokens.clear()
            return original(logits, batch, output_token_ids)
        if any(getattr(batch, "spec_token_ids", None) or ()) or has_kv_transfer_group():
            tokens.reread = True
        indices = to_device(tokens.flat_indices(output_token_ids, logits.shape[1]), logits.device, pinned)
        return penalize(logits, indices, batch.presence_penalties, batch.frequency_penalties)

    return apply_penalties
