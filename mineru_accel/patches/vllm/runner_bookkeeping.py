"""What vLLM's model runner notes after each step, for all sequences at once instead of one after the other.

With asynchronous scheduling a sampled token is not known yet: -1 stands for it in the next step's inputs, and in what
penalties read, until it has been copied from the GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def bookkeeping(original: Callable[..., Any]) -> Callable[..., Any]:
    """Around `GPUModelRunner._bookkeeping_sync`: it does all but the placeholders, since it is shown no sequences."""

    def _bookkeeping_sync(
        self: Any, scheduler_output: Any, sampler_output: Any, logits: Any, hidden_states: Any, tokens: int
    ) -> Any:
        batch, ids = self.input_batch, sampler_output.sampled_token_ids
        drafts = batch.prev_sampled_token_ids is not None or ids.shape[-1] != 1
        if not self.use_async_scheduling or drafts or len(ids) != batch.num_reqs:
            return original(self, scheduler_output, sampler_output, logits, hidden_states, tokens)
        sampler_output.sampled_token_ids = ids[:0]
        try:
            found = original(self, scheduler_output, sampler_output, logits, hidden_states, tokens)
        finally:
            sampler_output.sampled_token_ids = ids
        batch.prev_sampled_token_ids = ids
        kept = np.ones(len(ids), dtype=bool)
        kept[found[-1]] = False  # sequences that still read their prompts
        rows = np.flatnonzero(kept)
        ends = batch.num_tokens_no_spec[rows]
        longest = int(ends.max(initial=0)) + 1
        assert longest <= self.max_model_len, f"a sequence of {longest} tokens: more than {self.max_model_len}"
        batch.token_ids_cpu[rows, ends] = -1
        batch.is_token_ids[rows, ends] = True
        batch.num_tokens_no_spec[rows] = ends + 1
        names, requests = batch.req_ids, self.requests
        for row in rows.tolist():
            requests[names[row]].output_token_ids.append(-1)
        return found

    return _bookkeeping_sync


def known_tokens(batch: Any) -> Any:
    """`InputBatch.update_async_output_token_ids`: tokens of the last step take their placeholders' places; what isn't
    one token for one placeholder is left to vLLM's own (NotImplemented)."""
    outputs, tokens = batch.sampling_metadata.output_token_ids, batch.sampled_token_ids_cpu
    if tokens is None or not outputs:
        return None
    if tokens.dim() != 2 or tokens.shape[1] != 1 or batch.prev_req_id_to_index is None:
        return NotImplemented
    where, odd, new = batch.prev_req_id_to_index.get, False, None
    for name, said in zip(batch.req_ids, outputs, strict=False):
        row = where(name)
        if row is None or not said or said[-1] != -1:
            continue
        if len(said) > 1 and said[-2] == -1:
            odd = True
            continue
        if new is None:
            batch.async_copy_ready_event.synchronize()
            new = tokens.flatten().tolist()
        if new[row] == -1:
            odd = True
        else:
            said[-1] = new[row]
    return NotImplemented if odd else None
