"""What vLLM works out anew for each decoding sequence in each step, though nothing has changed."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np

from ..patch import NotApplicable, Patch, Undo
from . import decode_schedule
from .fallback import first
from .runner_bookkeeping import bookkeeping, known_tokens

_EXPECTED = {
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
"""Parameters of what is replaced, vLLM 0.28."""


def check() -> str:
    """Nothing but the version matters."""
    return "the scheduler's and the model runner's Python takes longer for 512 decoding sequences than the GPU"


def install(undo: Undo) -> str:
    """Put a short way before eight functions; what it isn't for goes vLLM's."""
    from vllm.v1.core.kv_cache_manager import KVCacheManager
    from vllm.v1.core.sched import scheduler
    from vllm.v1.worker import gpu_model_runner
    from vllm.v1.worker.gpu_input_batch import InputBatch
    from vllm.v1.worker.gpu_model_runner import GPUModelRunner

    places: list[tuple[Any, str, Callable[[Any], Any]]] = [
        (scheduler.Scheduler, "schedule", decode_schedule.schedule),
        (KVCacheManager, "allocate_slots", _slots),
        (scheduler, "get_mm_features_in_window", _window),
        (gpu_model_runner, "get_mm_features_in_window", _window),
        (GPUModelRunner, "_calc_mrope_positions", first(_positions)),
        (GPUModelRunner, "_prepare_input_ids", first(_last_tokens)),
        (GPUModelRunner, "_gather_mm_embeddings", first(_no_pictures)),
        (GPUModelRunner, "_bookkeeping_sync", bookkeeping),
        (InputBatch, "update_async_output_token_ids", first(known_tokens)),
    ]
    for owner, name, _ in places:
        if " ".join(inspect.signature(getattr(owner, name)).parameters) != _EXPECTED[name]:
            raise NotApplicable(f"this vLLM's {owner.__name__}.{name} is another")
    for owner, name, before in places:
        original = getattr(owner, name)
        undo.setattr(owner, name, functools.wraps(original)(before(original)))
    return "a decoding sequence with room in its last block is scheduled, placed and noted without looking for more"


def _slots(original: Callable[..., Any]) -> Callable[..., Any]:
    """Before `KVCacheManager.allocate_slots`: a running sequence whose next token fits into the blocks it has."""
    from vllm.v1.core.kv_cache_manager import KVCacheBlocks
    from vllm.v1.core.single_type_kv_cache_manager import FullAttentionManager
    from vllm.v1.request import RequestStatus

    running = RequestStatus.RUNNING

    class NoBlocks(KVCacheBlocks):
        """Nothing new, which need not be looked through."""

        def get_block_ids(self, allow_none: bool = False) -> Any:
            return None if allow_none else ([],)

    nothing, without_drafts = NoBlocks(((),)), {"num_lookahead_tokens": 0}

    def allocate_slots(self: Any, request: Any, num_new_tokens: int, *args: Any, **more: Any) -> Any:
        managers = self.coordinator.single_type_managers
        if (
            num_new_tokens == 1
            and request.status is running
            and not args
            and (not more or more == without_drafts)
            and not self.enable_caching
            and len(managers) == 1
            and type(managers[0]) is FullAttentionManager
        ):
            tokens = request.num_computed_tokens + 1
            blocks = managers[0].req_to_blocks.get(request.request_id)
            if blocks is not None and tokens <= len(blocks) * managers[0].block_size and tokens <= self.max_model_len:
                return nothing
        return original(self, request, num_new_tokens, *args, **more)

    return allocate_slots


def _window(original: Callable[..., Any]) -> Callable[..., Any]:
    """Before `get_mm_features_in_window`: the only picture of a prompt, without two binary searches."""

    def get_mm_features_in_window(mm_features: list[Any], start: int, end: int) -> tuple[int, int]:
        if len(mm_features) != 1:
            return original(mm_features, start, end)  # type: ignore[no-any-return]
        place = mm_features[0].mm_position
        return int(place.offset + place.length <= start), int(place.offset < end)

    return get_mm_features_in_window


def _positions(self: Any, scheduler_output: Any) -> Any:
    """`GPUModelRunner._calc_mrope_positions`: sequences that decode get their positions all at once."""
    batch, scheduled = self.input_batch, scheduler_output.num_scheduled_tokens
    names = batch.req_ids
    requests = [self.requests[name] for name in names]
    counts = np.array([scheduled[name] for name in names], dtype=np.int64)
    computed, prompts = batch.num_computed_tokens_cpu[: len(names)], batch.num_prompt_tokens[: len(names)]
    reading = computed + counts <= prompts
    if np.any(~reading & ((counts != 1) | (computed < prompts))):  # the end of a prompt and more, or drafts
        return NotImplemented
    ends = np.cumsum(counts)
    for i in np.flatnonzero(reading):
        first, count, end = computed[i], counts[i], ends[i]
        self.mrope_positions.cpu[:, end - count : end] = requests[i].mrope_positions[:, first : first + count]
    decoding = np.flatnonzero(~reading)
    deltas = np.fromiter((requests[i].mrope_position_delta for i in decoding), np.int64, len(decoding))
    self.mrope_positions.np[:, ends[decoding] - 1] = computed[decoding] + deltas
    return None


def _last_tokens(
    self: Any, scheduler_output: Any, num_reqs: int, total_num_scheduled_tokens: int, cu_num_tokens: Any
) -> Any:
    """`GPUModelRunner._prepare_input_ids`: tokens that are still on the GPU only, found without a loop."""
    from vllm.v1.worker.gpu_model_runner import PIN_MEMORY

    from .device_copy import to_device

    sampled = self.input_batch.prev_sampled_token_ids
    drafts = scheduler_output.scheduled_spec_decode_tokens
    if sampled is None or drafts or self.enable_prompt_embeds or self._pp_recv_work is not None:
        return NotImplemented
    before = self.prev_positions.np[:num_reqs]
    there = np.flatnonzero(before >= 0)
    rows, slots = before[there], cu_num_tokens[there] - 1
    count = len(there)
    if count < total_num_scheduled_tokens:
        self.input_ids.copy_to_gpu(total_num_scheduled_tokens)
    if not count:
        return None
    if np.array_equal(rows, slots) and slots.max() == count - 1:  # nobody came or went
        self.input_ids.gpu[:count].copy_(sampled[:count, 0], non_blocking=True)
        return None
    where, which = to_device(np.stack((slots, rows)).astype(np.int64), self.device, PIN_MEMORY)
    self.input_ids.gpu.scatter_(dim=0, index=where, src=sampled[which, 0])
    return None


def _no_pictures(self: Any, scheduler_output: Any, shift_computed_tokens: int = 0) -> Any:
    """`GPUModelRunner._gather_mm_embeddings`: pictures are in prompts, and all prompts have been read."""
    import torch
    from vllm.v1.worker.gpu_model_runner import PIN_MEMORY

    batch = self.input_batch
    computed, prompts = batch.num_computed_tokens_cpu[: batch.num_reqs], batch.num_prompt_tokens[: batch.num_reqs]
    if shift_computed_tokens or self.is_multimodal_pruning_enabled or np.any(computed < prompts):
        return NotImplemented
    tokens = scheduler_output.total_num_scheduled_tokens
    return [], torch.zeros(tokens, dtype=torch.bool, device="cpu", pin_memory=PIN_MEMORY)


PATCH = Patch(
    name="vllm-decode-steps",
    package="vllm",
    versions="==0.28.0",  # what is scheduled together is written anew, not only asked for
    replaces="Scheduler.schedule, KVCacheManager.allocate_slots, get_mm_features_in_window, "
    "InputBatch.update_async_output_token_ids and GPUModelRunner's _calc_mrope_positions, _prepare_input_ids, "
    "_gather_mm_embeddings and _bookkeeping_sync, for sequences that decode",
    why="each step asks for each of 512 sequences which blocks, pictures and positions it needs: a quarter of the "
    "engine's Python, which keeps the GPU waiting, for answers that were known",
    how="those that decode are scheduled together, room in the last block is looked up, the only picture of a prompt "
    "needs no search, positions, places of tokens and what stands for them are written for all sequences at once; "
    "drafts, prefix caching, several groups of caches and several pictures go vLLM's way",
    upstream="vLLM's second model runner keeps positions on the GPU (VLLM_USE_V2_MODEL_RUNNER); it takes no logits "
    "processors, which MinerU needs",
    remove_when="vLLM's scheduler skips what has not changed, and its second model runner takes logits processors",
    check=check,
    install=install,
)
