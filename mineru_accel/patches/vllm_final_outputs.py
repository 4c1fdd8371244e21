"""vLLM tells its client of every token, also of those that only the last output will hold."""

from __future__ import annotations

import functools
import inspect
from typing import Any

from .patch import NotApplicable, Patch, Undo

_EXPECTED = ["self", "scheduler_output", "model_runner_output"]
_HELD = "_accel_held"
"""Attribute of a scheduler: name of a request whose outputs are held -> itself, PrefillStats of its first output."""
_FIELDS = {
    "request_id",
    "new_token_ids",
    "finish_reason",
    "stop_reason",
    "trace_headers",
    "prefill_stats",  # of the first output: kept
    "new_logprobs",  # these three: `_waits` says no
    "new_prompt_logprobs_tensors",
    "pooling_output",
    "new_sampling_mask",  # these two: the scheduler's settings say no
    "routed_experts",
    "events",  # these two are for statistics
    "num_nans_in_logits",
    "kv_transfer_params",  # these three come with the end of a request only
    "ec_transfer_params",
    "mm_cache_miss_hashes",
}
"""Of an EngineCoreOutput, vLLM 0.27 and 0.28: what has been looked at."""


def check() -> str:
    """Nothing but the version matters."""
    return "each token of each crop is packed, sent, unpacked and looked at by itself, and nobody reads it"


def install(undo: Undo) -> str:
    """Take outputs that nobody reads yet out of what the scheduler returns. Take it back between requests only."""
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.core.sched.scheduler import Scheduler
    from vllm.v1.engine import EngineCoreOutput

    original = Scheduler.update_from_output
    unknown = set(EngineCoreOutput.__struct_fields__) - _FIELDS
    if list(inspect.signature(original).parameters) != _EXPECTED or unknown:
        raise NotApplicable("this vLLM's scheduler says more of a request")
    final = RequestOutputKind.FINAL_ONLY

    @functools.wraps(original)
    def update_from_output(self: Any, scheduler_output: Any, model_runner_output: Any) -> Any:
        outputs = original(self, scheduler_output, model_runner_output)
        if self.log_stats or self.enable_return_routed_experts or getattr(self, "return_sampling_mask", False):
            return outputs
        held = self.__dict__.setdefault(_HELD, {})
        for aborted in scheduler_output.finished_req_ids:  # before this step: their names may be others' in it
            held.pop(aborted, None)
        for of_client in outputs.values():
            # a message without outputs is sent all the same: LLMEngine.step() waits for one a step
            of_client.outputs = _ready(of_client.outputs, held, self.requests, final)
        return outputs

    undo.setattr(Scheduler, "update_from_output", update_from_output)
    return "tokens of requests that want only their last output are sent with it"


def _ready(outputs: list[Any], held: dict[str, Any], requests: dict[str, Any], final: Any) -> list[Any]:
    """The outputs to send now. The first line goes over every running sequence in each step."""
    others = [output for output in outputs if output.finish_reason is not None or output.request_id not in held]
    ready = []
    for output in others:
        name = output.request_id
        if output.finish_reason is None:
            if (request := requests.get(name)) is not None and _waits(request, final):
                held[name] = request, output.prefill_stats
                continue
        elif name in held:
            request, output.prefill_stats = held.pop(name)
            output.new_token_ids = list(request.output_token_ids)
        ready.append(output)
    return ready


def _waits(request: Any, final: Any) -> bool:
    """Whether the client does nothing with a request's tokens before the last."""
    params = request.sampling_params
    return (
        params is not None
        and params.output_kind is final
        and not params.stop  # the client looks for these strings and ends the request
        and params.num_logprobs is None
        and params.prompt_logprobs is None
        and not request.resumable
    )


PATCH = Patch(
    name="vllm-final-outputs",
    package="vllm",
    versions=">=0.27,<0.29",
    replaces="Scheduler.update_from_output, for requests with output_kind=FINAL_ONLY",
    why="MinerU asks for the last output of each crop; each token of each crop is packed, sent, unpacked and looked at "
    "by itself, 512 a step, in two processes that keep the GPU waiting",
    how="tokens stay with the scheduler until their request is finished, and are then sent at once, as after "
    "speculative decoding; requests with stop strings or logprobs and engines with statistics go vLLM's way",
    upstream="vLLM's stream_interval thins outputs out in the client, where each token still arrives by itself",
    remove_when="vLLM's scheduler looks at output_kind",
    check=check,
    install=install,
)
