"""``vllm-final-outputs``: tokens are sent to the client with a request's last output, not one by one."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from packaging.specifiers import SpecifierSet

from ...hardware import accelerator
from ..patch import NotApplicable, Undo

_PARAMETERS = ["self", "scheduler_output", "model_runner_output"]
"""Of `Scheduler.update_from_output`."""
HELD = "_accel_held"
"""Attribute of a scheduler: names of requests whose outputs are held back -> `HeldRequest`."""
_ADVANCED = ">=0.28,<0.29"
"""Versions of vLLM whose `update_from_output` is known well enough to advance requests without it."""
_FIELDS = {
    "request_id",
    "new_token_ids",
    "finish_reason",
    "stop_reason",
    "trace_headers",
    "prefill_stats",  # only the first output has them: kept until the last
    "new_logprobs",  # these three: no request with them is held back, see `_wants_last_output_only`
    "new_prompt_logprobs_tensors",
    "pooling_output",
    "new_sampling_mask",  # these two: nothing is held back where the scheduler's settings ask for them
    "routed_experts",
    "events",  # these two are statistics
    "num_nans_in_logits",
    "kv_transfer_params",  # these three come with a request's last output only
    "ec_transfer_params",
    "mm_cache_miss_hashes",
}
"""Fields of an EngineCoreOutput in vLLM 0.27 and 0.28: what holding an output back does to each is known."""


def check() -> str:
    """Only the version matters."""
    return "each token of each crop is packed, sent, unpacked and looked at by itself, and nobody reads it"


def install(undo: Undo) -> str:
    """Hold outputs back in the scheduler. Reverting it while a request runs would lose that request's tokens.

    Raises:
        NotApplicable: if the scheduler's function or its outputs have other parameters or fields.
    """
    from vllm.v1.core.sched.scheduler import Scheduler
    from vllm.v1.engine import EngineCoreOutput

    original = Scheduler.update_from_output
    unknown = set(EngineCoreOutput.__struct_fields__) - _FIELDS
    if list(inspect.signature(original).parameters) != _PARAMETERS or unknown:
        raise NotApplicable("this vLLM's scheduler says more of a request")
    undo.setattr(Scheduler, "update_from_output", _update_from_output(original))
    return "tokens of requests that want only their last output are sent with it"


def _update_from_output(original: Callable[..., Any]) -> Callable[..., Any]:
    """Wraps `Scheduler.update_from_output`."""
    from vllm.sampling_params import RequestOutputKind
    from vllm.v1.engine import EngineCoreOutputs

    final = RequestOutputKind.FINAL_ONLY
    version = accelerator.version_of("vllm")
    advance = _make_advance() if version and version in SpecifierSet(_ADVANCED) else None

    @functools.wraps(original)
    def update_from_output(self: Any, scheduler_output: Any, model_runner_output: Any) -> Any:
        if self.log_stats or self.enable_return_routed_experts or getattr(self, "return_sampling_mask", False):
            return original(self, scheduler_output, model_runner_output)
        held = self.__dict__.setdefault(HELD, {})
        for aborted in scheduler_output.finished_req_ids:  # first: another request of this step may have the name
            held.pop(aborted, None)
        clients: set[int] = set()
        if advance and held:
            scheduler_output, clients = advance(self, scheduler_output, model_runner_output, held)
        outputs = original(self, scheduler_output, model_runner_output)
        for of_client in outputs.values():
            of_client.outputs = _to_send(of_client.outputs, held, self, final)
        for client in clients:  # LLMEngine.step() waits for a message per step, if without outputs
            outputs.setdefault(client, EngineCoreOutputs())
        return outputs

    return update_from_output


@dataclass(slots=True)
class HeldRequest:
    """A request whose outputs are held back until its last one."""

    request: Any
    prefill_stats: Any
    """Of its first output."""
    max_tokens: int
    """Its last token is this one at the latest."""
    stop_tokens: frozenset[int] | None
    """Tokens that end it; None: more than single tokens may end it, so that vLLM must check each token."""


def _to_send(outputs: list[Any], held: dict[str, HeldRequest], scheduler: Any, final: Any) -> list[Any]:
    """The outputs to send now; others are held back, and a request's last output gets all its tokens."""
    ready = []
    for output in outputs:
        name = output.request_id
        if output.finish_reason is None:
            if name in held:
                continue
            request = scheduler.requests.get(name)
            if request is not None and _wants_last_output_only(request, final):
                held[name] = HeldRequest(request, output.prefill_stats, *_end_of(request, scheduler.max_model_len))
                continue
        elif name in held:
            waiting = held.pop(name)
            output.prefill_stats = waiting.prefill_stats
            output.new_token_ids = list(waiting.request.output_token_ids)
        ready.append(output)
    return ready


