"""Outputs held back until the last: vLLM's own schedulers and client, with tokens by script instead of a model."""

from __future__ import annotations

import functools
import inspect
import zlib
from collections import defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import vlm_checkpoints as tiny

from mineru_accel import patches
from mineru_accel.patches import State

NAME = "vllm-final-outputs"
FIELDS = (
    *("request_id", "new_token_ids", "new_logprobs", "new_prompt_logprobs_tensors", "pooling_output", "finish_reason"),
    *("stop_reason", "events", "kv_transfer_params", "trace_headers", "prefill_stats", "routed_experts"),
)
WORDS = "Grüße — naïve 日本 end "
EOS, STOP = 258, 55


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny Qwen2-VL whose tokens are bytes."""
    pytest.importorskip("vllm")
    return tiny.random_checkpoint(tmp_path_factory.mktemp("random"))


@functools.cache
def settings(checkpoint: Path, asynchronous: bool) -> Any:
    from vllm.config import CacheConfig, ModelConfig, SchedulerConfig, VllmConfig

    return VllmConfig(
        model_config=ModelConfig(model=str(checkpoint), dtype="float32", max_model_len=256),
        cache_config=CacheConfig(block_size=16, enable_prefix_caching=False),
        scheduler_config=SchedulerConfig(
            max_num_seqs=16, max_num_batched_tokens=64, max_model_len=256, is_encoder_decoder=False,
            async_scheduling=asynchronous,
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
    said: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))
    """Request -> what its caller got."""
    sent: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    """Request -> how many EngineCoreOutputs."""
    prefilled: dict[str, Any] = field(default_factory=dict)
    """Request -> the PrefillStats that came with its first output."""
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

        config = settings(self.checkpoint, self.asynchronous)
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
        return vars(self.scheduler).get("_accel_held", {})

    def add(self, name: str, params: Any, tokens: list[int] | None = None, client: int = 0) -> None:
        """Ask for something; ``n`` samples are requests called ``0_name`` and so on."""
        from vllm.v1.engine import EngineCoreRequest
        from vllm.v1.engine.parallel_sampling import ParentRequest
        from vllm.v1.request import Request

        params.update_from_generation_config({}, EOS)
        common = {
            "prompt_token_ids": list(b"Text Recognition:"), "mm_features": None, "pooling_params": None,
            "arrival_time": 0.0, "lora_request": None, "cache_salt": None, "data_parallel_rank": None,
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
        engine.add(f"{kind}-longest", params(kind, max_tokens=1000), [70] * 1000)
    return engine.run()


@pytest.mark.parametrize("asynchronous", [False, True], ids=["Scheduler", "AsyncScheduler"])
@pytest.mark.parametrize("blocks", [1000, 24], ids=["room", "preempted"])
def test_callers_get_the_same(checkpoint: Path, asynchronous: bool, blocks: int) -> None:
    plain = Engine(checkpoint, asynchronous, blocks)
    expected = everything(plain)
    assert patches.apply(NAME).state is State.ACTIVE
    patched = Engine(checkpoint, asynchronous, blocks)
    assert everything(patched) == expected
    assert (blocks == 1000) != any(request.num_preemptions for request in patched.requests)
    assert patched.prefilled == plain.prefilled and None not in plain.prefilled.values()
    ends = {name: got[-1][0] for name, got in expected.items()}
    assert ends["FINAL_ONLY-eos"][3] == ends["FINAL_ONLY-token"][3] == ends["FINAL_ONLY-string"][3] == "stop"
    assert ends["FINAL_ONLY-token"][4] == STOP and "end" in ends["FINAL_ONLY-shown"][1]
    assert len(ends["FINAL_ONLY-length"][2]) == 40 and "ü" in ends["FINAL_ONLY-length"][1]
    streamed = ("string", "shown", "logprobs")
    for name, count in plain.sent.items():
        once = "FINAL_ONLY" in name and not name.endswith(streamed)
        assert patched.sent[name] == (1 if once else count), name
    assert plain.sent["FINAL_ONLY-length"] == plain.sent["2_DELTA-samples"] + 17 == 40
    assert len(patched.messages) == len(plain.messages)  # LLMEngine.step() waits for them


def test_with_statistics_nothing_is_held(checkpoint: Path) -> None:
    """Times to the first token would be wrong."""
    patches.apply(NAME)
    engine = Engine(checkpoint, log_stats=True)
    engine.add("a", params())
    while engine.scheduler.has_unfinished_requests():
        for outputs in engine.scheduler.update_from_output(s := engine.scheduler.schedule(), engine.sample(s)).values():
            assert len(outputs.outputs) == 1 and outputs.scheduler_stats
    assert engine.held == {}


@pytest.mark.parametrize("asynchronous", [False, True], ids=["Scheduler", "AsyncScheduler"])
def test_what_is_aborted_leaves_nothing(checkpoint: Path, asynchronous: bool) -> None:
    """Not even for a request that takes over the name at once."""
    patches.apply(NAME)
    engine = Engine(checkpoint, asynchronous)
    for name in ("a", "b", "c"):
        engine.add(name, params())
    for _ in range(7):
        engine.step()
    assert set(engine.held) == {"a", "b", "c"} and engine.sent == {}
    engine.abort("b")
    engine.abort("c")
    if asynchronous:  # what is under way has the old name
        engine.step()
    engine.add("c", params(max_tokens=3), [88, 89, 90])
    engine.step()
    assert "b" not in engine.held or asynchronous
    said = engine.run()
    assert [got[0][2] for got in said["c"]] == [[88, 89, 90]] and set(said) == {"a", "c"}
    assert said["a"][0][0][2] == engine.script("a")[:40]


def test_an_error_has_what_was_said_before(checkpoint: Path) -> None:
    from vllm.v1.request import RequestStatus

    said = []
    for patched in (False, True):
        if patched:
            patches.apply(NAME)
        engine = Engine(checkpoint)
        engine.add("a", params())
        for _ in range(5):
            engine.step()
        assert len(engine.held) == patched
        engine.scheduler.grammar_compile_error_reqs.add("a")
        said.append(engine.run())
        assert engine.requests[0].status is RequestStatus.FINISHED_ERROR
    assert said[0] == said[1] and len(said[0]["a"][0][0][2]) == 6


@pytest.mark.parametrize("setting", ["enable_return_routed_experts", "return_sampling_mask"])
def test_what_each_token_brings_along_is_not_held(checkpoint: Path, setting: str) -> None:
    patches.apply(NAME)
    engine = Engine(checkpoint)
    engine.add("a", params())
    scheduled = engine.scheduler.schedule()
    engine.ahead.append((scheduled, engine.sample(scheduled)))
    setattr(engine.scheduler, setting, True)
    engine.step()
    assert engine.sent == {"a": 1} and engine.held == {}


@pytest.mark.parametrize(("more", "fields"), [(", more", FIELDS), ("", (*FIELDS, "more"))])
def test_another_scheduler_is_left_alone(module: Any, versions: Any, more: str, fields: tuple[str, ...]) -> None:
    space: dict[str, Any] = {}
    exec(f"class Scheduler:\n def update_from_output(self, scheduler_output, model_runner_output{more}): pass", space)
    before = space["Scheduler"].update_from_output
    module("vllm.sampling_params", RequestOutputKind=SimpleNamespace(FINAL_ONLY=2))
    module("vllm.v1.core.sched.scheduler", Scheduler=space["Scheduler"])
    module("vllm.v1.engine", EngineCoreOutput=SimpleNamespace(__struct_fields__=fields))
    versions(vllm="0.28.1")
    status = patches.apply(NAME)
    assert str(status) == "not applicable, because this vLLM's scheduler says more of a request"
    assert space["Scheduler"].update_from_output is before
    versions(vllm="0.26.0")
    assert str(patches.apply(NAME)).startswith("not applicable, because it is for vllm ")


def test_reverted_it_is_vllms_again(checkpoint: Path) -> None:
    from vllm.v1.core.sched.scheduler import Scheduler

    before = inspect.getattr_static(Scheduler, "update_from_output")
    patches.apply(NAME)
    assert Scheduler.update_from_output is not before
    patches.revert(NAME)
    assert inspect.getattr_static(Scheduler, "update_from_output") is before
