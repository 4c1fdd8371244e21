"""vLLM tells its client of every token, also of those that only the last output will hold."""

from __future__ import annotations

import copy
import functools
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from packaging.specifiers import SpecifierSet

from ...hardware import accelerator
from ..patch import NotApplicable, Patch, Undo

_EXPECTED = ["self", "scheduler_output", "model_runner_output"]
_HELD = "_accel_held"
"""Attribute of a scheduler: name of a request whose outputs are held -> `_Held`."""
_KNOWN = ">=0.28,<0.29"
"""vLLM whose `update_from_output` has been read: what it does with a token that ends nothing is done at once."""
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
    from vllm.v1.engine import EngineCoreOutput, EngineCoreOutputs

    original = Scheduler.update_from_output
    unknown = set(EngineCoreOutput.__struct_fields__) - _FIELDS
    if list(inspect.signature(original).parameters) != _EXPECTED or unknown:
        raise NotApplicable("this vLLM's scheduler says more of a request")
    final = RequestOutputKind.FINAL_ONLY
    version = accelerator.version_of("vllm")
    advance = _advance_by() if version and version in SpecifierSet(_KNOWN) else None

    @functools.wraps(original)
    def update_from_output(self: Any, scheduler_output: Any, model_runner_output: Any) -> Any:
        if self.log_stats or self.enable_return_routed_experts or getattr(self, "return_sampling_mask", False):
            return original(self, scheduler_output, model_runner_output)
        held = self.__dict__.setdefault(_HELD, {})
        for aborted in scheduler_output.finished_req_ids:  # before this step: their names may be others' in it
            held.pop(aborted, None)
        clients: set[int] = set()
        if advance and held:
            scheduler_output, clients = advance(self, scheduler_output, model_runner_output, held)
        outputs = original(self, scheduler_output, model_runner_output)
        for of_client in outputs.values():
            of_client.outputs = _ready(of_client.outputs, held, self, final)
        for client in clients:  # a message without outputs is sent all the same: LLMEngine.step() waits for one a step
            outputs.setdefault(client, EngineCoreOutputs())
        return outputs

    undo.setattr(Scheduler, "update_from_output", update_from_output)
    return "tokens of requests that want only their last output are sent with it"


@dataclass(slots=True)
class _Held:
    """A request whose outputs wait for its last one."""

    request: Any
    prefill_stats: Any
    """Of its first output."""
    most: int
    """The token with this number is its last,"""
    ends: frozenset[int] | None
    """and so is each of these; None: vLLM looks at each token itself."""


def _ready(outputs: list[Any], held: dict[str, _Held], scheduler: Any, final: Any) -> list[Any]:
    """The outputs to send now."""
    ready = []
    for output in outputs:
        name = output.request_id
        if output.finish_reason is None:
            if name in held:
                continue
            if (request := scheduler.requests.get(name)) is not None and _waits(request, final):
                held[name] = _Held(request, output.prefill_stats, *_end(request, scheduler.max_model_len))
                continue
        elif name in held:
            waiting = held.pop(name)
            output.prefill_stats = waiting.prefill_stats
            output.new_token_ids = list(waiting.request.output_token_ids)
        ready.append(output)
    return ready


def _end(request: Any, longest: int) -> tuple[int, frozenset[int] | None]:
    """Which of its tokens may be a request's last, as vLLM's `check_stop` says; see `_Held`."""
    params = request.sampling_params
    most = min(request.max_tokens, longest - request.num_prompt_tokens)
    if request.structured_output_request or request._block_hasher or params.repetition_detection:
        return most, None
    return most, frozenset((*(params.stop_token_ids or ()), params.eos_token_id))


def _advance_by() -> Callable[..., tuple[Any, set[int]]]:
    """What takes a step's tokens that end nothing to their requests."""
    from vllm.v1.core.sched.async_scheduler import AsyncScheduler
    from vllm.v1.core.sched.scheduler import Scheduler
    from vllm.v1.request import RequestStatus

    running = RequestStatus.RUNNING
    ahead: dict[type, int] = {Scheduler: 0, AsyncScheduler: 1}

    def advance(scheduler: Any, scheduled: Any, sampled: Any, held: dict[str, _Held]) -> tuple[Any, set[int]]:
        """Returns what is left for vLLM's own `update_from_output`, and whose clients' requests went on.

        The loop goes over every sequence in each step; vLLM's takes four times as long, outputs made and dropped.
        """
        placeholders = ahead.get(type(scheduler))
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
            if waiting is not None and waiting.ends is not None:
                request, new = waiting.request, tokens[index[name]]
                said = request._output_token_ids
                if (
                    len(new) == 1
                    and new[0] not in waiting.ends
                    and len(said) + 1 < waiting.most
                    and request.status is running
                    and not request.num_stale_output_tokens
                    and name not in pictures  # the encoder's outputs are let go with one of the first tokens
                ):
                    request.num_in_flight_tokens -= count
                    request.num_output_placeholders -= placeholders
                    said.append(new[0])
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
    "speculative decoding; those that end nothing are noted in one short loop (vLLM 0.28); requests with stop strings "
    "or logprobs and engines with statistics go vLLM's way",
    upstream="vLLM's stream_interval thins outputs out in the client, where each token still arrives by itself",
    remove_when="vLLM's scheduler looks at output_kind",
    check=check,
    install=install,
)
