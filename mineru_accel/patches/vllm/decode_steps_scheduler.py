"""Scheduling of sequences that decode, all at once: each takes one token and needs nothing else.

vLLM's `Scheduler.schedule` runs some eighty lines of Python for each running sequence. Here the sequences at the front
of `running` that decode are scheduled together; vLLM's own code then sees the others alone (prompts being read, waiting
requests), with the rest of the budget. The result is the same as that of vLLM's own code, because

- `running` is served in order, so that what stands at its front is scheduled first there, too;
- a decoding sequence takes exactly one token and at most one new block, allocated in the same order;
- nothing is preempted: where free blocks might not suffice for all, vLLM's own code does everything.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .decode_steps_fallback import with_fallback

_MIN_SEQUENCES = 8
"""With fewer sequences vLLM's own loop is as fast."""


class DecodeBatch(NamedTuple):
    """Sequences that are scheduled together in one step."""

    end: int
    """``running[:end]`` is dealt with: these sequences decode, or wait for their last token and need nothing."""
    requests: list[Any]
    """Those that decode, in order."""
    growing: list[int]
    """Indices into ``requests``: their next token needs a new block."""


class _Scheduled(NamedTuple):
    """The part of a scheduler's output that a `DecodeBatch` makes; lists have an entry per request."""

    names: list[str]
    computed: list[int]
    output_tokens: list[int]
    blocks: list[Any]
    """New blocks; None for a request that needs none."""
    all_tokens: dict[str, list[int]]
    """All tokens of requests that were not in the last step: the workers have forgotten theirs."""


