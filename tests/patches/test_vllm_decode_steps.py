"""Decoding sequences scheduled and prepared together: the same blocks, windows and positions as vLLM's own."""

from __future__ import annotations

import copy
import inspect
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import seeded
from scripted_engine import Engine, everything, params

from mineru_accel import patches
from mineru_accel.patches import State
from mineru_accel.patches.vllm import decode_steps_scheduler

NAME = "vllm-decode-steps"


def recorded(engine: Engine) -> list[Any]:
    """A list that fills up with each step's schedule and blocks."""
    seen: list[Any] = []
    schedule = engine.scheduler.schedule

    def note() -> Any:
        out = schedule()
        fields = dict(vars(out))
        cached = copy.deepcopy(vars(fields.pop("scheduled_cached_reqs")))
        new = [(r.req_id, r.block_ids, r.num_computed_tokens) for r in fields.pop("scheduled_new_reqs")]
        state = [(r.request_id, r.num_computed_tokens, r.num_output_placeholders, r.num_in_flight_tokens,
                  r.is_prefill_chunk, r.status) for r in engine.scheduler.running]  # fmt: skip
        seen.append([copy.deepcopy(fields), list(fields["num_scheduled_tokens"]), cached, new, state,
                     set(engine.scheduler.prev_step_scheduled_req_ids)])  # fmt: skip
        return out

    engine.scheduler.schedule = note
    return seen


def blocks_of(engine: Engine) -> list[Any]:
    """All outputs and schedules until every request is done."""
    seen = recorded(engine)
    return [everything(engine), seen]


