"""Before a step: the model runner's inputs, written for all sequences that decode at once.

Each function stands in for the method of `GPUModelRunner` that its docstring names, and returns NotImplemented where
vLLM's own must run (see `decode_steps_fallback`).
"""

from __future__ import annotations

from typing import Any

import numpy as np


def mrope_positions(self: Any, scheduler_output: Any) -> Any:
    """`_calc_mrope_positions`: a decoding sequence's position is its length plus a constant of its own."""
    batch, scheduled = self.input_batch, scheduler_output.num_scheduled_tokens
    names = batch.req_ids
    requests = [self.requests[name] for name in names]
    counts = np.array([scheduled[name] for name in names], dtype=np.int64)
    computed, prompts = batch.num_computed_tokens_cpu[: len(names)], batch.num_prompt_tokens[: len(names)]
    in_prompt = computed + counts <= prompts
    if np.any(~in_prompt & ((counts != 1) | (computed < prompts))):  # beyond a prompt's end in one step, or drafts
        return NotImplemented
    ends = np.cumsum(counts)
    for i in np.flatnonzero(in_prompt):
        first, count, end = computed[i], counts[i], ends[i]
        self.mrope_positions.cpu[:, end - count : end] = requests[i].mrope_positions[:, first : first + count]
    decoding = np.flatnonzero(~in_prompt)
    deltas = np.fromiter((requests[i].mrope_position_delta for i in decoding), np.int64, len(decoding))
    self.mrope_positions.np[:, ends[decoding] - 1] = computed[decoding] + deltas
    return None


def input_ids(
    self: Any, scheduler_output: Any, num_reqs: int, total_num_scheduled_tokens: int, cu_num_tokens: Any
) -> Any:
    """`_prepare_input_ids`: tokens of the last step, which only the GPU has, are copied to their places there."""
    from vllm.v1.worker.gpu_model_runner import PIN_MEMORY

    from .device_copy import to_device

    sampled = self.input_batch.prev_sampled_token_ids
    drafts = scheduler_output.scheduled_spec_decode_tokens
    if sampled is None or drafts or self.enable_prompt_embeds or self._pp_recv_work is not None:
        return NotImplemented
    before = self.prev_positions.np[:num_reqs]  # rows in the last step's batch; -1 for sequences that were not in it
    stayed = np.flatnonzero(before >= 0)
    rows, slots = before[stayed], cu_num_tokens[stayed] - 1
    count = len(stayed)
    if count < total_num_scheduled_tokens:
        self.input_ids.copy_to_gpu(total_num_scheduled_tokens)
    if not count:
        return None
    if np.array_equal(rows, slots) and slots.max() == count - 1:  # the batch is the last step's
        self.input_ids.gpu[:count].copy_(sampled[:count, 0], non_blocking=True)
        return None
    slots_there, rows_there = to_device(np.stack((slots, rows)).astype(np.int64), self.device, PIN_MEMORY)
    self.input_ids.gpu.scatter_(dim=0, index=slots_there, src=sampled[rows_there, 0])
    return None


def no_embeddings(self: Any, scheduler_output: Any, shift_computed_tokens: int = 0) -> Any:
    """`_gather_mm_embeddings` once all prompts have been read: pictures are in prompts alone."""
    import torch
    from vllm.v1.worker.gpu_model_runner import PIN_MEMORY

    batch = self.input_batch
    computed, prompts = batch.num_computed_tokens_cpu[: batch.num_reqs], batch.num_prompt_tokens[: batch.num_reqs]
    if shift_computed_tokens or self.is_multimodal_pruning_enabled or np.any(computed < prompts):
        return NotImplemented
    tokens = scheduler_output.total_num_scheduled_tokens
    return [], torch.zeros(tokens, dtype=torch.bool, device="cpu", pin_memory=PIN_MEMORY)
