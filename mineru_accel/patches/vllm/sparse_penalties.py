"""vLLM penalizes repetition by passes over the whole vocabulary; MinerU asks for it with every crop."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from ..patch import NotApplicable, Patch, Undo

_EXPECTED = ["logits", "sampling_metadata", "output_token_ids"]


def check() -> str:
    """Nothing but the version matters."""
    return "presence and frequency penalties move some 12 MB for each sequence and step"


def install(undo: Undo) -> str:
    """Without repetition penalties the prompt is not needed: an empty one tells the sampler to take the short way."""
    import torch
    from vllm.distributed.kv_transfer import has_kv_transfer_group
    from vllm.v1.sample.ops import penalties as dense
    from vllm.v1.sample.sampler import Sampler
    from vllm.v1.worker.gpu_input_batch import InputBatch

    from .device_copy import to_device
    from .penalty_counts import Said, penalize

    said, pinned = Said(), getattr(dense, "PIN_MEMORY", False)
    prompts_of = InputBatch._make_prompt_token_ids_cpu_tensor
    original = Sampler.apply_penalties
    if list(inspect.signature(original).parameters) != _EXPECTED:
        raise NotApplicable("this vLLM's sampler is another one")

    @functools.wraps(prompts_of)
    def _make_prompt_token_ids_cpu_tensor(self: Any) -> Any:
        count = self.num_reqs
        if (
            self.is_pooling_model
            or self.repetition_penalties_reqs
            or self.logits_processing_needs_token_ids[:count].any()
        ):
            return prompts_of(self)
        return torch.empty((count, 0), dtype=torch.int64)

    @functools.wraps(original)
    def apply_penalties(logits: Any, sampling_metadata: Any, output_token_ids: Any) -> Any:
        about = sampling_metadata
        prompts = about.prompt_token_ids
        if about.no_penalties or prompts is None or prompts.shape[1] or not logits.is_contiguous():
            said.clear()
            return original(logits, about, output_token_ids)
        if any(getattr(about, "spec_token_ids", None) or ()) or has_kv_transfer_group():
            said.forgets = True
        places = to_device(said.places(output_token_ids, logits.shape[1]), logits.device, pinned)
        return penalize(logits, places, about.presence_penalties, about.frequency_penalties)

    undo.setattr(InputBatch, "_make_prompt_token_ids_cpu_tensor", _make_prompt_token_ids_cpu_tensor)
    undo.setattr(Sampler, "apply_penalties", staticmethod(apply_penalties))
    return "penalties touch the tokens that were said; prompts are sent to the sampler only if it reads them"


PATCH = Patch(
    name="vllm-sparse-penalties",
    package="vllm",
    versions=">=0.27,<0.29",
    replaces="Sampler.apply_penalties and InputBatch._make_prompt_token_ids_cpu_tensor",
    why="each step counts tokens in two int64 tables of batch x vocabulary and goes over them and the logits ten "
    "times: 6 GB for 512 sequences of Qwen2-VL's 152 000 tokens; MinerU's sampling has both penalties",
    how="tokens are kept as arrays that grow by a step's; counts come from sorting them all; logits are read "
    "and written at those tokens alone, with the same result to the last bit; requests with repetition penalties go "
    "vLLM's way",
    upstream="vLLM's second model runner keeps counts on the GPU, but takes no logits processors, which MinerU needs",
    remove_when="MinerU's logits processor runs in vLLM's second model runner",
    check=check,
    install=install,
)
