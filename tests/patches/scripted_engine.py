"""vLLM's own schedulers and client, with tokens by script instead of a model."""

from __future__ import annotations

import functools
import zlib
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mineru_accel.patches.vllm.final_outputs import HELD

WORDS = "Grüße — naïve 日本 end "
EOS, STOP = 258, 55


@functools.cache
def settings(checkpoint: Path, asynchronous: bool, policy: str) -> Any:
    from vllm.config import CacheConfig, ModelConfig, SchedulerConfig, VllmConfig

    return VllmConfig(
        model_config=ModelConfig(model=str(checkpoint), dtype="float32", max_model_len=256),
        cache_config=CacheConfig(block_size=16, enable_prefix_caching=False),
        scheduler_config=SchedulerConfig(
            max_num_seqs=16, max_num_batched_tokens=64, max_model_len=256, is_encoder_decoder=False,
            async_scheduling=asynchronous, policy=policy,
        ),
    )  # fmt: skip


@functools.cache
def tokenizer(checkpoint: Path) -> Any:
    from vllm.tokenizers import get_tokenizer

    return get_tokenizer(str(checkpoint))


@dataclass
class Engine:
    """An EngineCore's loop, its messages as bytes, and a client for each index."""

    checkpoint: Path
    asynchronous: bool = False
    blocks: int = 1000
    log_stats: bool = False
    policy: str = "fcfs"
    said: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    """Request -> what its caller got."""
    sent: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Request -> how many EngineCoreOutputs."""
    prefilled: dict[str, Any] = field(default_factory=dict)
    """Request -> the PrefillStats that came with its first output."""
    looked_at: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Request -> how many of its tokens the scheduler took by itself."""
    messages: list[tuple[int, int]] = field(default_factory=list)
    """Client and number of outputs, of each."""

    def __post_init__(self) -> None:
        import torch
        from vllm.v1.core.sched.async_scheduler import AsyncScheduler
        from vllm.v1.core.sched.scheduler import Scheduler
        from vllm.v1.engine import EngineCoreOutputs
        from vllm.v1.engine.output_processor import OutputProcessor
        from vllm.v1.kv_cache_interface import FullAttentionSpec, KVCacheConfig, KVCacheGroupSpec
        from vllm.v1.serial_utils import MsgpackDecoder, MsgpackEncoder
        from vllm.v1.structured_output import StructuredOutputManager

        config = settings(self.checkpoint, self.asynchronous, self.policy)
        config.cache_config.num_gpu_blocks = self.blocks
        spec = FullAttentionSpec(block_size=16, num_kv_heads=1, head_size=1, dtype=torch.float32)
        self.scheduler = (AsyncScheduler if self.asynchronous else Scheduler)(
            vllm_config=config,
            kv_cache_config=KVCacheConfig(self.blocks, [], [KVCacheGroupSpec(["layer"], spec)]),
            structured_output_manager=StructuredOutputManager(config),
            block_size=16,
            include_finished_set=True,
            log_stats=self.log_stats,
        )
        take = self.scheduler._update_request_with_output

        def taken(request: Any, *args: Any, **more: Any) -> Any:
            self.looked_at[request.request_id] += 1
            return take(request, *args, **more)

        self.scheduler._update_request_with_output = taken
        self.clients = [OutputProcessor(tokenizer(self.checkpoint), log_stats=self.log_stats) for _ in range(2)]
        self.encoder, self.decoder = MsgpackEncoder(), MsgpackDecoder(EngineCoreOutputs)
        self.scripts: dict[str, Iterator[int]] = {}
        self.ahead: deque[tuple[Any, Any]] = deque()
        self.requests: list[Any] = []

    def script(self, name: str) -> list[int]:
        """What a request will say, from somewhere on; characters are cut between tokens, which are bytes."""
        return tokenizer(self.checkpoint).encode(WORDS * 9)[zlib.crc32(name.encode()) % len(WORDS) :]

    @property
    def held(self) -> dict[str, Any]:
        return vars(self.scheduler).get(HELD, {})

    def add(
        self,
        name: str,
        params: Any,
        tokens: list[int] | None = None,
        client: int = 0,
        prompt: str = "Text Recognition:",
        priority: int = 0,
    ) -> None:
        """Ask for something; ``n`` samples are requests called ``0_name`` and so on."""
        from vllm.v1.engine import EngineCoreRequest
        from vllm.v1.engine.parallel_sampling import ParentRequest
        from vllm.v1.request import Request

        params.update_from_generation_config({}, EOS)
        common = {
            "prompt_token_ids": list(prompt.encode()), "mm_features": None, "pooling_params": None,
            "arrival_time": float(len(self.requests)), "priority": priority, "lora_request": None, "cache_salt": None,
            "data_parallel_rank": None,
        }  # fmt: skip
        asked = EngineCoreRequest(
            request_id=name, sampling_params=params, external_req_id=name, client_index=client, **common
        )
        parent = ParentRequest(asked) if params.n > 1 else None
        for index in range(params.n):
            child, child_params = parent.get_child_info(index) if parent else (name, params)
            one = EngineCoreRequest(
                request_id=child, sampling_params=child_params, external_req_id=name, client_index=client, **common
            )
            self.scripts[child] = iter(tokens or self.script(child))
            self.clients[client].add_request(one, None, parent, index)
            self.requests.append(Request.from_engine_core_request(one, None))
            self.scheduler.add_request(self.requests[-1])

    def abort(self, name: str, client: int = 0) -> None:
        from vllm.v1.request import RequestStatus

        aborted = self.clients[client].abort_requests([name], internal=False)
        self.scheduler.finish_requests(aborted, RequestStatus.FINISHED_ABORTED)

    def step(self) -> None:
        """One step; with asynchronous scheduling the next one is scheduled before this one's tokens are known."""
        while len(self.ahead) < 1 + self.asynchronous and self.scheduler.has_requests():
            scheduled = self.scheduler.schedule()
            self.ahead.append((scheduled, self.sample(scheduled)))
            if not scheduled.total_num_scheduled_tokens:
                break
        for index, outputs in self.scheduler.update_from_output(*self.ahead.popleft()).items():
            received = self.decoder.decode(self.encoder.encode(outputs))
            self.messages.append((index, len(received.outputs)))
            for output in received.outputs:
                self.sent[output.request_id] += 1
                self.prefilled.setdefault(output.request_id, output.prefill_stats)
            assert not self.log_stats or received.scheduler_stats
            for got in self.clients[index].process_outputs(received.outputs).request_outputs:
                said = [
                    (o.index, o.text, list(o.token_ids), o.finish_reason, o.stop_reason, o.logprobs)
                    for o in got.outputs
                ]
                self.said[got.request_id].append([*said, got.finished, got.num_cached_tokens])

    def run(self) -> dict[str, list[Any]]:
        while self.scheduler.has_requests() or self.ahead:
            self.step()
        assert not any(client.request_states for client in self.clients)
        assert self.held == {}
        return dict(self.said)

    def sample(self, scheduled: Any) -> Any:
        """What a model's runner would return: the next token of each script whose prompt is done."""
        import numpy as np
        from vllm.v1.outputs import LogprobsLists, ModelRunnerOutput

        names = list(scheduled.num_scheduled_tokens)
        requests = self.scheduler.requests
        tokens = [[] if requests[name].is_prefill_chunk else [next(self.scripts[name], 0)] for name in names]
        flat = np.array([(row or [0])[0] for row in tokens])
        logprobs = LogprobsLists(
            np.stack([flat, flat], 1), np.full((len(flat), 2), -0.25), np.zeros(len(flat), int), None
        )
        wanted = any(requests[name].sampling_params.num_logprobs is not None for name in names)
        return ModelRunnerOutput(
            names, {name: i for i, name in enumerate(names)}, tokens, logprobs=logprobs if wanted else None
        )