@pytest.fixture
def together(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Numbers of sequences that were scheduled together, one per step in which any were."""
    counts: list[int] = []
    found = decode_steps_scheduler.find_decoding

    def counted(scheduler: Any) -> Any:
        result = found(scheduler)
        if result is not None:
            counts.append(len(result[1]))
        return result

    monkeypatch.setattr(decode_steps_scheduler, "find_decoding", counted)
    return counts


@pytest.mark.parametrize("asynchronous", [False, True], ids=["Scheduler", "AsyncScheduler"])
@pytest.mark.parametrize("blocks", [1000, 24], ids=["room", "preempted"])
def test_the_same_blocks(checkpoint: Path, asynchronous: bool, blocks: int, together: list[int]) -> None:
    expected = blocks_of(Engine(checkpoint, asynchronous, blocks))
    assert patches.apply(NAME).state is State.ACTIVE
    engine = Engine(checkpoint, asynchronous, blocks)
    assert blocks_of(engine) == expected
    assert (blocks == 1000) != any(request.num_preemptions for request in engine.requests)
    assert len(together) > 50 if blocks == 1000 else together


@pytest.mark.parametrize("asynchronous", [False, True], ids=["Scheduler", "AsyncScheduler"])
def test_the_same_steps(checkpoint: Path, asynchronous: bool, together: list[int]) -> None:
    """Whatever comes and goes: prompts read in pieces, answers of all lengths, some aborted, pauses, scarce blocks."""
    from vllm.v1.core.sched.interface import PauseState

    seeds = np.random.default_rng().integers(0, 1 << 31, 12)
    for seed in seeds.tolist():
        found = []
        for name in ("none", NAME):
            patches.revert(NAME) if name == "none" else patches.apply(NAME)
            random = np.random.default_rng(seed)
            blocks, policy = int(random.choice([30, 60, 1000])), str(random.choice(["fcfs", "priority"]))
            engine = Engine(checkpoint, asynchronous, blocks, policy=policy)
            seen = recorded(engine)
            for i in range(60):
                for j in range(int(random.integers(0, 3))):
                    long = random.random() < 0.1  # until the model's context is full
                    more = params(max_tokens=1000 if long else int(random.integers(1, 60)), ignore_eos=True)
                    prompt, first = "x" * int(random.choice([3, 17, 150])), int(random.integers(3))
                    engine.add(f"r{i}-{j}", more, prompt=prompt, priority=first)
                if random.random() < 0.1 and engine.scheduler.running:
                    engine.abort(engine.scheduler.running[random.integers(len(engine.scheduler.running))].request_id)
                engine.scheduler.set_pause_state(PauseState(int(random.choice([0, 0, 0, 0, 0, 1, 2]))))
                if engine.scheduler.has_requests() or engine.ahead:
                    engine.step()
            engine.scheduler.set_pause_state(PauseState.UNPAUSED)
            found.append([engine.run(), seen])
        assert found[0] == found[1], f"seed {seed}"
    assert len(together) > 100


def test_room_in_the_last_block_is_not_looked_for(checkpoint: Path) -> None:
    patches.apply(NAME)
    engine = Engine(checkpoint)
    engine.add("a", params())  # 17 tokens of prompt, 40 more, 16 a block
    asked = []
    coordinator = engine.scheduler.kv_cache_manager.coordinator
    look = coordinator.allocate_new_blocks
    coordinator.allocate_new_blocks = lambda *args, **more: asked.append(look(*args, **more)) or asked[-1]
    engine.run()
    assert [len(found[0]) for found in asked] == [2, 1, 1]


@pytest.mark.parametrize("other", [{"num_lookahead_tokens": 2}, {"delay_cache_blocks": True}, {"enable_caching": True}])
def test_other_calls_are_vllms(checkpoint: Path, other: dict[str, Any]) -> None:
    patches.apply(NAME)
    engine = Engine(checkpoint)
    engine.add("a", params())
    engine.step()
    manager, request = engine.scheduler.kv_cache_manager, engine.requests[0]
    assert manager.allocate_slots(request, 1, num_lookahead_tokens=0).get_block_ids(allow_none=True) is None
    manager.enable_caching = other.pop("enable_caching", False)
    manager.coordinator.remove_skipped_blocks = None  # is what vLLM's own asks first
    with pytest.raises(TypeError, match="not callable"):
        manager.allocate_slots(request, 1, **other)


def test_the_same_window(checkpoint: Path) -> None:
    from vllm.multimodal.utils import get_mm_features_in_window
    from vllm.v1.core.sched import scheduler
    from vllm.v1.worker import gpu_model_runner

    patches.apply(NAME)
    random = seeded.generator()
    for _ in range(3000):
        ends = np.sort(random.choice(40, 2 * random.integers(0, 4), replace=False)).tolist()
        places = [SimpleNamespace(offset=a, length=b - a) for a, b in zip(ends[::2], ends[1::2], strict=True)]
        features = [SimpleNamespace(mm_position=place) for place in places]
        start, count = random.integers(0, 42), random.integers(0, 8)
        expected = get_mm_features_in_window(features, start, start + count)
        for module in (scheduler, gpu_model_runner):
            assert module.get_mm_features_in_window(features, start=start, end=start + count) == expected


def both(name: str, owner: str = "GPUModelRunner", module: str = "vllm.v1.worker.gpu_model_runner") -> tuple[Any, Any]:
    """vLLM's own method, and ours in its place from now on."""
    home = getattr(pytest.importorskip(module), owner)
    original = getattr(home, name)
    assert patches.apply(NAME).state is State.ACTIVE
    return original, getattr(home, name)


@pytest.fixture
def unpinned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a GPU nothing can be pinned."""
    monkeypatch.setattr(pytest.importorskip("vllm.v1.worker.gpu_model_runner"), "PIN_MEMORY", False)


@pytest.mark.parametrize("drafts", [False, True])
def test_the_same_positions(drafts: bool) -> None:
    """Prompts in one piece and in several, sequences that decode, and where drafts are, several tokens at once."""
    torch = pytest.importorskip("torch")
    methods = both("_calc_mrope_positions")
    random = seeded.generator()
    for _ in range(200):
        count = int(random.integers(1, 40))
        prompts = random.integers(1, 30, count)
        reading = random.random(count) < random.random()
        computed = np.where(reading, random.integers(0, prompts), prompts + random.integers(0, 50, count))
        scheduled = np.where(reading, random.integers(1, prompts - np.minimum(computed, prompts - 1) + 1), 1)
        if drafts:
            scheduled = random.integers(1, 9, count)
        requests = {
            f"r{i}": SimpleNamespace(
                prompt_token_ids=[0] * int(prompts[i]), prompt_embeds=None,
                mrope_positions=torch.from_numpy(random.integers(0, 1000, (3, int(prompts[i])))),
                mrope_position_delta=int(random.integers(-60, 60)),
            )
            for i in range(count)
        }  # fmt: skip
        names = list(requests)
        batch = SimpleNamespace(
            req_ids=names,
            num_computed_tokens_cpu=np.append(computed, 7).astype(np.int32),  # rows beyond the batch are there
            num_prompt_tokens=np.append(prompts, 7).astype(np.int32),
        )
        step = SimpleNamespace(num_scheduled_tokens=dict(zip(names, scheduled.tolist(), strict=True)))
        found = []
        for calculate in methods:
            buffer = torch.full((3, int(scheduled.sum()) + 3), -(10**6))
            positions = SimpleNamespace(cpu=buffer, np=buffer.numpy())
            calculate(SimpleNamespace(input_batch=batch, requests=requests, mrope_positions=positions), step)
            found.append(buffer)
        assert torch.equal(*found) and (found[0][:, -3:] == -(10**6)).all() and (found[0][:, :-3] > -(10**6)).all()


@pytest.mark.parametrize("kind", ["mixed", "same", "new"])
@pytest.mark.usefixtures("unpinned")
def test_the_same_tokens(kind: str) -> None:
    """Tokens that only the GPU has, of sequences that moved within the batch, between prompts that the host has."""
    torch = pytest.importorskip("torch")
    methods = both("_prepare_input_ids")
    random = seeded.generator()
    for _ in range(100):
        count = int(random.integers(1, 30))
        sampled = torch.from_numpy(random.integers(0, 999, (count + 5, 1)).astype(np.int32))
        before = random.permutation(count + 5)[:count]
        before[random.random(count) < 0.3] = -1
        if kind != "mixed":
            before = np.arange(count) if kind == "same" else np.full(count, -1)
        scheduled = np.where(before < 0, random.integers(1, 9, count), 1)
        total = int(scheduled.sum())
        host = torch.from_numpy(random.integers(1000, 1999, total + 4).astype(np.int32))
        found = []
        for prepare in methods:
            ids = SimpleNamespace(gpu=torch.full((total + 4,), -1, dtype=torch.int32))
            ids.copy_to_gpu = lambda n, ids=ids, host=host: ids.gpu[:n].copy_(host[:n])
            runner = SimpleNamespace(
                input_batch=SimpleNamespace(
                    prev_sampled_token_ids=sampled, req_ids=[f"r{i}" for i in range(count)]
                ),
                prev_positions=SimpleNamespace(np=np.append(before, 3).astype(np.int64)),
                input_ids=ids, device=torch.device("cpu"), enable_prompt_embeds=False, prev_num_spec_tokens=0,
                _pp_recv_work=None, _draft_token_ids=None,
            )  # fmt: skip
            step = SimpleNamespace(scheduled_spec_decode_tokens={})
            prepare(runner, step, count, total, np.cumsum(scheduled))
            found.append(ids.gpu)
        assert torch.equal(*found) and (found[0][:total] >= 0).all() and (found[0][total:] == -1).all()


@pytest.mark.parametrize("reading", [0.0, 0.2])
@pytest.mark.usefixtures("unpinned")
def test_the_same_pictures(reading: float) -> None:
    """None where all prompts have been read; where one has not, vLLM's own looks."""
    torch = pytest.importorskip("torch")
    methods = both("_gather_mm_embeddings")
    random = seeded.generator()
    for _ in range(50):
        count = int(random.integers(1, 30))
        names = [f"r{i}" for i in range(count)]
        prompts = random.integers(10, 30, count)
        computed = np.where(random.random(count) < reading, random.integers(0, prompts), prompts + 3)
        place = SimpleNamespace(offset=2, length=6, is_embed=None)
        place.get_embeds_indices_in_range = lambda start, end: (start, end)
        feature = SimpleNamespace(mm_position=place, identifier="picture", modality="image")
        runner = SimpleNamespace(
            input_batch=SimpleNamespace(
                req_ids=names, num_reqs=count, num_computed_tokens_cpu=np.append(computed, 0),
                num_prompt_tokens=np.append(prompts, 9),
            ),
            requests={
                name: SimpleNamespace(num_computed_tokens=int(c), mm_features=[feature])
                for name, c in zip(names, computed, strict=True)
            },
            is_multimodal_pruning_enabled=False, uses_mrope=True,
            _get_encoder_output_from_cache=lambda _: torch.arange(6.0)[:, None],
        )  # fmt: skip
        scheduled = dict.fromkeys(names, 1)
        step = SimpleNamespace(num_scheduled_tokens=scheduled, total_num_scheduled_tokens=count)
        expected, found = (gather(runner, step) for gather in methods)
        assert [e.tolist() for e in found[0]] == [e.tolist() for e in expected[0]]
        assert torch.equal(found[1], expected[1]) and found[1].dtype == torch.bool
        assert reading or not found[0]


def noted_batch(random: np.random.Generator, longest: int = 60) -> Any:
    """A model runner's batch: sequences of several lengths, of which some still read their prompts."""
    torch = pytest.importorskip("torch")
    count = int(random.integers(1, 30))
    names = [f"r{i}" for i in range(count)]
    lengths = random.integers(1, longest, count).astype(np.int32)
    requests = {name: SimpleNamespace(output_token_ids=random.integers(0, 9, 3).tolist()) for name in names}
    batch = SimpleNamespace(
        num_reqs=count, req_ids=names, req_id_to_index={name: i for i, name in enumerate(names)}, generators={},
        prev_sampled_token_ids=None, prev_req_id_to_index=None, num_tokens_no_spec=np.append(lengths, 5),
        token_ids_cpu=random.integers(0, 9, (count + 1, 64)), is_token_ids=np.zeros((count + 1, 64), bool),
    )  # fmt: skip
    runner = SimpleNamespace(
        input_batch=batch, requests=requests, use_async_scheduling=True, max_model_len=64,
        discard_request_mask=SimpleNamespace(np=np.append(random.random(count) < 0.3, True)),
        _get_prompt_logprobs_dict=lambda *_: {}, routed_experts_initialized=False,
    )  # fmt: skip
    sampled = torch.from_numpy(random.integers(0, 999, (count, 1)).astype(np.int32))
    return runner, SimpleNamespace(sampled_token_ids=sampled, logprobs_tensors=None)


def test_the_same_notes() -> None:
    """What stands for tokens that only the GPU knows, where prompts are read in several pieces, too."""
    torch = pytest.importorskip("torch")
    original, ours = both("_bookkeeping_sync")
    random = seeded.generator()
    scheduled = SimpleNamespace(num_scheduled_tokens={})
    for _ in range(100):
        runner, sampled = noted_batch(random)
        other = copy.deepcopy(runner)
        expected = original(runner, scheduled, sampled, None, torch.zeros(1), 1)
        found = ours(other, scheduled, sampled, None, torch.zeros(1), 1)
        assert found == expected and found[-1] == np.flatnonzero(runner.discard_request_mask.np[:-1]).tolist()
        assert other.requests == runner.requests
        a, b = vars(runner.input_batch), vars(other.input_batch)
        assert a.pop("prev_sampled_token_ids") is b.pop("prev_sampled_token_ids") is sampled.sampled_token_ids
        for name in a:
            assert np.array_equal(a[name], b[name]), name
    runner, sampled = noted_batch(random)
    runner.input_batch.num_tokens_no_spec[:] = 64
    runner.discard_request_mask.np[:] = False
    with pytest.raises(AssertionError, match="65"):
        ours(runner, scheduled, sampled, None, torch.zeros(1), 1)


@pytest.mark.parametrize("drafts", [False, True])
def test_the_same_known_tokens(drafts: bool) -> None:
    """Placeholders of sequences that stay, came, moved, or lost tokens; with drafts several, and fewer tokens."""
    torch = pytest.importorskip("torch")
    methods = both("update_async_output_token_ids", "InputBatch", "vllm.v1.worker.gpu_input_batch")
    random = seeded.generator()
    for _ in range(200):
        count = int(random.integers(1, 30))
        names = [f"r{i}" for i in range(count)]
        before = {f"r{i}": int(row) for row, i in enumerate(random.permutation(count + 5)) if row < count}
        said = [
            [*range(n), *[-1] * k] for n, k in zip(*random.integers(0, (4, 2 + 2 * drafts), (count, 2)).T, strict=True)
        ]
        wide = 1 + 2 * drafts
        tokens = random.integers(0, 999, (count, wide))
        tokens[np.arange(wide) > random.integers(-1, wide, (count, 1))] = -1
        results, synchronized = [], []
        for update in methods:
            batch = SimpleNamespace(
                sampling_metadata=SimpleNamespace(output_token_ids=copy.deepcopy(said)), req_ids=names,
                sampled_token_ids_cpu=torch.from_numpy(tokens.copy()), prev_req_id_to_index=before,
                async_copy_ready_event=SimpleNamespace(synchronize=partial(synchronized.append, 1)),
            )  # fmt: skip
            update(batch)
            results.append(batch.sampling_metadata.output_token_ids)
        assert results[0] == results[1]
        waited = any(names[i] in before and row and row[-1] == -1 for i, row in enumerate(said))
        assert drafts or bool(synchronized) == waited


def test_a_function_that_fails_is_vllms_from_then_on(caplog: pytest.LogCaptureFixture) -> None:
    """An error that only a GPU shows must not end the engine."""
    module = pytest.importorskip("vllm.v1.worker.gpu_model_runner")
    asked = []
    with pytest.MonkeyPatch.context() as undo:
        undo.setattr(
            module.GPUModelRunner,
            "_calc_mrope_positions",
            lambda self, scheduler_output: asked.append(scheduler_output),
        )
        patches.apply(NAME)
        for _ in range(2):
            module.GPUModelRunner._calc_mrope_positions(SimpleNamespace(), "step")
        patches.revert(NAME)
    assert asked == ["step", "step"]
    assert [record.levelname for record in caplog.records if "from now on" in record.message] == ["WARNING"]


def test_scheduling_that_fails_is_vllms_from_then_on(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    expected = blocks_of(Engine(checkpoint))
    monkeypatch.setattr(decode_steps_scheduler, "is_plain", lambda scheduler: scheduler.no_such_thing)
    patches.apply(NAME)
    assert blocks_of(Engine(checkpoint)) == expected
    assert [r.message for r in caplog.records if "from now on" in r.message] == [
        "vllm-decode-steps: vLLM's own Scheduler.schedule from now on"
    ]


def test_another_vllm_is_left_alone(module: Any, versions: Any) -> None:
    space: dict[str, Any] = {}
    exec("class KVCacheManager:\n def allocate_slots(self, request, tokens): pass", space)
    before = space["KVCacheManager"].allocate_slots
    module("vllm.v1.core.kv_cache_manager", KVCacheManager=space["KVCacheManager"])
    exec("class Scheduler:\n def schedule(self, throttle_prefills=False): pass", space)
    module("vllm.v1.core.sched.async_scheduler", AsyncScheduler=space["Scheduler"])
    module("vllm.v1.core.sched.scheduler", Scheduler=space["Scheduler"])
    module("vllm.v1.worker.gpu_input_batch", InputBatch=SimpleNamespace())
    module("vllm.v1.worker.gpu_model_runner", GPUModelRunner=SimpleNamespace())
    versions(vllm="0.28.0")
    assert str(patches.apply(NAME)) == "not applicable, because this vLLM's KVCacheManager.allocate_slots is another"
    assert space["KVCacheManager"].allocate_slots is before
    versions(vllm="0.28.1")
    assert str(patches.apply(NAME)).startswith("not applicable, because it is for vllm ")


def test_reverted_it_is_vllms_again() -> None:
    manager = pytest.importorskip("vllm.v1.core.kv_cache_manager").KVCacheManager
    before = inspect.getattr_static(manager, "allocate_slots")
    patches.apply(NAME)
    assert manager.allocate_slots is not before
    patches.revert(NAME)
    assert inspect.getattr_static(manager, "allocate_slots") is before
