"""``vllm-decode-steps``: what vLLM works out anew in each step for each decoding sequence, for all of them at once.

The functions that are put in place, by their part of a step: `decode_steps_scheduler`, `decode_steps_inputs`,
`decode_steps_bookkeeping`.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

from ..patch import NotApplicable, Undo
from . import decode_steps_bookkeeping, decode_steps_inputs, decode_steps_scheduler
from .decode_steps_fallback import with_fallback

_PARAMETERS = {
    "schedule": "self throttle_prefills",
    "allocate_slots": "self request num_new_tokens num_new_computed_tokens new_computed_blocks num_lookahead_tokens "
    "num_external_computed_tokens delay_cache_blocks num_encoder_tokens full_sequence_must_fit reserved_blocks "
    "has_scheduled_reqs",
    "get_mm_features_in_window": "mm_features start end",
    "_calc_mrope_positions": "self scheduler_output",
    "_prepare_input_ids": "self scheduler_output num_reqs total_num_scheduled_tokens cu_num_tokens",
    "_gather_mm_embeddings": "self scheduler_output shift_computed_tokens",
    "_bookkeeping_sync": "self scheduler_output sampler_output logits hidden_states num_scheduled_tokens",
    "update_async_output_token_ids": "self",
}
"""Parameters of the replaced functions in vLLM 0.28."""


def check() -> str:
    """Only the version matters."""
    return "the scheduler's and the model runner's Python takes longer for 512 decoding sequences than the GPU"


def install(undo: Undo) -> str:
    """Wrap eight functions of the scheduler and of the model runner.

    Raises:
        NotApplicable: if one of them has other parameters than vLLM 0.28's.
    """
    from vllm.v1.core.kv_cache_manager import KVCacheManager
    from vllm.v1.core.sched import scheduler
    from vllm.v1.worker import gpu_model_runner
    from vllm.v1.worker.gpu_input_batch import InputBatch
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    wrappers: list[tuple[Any, str, Callable[[Any], Any]]] = [
        (scheduler.Scheduler, "schedule", decode_steps_scheduler.schedule),
        (KVCacheManager, "allocate_slots", decode_steps_scheduler.allocate_slots),
        (scheduler, "get_mm_features_in_window", decode_steps_scheduler.get_mm_features_in_window),
        (gpu_model_runner, "get_mm_features_in_window", decode_steps_scheduler.get_mm_features_in_window),
        (GPUModelRunner, "_calc_mrope_positions", with_fallback(decode_steps_inputs.mrope_positions)),
        (GPUModelRunner, "_prepare_input_ids", with_fallback(decode_steps_inputs.input_ids)),
        (GPUModelRunner, "_gather_mm_embeddings", with_fallback(decode_steps_inputs.no_embeddings)),
        (GPUModelRunner, "_bookkeeping_sync", decode_steps_bookkeeping.bookkeeping),
        (
            InputBatch,
            "update_async_output_token_ids",
            with_fallback(decode_steps_bookkeeping.fill_placeholders),
        ),
    ]
    for owner, name, _ in wrappers:
        if " ".join(inspect.signature(getattr(owner, name)).parameters) != _PARAMETERS[name]:
            raise NotApplicable(f"this vLLM's {owner.__name__}.{name} is another")
    for owner, name, wrap in wrappers:
        original = getattr(owner, name)
        undo.setattr(owner, name, functools.wraps(original)(wrap(original)))
    return "a decoding sequence with room in its last block is scheduled, placed and noted without looking for more"
