"""The scheduler's loop over sequences that decode: one token each, in a batch that is asked for nothing else.

vLLM's `Scheduler.schedule` goes through some eighty lines for each running sequence. Here the first ones that decode
are scheduled together, and its own code then sees the rest alone: prompts being read, and whoever waits, with what is
left of the budget. Where blocks could become scarce it does everything, since it may have to preempt one of all.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from .fallback import first

_LEAST = 8
"""Sequences below which it isn't worth it."""


def schedule(original: Callable[..., Any]) -> Callable[..., Any]:
    """Before `Scheduler.schedule`."""
    from vllm.v1.core.sched.async_scheduler import AsyncScheduler

    @functools.wraps(original)
    def nothing(self: Any) -> None:
        return None

    find = first(_found)(nothing)  # nothing has been changed by then

    def schedule(self: Any, throttle_prefills: bool = False) -> Any:
        found = None if throttle_prefills else find(self)
        if found is None:
            return original(self, throttle_prefills)
        end, taken, growing = found
        names = [request.request_id for request in taken]
        computed = [request.num_computed_tokens for request in taken]
        said = [len(request._output_token_ids) + request.num_output_placeholders for request in taken]
        blocks: list[Any] = [None] * len(taken)
        for i in growing:
            new = self.kv_cache_manager.allocate_slots(taken[i], 1, num_lookahead_tokens=self.num_lookahead_tokens)
            blocks[i] = new.get_block_ids(allow_none=True)
        before = self.prev_step_scheduled_req_ids
        tokens = {name: r.all_token_ids.copy() for name, r in zip(names, taken, strict=True) if name not in before}

        ahead, self.running = self.running[:end], self.running[end:]
        self.max_num_running_reqs -= end
        self.max_num_scheduled_tokens -= len(taken)
        try:
            out = original(self, throttle_prefills)
        finally:
            self.max_num_running_reqs += end
            self.max_num_scheduled_tokens += len(taken)
            self.running = ahead + self.running
        placeholders = int(isinstance(self, AsyncScheduler))
        for request in taken:  # as _update_after_schedule does
            request.num_computed_tokens += 1
            request.num_in_flight_tokens += 1
            request.num_output_placeholders += placeholders
        self.prev_step_scheduled_req_ids.update(names)
        out.num_scheduled_tokens = dict.fromkeys(names, 1) | out.num_scheduled_tokens
        out.total_num_scheduled_tokens += len(taken)
        out.num_common_prefix_blocks = self.kv_cache_manager.get_num_common_prefix_blocks(self.running[0].request_id)
        cached = out.scheduled_cached_reqs
        cached.req_ids = names + cached.req_ids
        cached.all_token_ids = tokens | cached.all_token_ids
        cached.new_block_ids = blocks + cached.new_block_ids
        cached.num_computed_tokens = computed + cached.num_computed_tokens
        cached.num_output_tokens = said + cached.num_output_tokens
        return out

    return schedule


def _found(self: Any) -> tuple[int, list[Any], list[int]] | None:
    """What to schedule together, if this scheduler has no feature that looks at running sequences otherwise."""
    if "_accel_plain" not in self.__dict__:
        self._accel_plain = _is_plain(self)
    return _decoding(self) if self._accel_plain else None


def _is_plain(self: Any) -> bool:
    from vllm.v1.core.sched.async_scheduler import AsyncScheduler
    from vllm.v1.core.sched.scheduler import Scheduler
    from vllm.v1.core.single_type_kv_cache_manager import FullAttentionManager

    features = (
        self.vllm_config.speculative_config, self.lora_config, self.connector, self.ec_connector, self.log_stats,
        self.use_pp, self.use_v2_model_runner, self.is_encoder_decoder, self.need_mamba_block_aligned_split,
        self.needs_kv_cache_zeroing, self.defer_block_free, self.enable_return_routed_experts,
        self.num_prefill_lookahead, self.num_lookahead_tokens, self.dynamic_sd_lookup,
        self.scheduler_config.long_prefill_token_threshold > 0,
        self.max_num_scheduled_tokens > self.scheduler_config.max_num_batched_tokens,
        self.num_sampled_tokens_per_step != 1, self.kv_cache_manager.enable_caching,
        self.kv_cache_manager.watermark_blocks,
    )  # fmt: skip
    managers = self.kv_cache_manager.coordinator.single_type_managers
    return (
        type(self) in (Scheduler, AsyncScheduler)
        and not any(features)
        and [type(manager) for manager in managers] == [FullAttentionManager]
    )


def _decoding(self: Any) -> tuple[int, list[Any], list[int]] | None:
    """Up to which one of `running` all decode or are done but for their last token's arrival; those that decode; which
    of these need a block. None where vLLM's own code must look at all."""
    from vllm.v1.core.sched.interface import PauseState

    running = self.running
    if len(running) < _LEAST or self._pause_state is not PauseState.UNPAUSED:
        return None
    (manager,) = self.kv_cache_manager.coordinator.single_type_managers
    blocks, size, longest = manager.req_to_blocks, manager.block_size, self.max_model_len - 1
    taken: list[Any] = []
    growing: list[int] = []
    end = len(running)
    for place, request in enumerate(running):
        computed, ahead = request.num_computed_tokens, request.num_output_placeholders
        prompt = request.num_prompt_tokens
        if ahead > 0 and computed + 2 - ahead >= prompt + request.max_tokens:
            continue
        if (
            len(request._all_token_ids) + ahead - computed != 1
            or computed < prompt
            or computed >= longest
            or request.is_prefill_chunk
            or request.spec_token_ids
            or request.structured_output_request is not None
        ):
            end = place
            break
        if computed >= len(blocks[request.request_id]) * size:
            growing.append(len(taken))
        taken.append(request)
    others, left = len(running) - end, self.max_num_scheduled_tokens - len(taken)
    needed = len(growing) + (left // size + others if others else 0)
    if len(taken) < _LEAST or left < 0 or needed > manager.block_pool.get_num_free_blocks():
        return None
    return end, taken, growing
