"""Outputs held back until the last."""

from __future__ import annotations

import inspect
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from scripted_engine import STOP, Engine, everything, params

from mineru_accel import patches
from mineru_accel.patches import State

NAME = "vllm-final-outputs"
FIELDS = (
    *("request_id", "new_token_ids", "new_logprobs", "new_prompt_logprobs_tensors", "pooling_output", "finish_reason"),
    *("stop_reason", "events", "kv_transfer_params", "trace_headers", "prefill_stats", "routed_experts"),
)


@pytest.mark.parametrize("asynchronous", [False, True], ids=["Scheduler", "AsyncScheduler"])
@pytest.mark.parametrize("blocks", [1000, 24], ids=["room", "preempted"])
def test_callers_get_the_same(checkpoint: Path, asynchronous: bool, blocks: int) -> None:
    plain = Engine(checkpoint, asynchronous, blocks)
    expected = everything(plain)
    assert patches.apply(NAME).state is State.ACTIVE
    patched = Engine(checkpoint, asynchronous, blocks)
    assert everything(patched) == expected
    assert sum(patched.looked_at.values()) < sum(plain.looked_at.values())
    looked_at = patched.looked_at["FINAL_ONLY-length"], plain.looked_at["FINAL_ONLY-length"]
    assert looked_at == ((2, 40) if blocks == 1000 else (looked_at[0], 40)) and looked_at[0] < 20
    assert patched.looked_at["FINAL_ONLY-least"] < plain.looked_at["FINAL_ONLY-least"] / 4
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


def test_another_vllms_tokens_are_not_advanced(checkpoint: Path, versions: Any) -> None:
    """0.27's scheduler has not been read."""
    versions(vllm="0.27.1")
    assert patches.apply(NAME).state is State.ACTIVE
    engine = Engine(checkpoint)
    engine.add("a", params())
    assert len(engine.run()["a"]) == 1 and engine.looked_at["a"] == 40


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
    module("vllm.v1.engine", EngineCoreOutput=SimpleNamespace(__struct_fields__=fields), EngineCoreOutputs=None)
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