def _end_of(request: Any, max_model_len: int) -> tuple[int, frozenset[int] | None]:
    """`HeldRequest.max_tokens` and `stop_tokens` of a request, by the rules of vLLM's `check_stop`."""
    params = request.sampling_params
    most = min(request.max_tokens, max_model_len - request.num_prompt_tokens)
    if request.structured_output_request or request._block_hasher or params.repetition_detection:
        return most, None
    return most, frozenset((*(params.stop_token_ids or ()), params.eos_token_id))


def _make_advance() -> Callable[..., tuple[Any, set[int]]]:
    """A function that hands a step's sampled tokens to held requests that they don't end."""
    from vllm.v1.core.sched.async_scheduler import AsyncScheduler
    from vllm.v1.core.sched.scheduler import Scheduler
    from vllm.v1.request import RequestStatus

    running = RequestStatus.RUNNING
    placeholders_of: dict[type, int] = {Scheduler: 0, AsyncScheduler: 1}

    def advance(scheduler: Any, scheduled: Any, sampled: Any, held: dict[str, HeldRequest]) -> tuple[Any, set[int]]:
        """Advance requests; the rest of the step and the advanced requests' clients are returned.

        The loop runs over every sequence in every step: vLLM's own, which makes an output for each, takes four times
        as long.
        """
        placeholders = placeholders_of.get(type(scheduler))
        if (
            placeholders is None
            or scheduled.scheduled_spec_decode_tokens
            or not sampled.sampled_token_ids
            or sampled.pooler_output
            or sampled.num_nans_in_logits
            or sampled.kv_connector_output is not None
        ):
            return scheduled, set()
        tokens, index = sampled.sampled_token_ids, sampled.req_id_to_index
        pictures = getattr(scheduler.encoder_cache_manager, "request_cached_ids", scheduler.requests)
        left, clients = {}, set()
        for name, count in scheduled.num_scheduled_tokens.items():
            waiting = held.get(name)
            if waiting is not None and waiting.stop_tokens is not None:
                request, new = waiting.request, tokens[index[name]]
                output = request._output_token_ids
                if (
                    len(new) == 1
                    and new[0] not in waiting.stop_tokens
                    and len(output) + 1 < waiting.max_tokens
                    and request.status is running
                    and not request.num_stale_output_tokens
                    and name not in pictures  # vLLM's own frees the encoder's outputs with one of the first tokens
                ):
                    request.num_in_flight_tokens -= count
                    request.num_output_placeholders -= placeholders
                    output.append(new[0])
                    request._all_token_ids.append(new[0])
                    clients.add(request.client_index)
                    continue
            left[name] = count
        if not clients:
            return scheduled, clients
        rest = copy.copy(scheduled)
        rest.num_scheduled_tokens = left
        return rest, clients

    return advance


def _wants_last_output_only(request: Any, final: Any) -> bool:
    """Whether the client does nothing with a request's tokens before the last."""
    params = request.sampling_params
    return (
        params is not None
        and params.output_kind is final
        and not params.stop  # the client itself looks for these strings, and ends the request
        and params.num_logprobs is None
        and params.prompt_logprobs is None
        and not request.resumable
    )