def params(kind: str = "FINAL_ONLY", **more: Any) -> Any:
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    return SamplingParams(**{"max_tokens": 40, "output_kind": RequestOutputKind[kind], **more})


def everything(engine: Engine) -> dict[str, list[Any]]:
    """All kinds together, of two clients, each ended by something else."""
    from vllm.sampling_params import RepetitionDetectionParams

    repeats = RepetitionDetectionParams(max_pattern_size=3, min_pattern_size=2, min_count=4)
    for kind in ("FINAL_ONLY", "CUMULATIVE", "DELTA"):
        engine.add(f"{kind}-length", params(kind))
        engine.add(f"{kind}-one", params(kind, max_tokens=1), client=1)
        engine.add(f"{kind}-eos", params(kind), [*engine.script(kind)[:21], EOS, 65, 66], client=1)
        engine.add(f"{kind}-at-once", params(kind), [EOS])
        engine.add(f"{kind}-token", params(kind, stop_token_ids=[STOP]), [*engine.script(kind)[:9], STOP, 65])
        engine.add(f"{kind}-string", params(kind, stop=["end"]))
        engine.add(f"{kind}-shown", params(kind, stop=["end"], include_stop_str_in_output=True), client=1)
        engine.add(f"{kind}-logprobs", params(kind, logprobs=1))
        engine.add(f"{kind}-samples", params(kind, n=3, max_tokens=23))
        engine.add(f"{kind}-numbers", params(kind, detokenize=False))
        engine.add(f"{kind}-special", params(kind, skip_special_tokens=False, stop_token_ids=[STOP]), [265, 266, STOP])
        engine.add(f"{kind}-least", params(kind, min_tokens=12), [*engine.script(kind)[:7], EOS, *engine.script(kind)])
        engine.add(f"{kind}-again", params(kind, repetition_detection=repeats), [70, 71] * 20, client=1)
        engine.add(f"{kind}-longest", params(kind, max_tokens=1000), [70] * 1000)
    return engine.run()
