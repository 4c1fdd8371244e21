"""After a step: what vLLM's model runner writes for each sequence, here for all sequences at once.

With asynchronous scheduling a step's sampled tokens are not on the host yet when the next step is prepared. The
placeholder -1 stands for each of them, in the next step's inputs and in the output tokens that penalties read, until
they have been copied from the GPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np


def bookkeeping(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `GPUModelRunner._bookkeeping_sync`: placeholders are written here, all else by vLLM's own.

    vLLM's own loops over the sampled tokens to write placeholders. It is shown an empty array of them, so that its loop
    does nothing.
    """

    def _bookkeeping_sync(
        self: Any, scheduler_output: Any, sampler_output: Any, logits: Any, hidden_states: Any, tokens: int
    ) -> Any:
        batch, ids = self.input_batch, sampler_output.sampled_token_ids
        has_drafts = batch.prev_sampled_token_ids is not None or ids.shape[-1] != 1
        if not self.use_async_scheduling or has_drafts or len(ids) != batch.num_reqs:
            return original(self, scheduler_output, sampler_output, logits, hidden_states, tokens)
        sampler_output.sampled_token_ids = ids[:0]
        try:
            result = original(self, scheduler_output, sampler_output, logits, hidden_states, tokens)
        finally:
            sampler_output.sampled_token_ids = ids
        batch.prev_sampled_token_ids = ids
        decoding = np.ones(len(ids), dtype=bool)
        decoding[result[-1]] = False  # sequences whose prompts are not read to the end yet: their tokens are dropped
        rows = np.flatnonzero(decoding)
        ends = batch.num_tokens_no_spec[rows]
        longest = int(ends.max(initial=0)) + 1
        assert longest <= self.max_model_len, f"a sequence of {longest} tokens: more than {self.max_model_len}"
        batch.token_ids_cpu[rows, ends] = -1
        batch.is_token_ids[rows, ends] = True
        batch.num_tokens_no_spec[rows] = ends + 1
        names, requests = batch.req_ids, self.requests
        for row in rows.tolist():
            requests[names[row]].output_token_ids.append(-1)
        return result

    return _bookkeeping_sync


def fill_placeholders(batch: Any) -> Any:
    """In place of `InputBatch.update_async_output_token_ids`: the last step's tokens replace their placeholders.

    NotImplemented, for vLLM's own, where a sequence has several placeholders or its token is missing.
    """
    outputs, tokens = batch.sampling_metadata.output_token_ids, batch.sampled_token_ids_cpu
    if tokens is None or not outputs:
        return None
    if tokens.dim() != 2 or tokens.shape[1] != 1 or batch.prev_req_id_to_index is None:
        return NotImplemented
    row_of, unusual, sampled = batch.prev_req_id_to_index.get, False, None
    for name, output in zip(batch.req_ids, outputs, strict=False):
        row = row_of(name)
        if row is None or not output or output[-1] != -1:
            continue
        if len(output) > 1 and output[-2] == -1:
            unusual = True
            continue
        if sampled is None:
            batch.async_copy_ready_event.synchronize()
            sampled = tokens.flatten().tolist()
        if sampled[row] == -1:
            unusual = True
        else:
            output[-1] = sampled[row]
    return NotImplemented if unusual else None