def schedule(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `Scheduler.schedule`."""

    @functools.wraps(original)
    def no_batch(scheduler: Any) -> None:
        return None

    find = with_fallback(find_decoding)(no_batch)  # changes nothing, so that vLLM's own may follow

    def schedule(self: Any, throttle_prefills: bool = False) -> Any:
        batch = None if throttle_prefills else find(self)
        if batch is None:
            return original(self, throttle_prefills)
        scheduled = _allocate(self, batch)
        with _hidden(self, batch):
            output = original(self, throttle_prefills)
        _advance(self, batch, scheduled)
        return _add(output, self, scheduled)

    return schedule


def find_decoding(scheduler: Any) -> DecodeBatch | None:
    """The sequences to schedule together; None where vLLM's own code must see all."""
    if "_accel_plain" not in scheduler.__dict__:
        scheduler._accel_plain = is_plain(scheduler)
    return _decoding(scheduler) if scheduler._accel_plain else None


def is_plain(scheduler: Any) -> bool:
    """Whether a scheduler is one of vLLM's own two, with no feature that treats running sequences otherwise."""
    from vllm.v1.core.sched.async_scheduler import AsyncScheduler
    from vllm.v1.core.sched.scheduler import Scheduler
    from vllm.v1.core.single_type_kv_cache_manager import FullAttentionManager

    features = (
        scheduler.vllm_config.speculative_config, scheduler.lora_config, scheduler.connector, scheduler.ec_connector,
        scheduler.log_stats, scheduler.use_pp, scheduler.use_v2_model_runner, scheduler.is_encoder_decoder,
        scheduler.need_mamba_block_aligned_split, scheduler.needs_kv_cache_zeroing, scheduler.defer_block_free,
        scheduler.enable_return_routed_experts, scheduler.num_prefill_lookahead, scheduler.num_lookahead_tokens,
        scheduler.dynamic_sd_lookup, scheduler.scheduler_config.long_prefill_token_threshold > 0,
        scheduler.max_num_scheduled_tokens > scheduler.scheduler_config.max_num_batched_tokens,
        scheduler.num_sampled_tokens_per_step != 1, scheduler.kv_cache_manager.enable_caching,
        scheduler.kv_cache_manager.watermark_blocks,
    )  # fmt: skip
    managers = scheduler.kv_cache_manager.coordinator.single_type_managers
    return (
        type(scheduler) in (Scheduler, AsyncScheduler)
        and not any(features)
        and [type(manager) for manager in managers] == [FullAttentionManager]
    )


def _decoding(scheduler: Any) -> DecodeBatch | None:
    """The decoding sequences at the front of `running`, if there are enough of them and of free blocks."""
    from vllm.v1.core.sched.interface import PauseState

    running = scheduler.running
    if len(running) < _MIN_SEQUENCES or scheduler._pause_state is not PauseState.UNPAUSED:
        return None
    (manager,) = scheduler.kv_cache_manager.coordinator.single_type_managers
    blocks, block_size, longest = manager.req_to_blocks, manager.block_size, scheduler.max_model_len - 1
    requests: list[Any] = []
    growing: list[int] = []
    end = len(running)
    for place, request in enumerate(running):
        computed, placeholders = request.num_computed_tokens, request.num_output_placeholders
        prompt = request.num_prompt_tokens
        if placeholders > 0 and computed + 2 - placeholders >= prompt + request.max_tokens:
            continue  # its last token is on the way: vLLM's own passes over it, too
        if (
            len(request._all_token_ids) + placeholders - computed != 1
            or computed < prompt
            or computed >= longest
            or request.is_prefill_chunk
            or request.spec_token_ids
            or request.structured_output_request is not None
        ):
            end = place
            break
        if computed >= len(blocks[request.request_id]) * block_size:
            growing.append(len(requests))
        requests.append(request)
    others, budget = len(running) - end, scheduler.max_num_scheduled_tokens - len(requests)
    # upper bound: the other running sequences may fill the budget, and begin a block each
    needed = len(growing) + (budget // block_size + others if others else 0)
    if len(requests) < _MIN_SEQUENCES or budget < 0 or needed > manager.block_pool.get_num_free_blocks():
        return None
    return DecodeBatch(end, requests, growing)


def _allocate(scheduler: Any, batch: DecodeBatch) -> _Scheduled:
    """Allocate new blocks; note what the step's output needs before the requests change."""
    requests = batch.requests
    names = [request.request_id for request in requests]
    computed = [request.num_computed_tokens for request in requests]
    output_tokens = [len(request._output_token_ids) + request.num_output_placeholders for request in requests]
    blocks: list[Any] = [None] * len(requests)
    for i in batch.growing:
        new = scheduler.kv_cache_manager.allocate_slots(
            requests[i], 1, num_lookahead_tokens=scheduler.num_lookahead_tokens
        )
        blocks[i] = new.get_block_ids(allow_none=True)
    before = scheduler.prev_step_scheduled_req_ids
    all_tokens = {
        name: request.all_token_ids.copy() for name, request in zip(names, requests, strict=True) if name not in before
    }
    return _Scheduled(names, computed, output_tokens, blocks, all_tokens)


@contextlib.contextmanager
def _hidden(scheduler: Any, batch: DecodeBatch) -> Iterator[None]:
    """The scheduler without these sequences, and with what they leave of its limits."""
    end, count = batch.end, len(batch.requests)
    front, scheduler.running = scheduler.running[:end], scheduler.running[end:]
    scheduler.max_num_running_reqs -= end
    scheduler.max_num_scheduled_tokens -= count
    try:
        yield
    finally:
        scheduler.max_num_running_reqs += end
        scheduler.max_num_scheduled_tokens += count
        scheduler.running = front + scheduler.running


def _advance(scheduler: Any, batch: DecodeBatch, scheduled: _Scheduled) -> None:
    """Count the scheduled tokens, as `_update_after_schedule` does."""
    from vllm.v1.core.sched.async_scheduler import AsyncScheduler

    placeholders = int(isinstance(scheduler, AsyncScheduler))
    for request in batch.requests:
        request.num_computed_tokens += 1
        request.num_in_flight_tokens += 1
        request.num_output_placeholders += placeholders
    scheduler.prev_step_scheduled_req_ids.update(scheduled.names)


def _add(output: Any, scheduler: Any, scheduled: _Scheduled) -> Any:
    """vLLM's output of the other sequences, with these before them."""
    names = scheduled.names
    output.num_scheduled_tokens = dict.fromkeys(names, 1) | output.num_scheduled_tokens
    output.total_num_scheduled_tokens += len(names)
    first = scheduler.running[0].request_id
    output.num_common_prefix_blocks = scheduler.kv_cache_manager.get_num_common_prefix_blocks(first)
    cached = output.scheduled_cached_reqs
    cached.req_ids = names + cached.req_ids
    cached.all_token_ids = scheduled.all_tokens | cached.all_token_ids
    cached.new_block_ids = scheduled.blocks + cached.new_block_ids
    cached.num_computed_tokens = scheduled.computed + cached.num_computed_tokens
    cached.num_output_tokens = scheduled.output_tokens + cached.num_output_tokens
    return output


def allocate_slots(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `KVCacheManager.allocate_slots`: a running sequence whose next token fits into its last block."""
    from vllm.v1.core.kv_cache_manager import KVCacheBlocks
    from vllm.v1.core.single_type_kv_cache_manager import FullAttentionManager
    from vllm.v1.request import RequestStatus

    running = RequestStatus.RUNNING

    class NoBlocks(KVCacheBlocks):
        """No new block; says so without going through its (empty) groups."""

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


def get_mm_features_in_window(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps the function of this name: for a prompt's only picture, without two binary searches."""

    def get_mm_features_in_window(mm_features: list[Any], start: int, end: int) -> tuple[int, int]:
        if len(mm_features) != 1:
            return original(mm_features, start, end)  # type: ignore[no-any-return]
        place = mm_features[0].mm_position
        return int(place.offset + place.length <= start), int(place.offset < end)

    return get_mm_features_in_window
