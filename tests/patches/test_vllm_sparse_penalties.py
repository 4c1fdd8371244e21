"""Penalties of output tokens alone, against vLLM's own, bit for bit."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import seeded

from mineru_accel import patches

torch = pytest.importorskip("torch")
pytest.importorskip("vllm")

VOCABULARY = 331
SAID: dict[str, list[list[int]]] = {
    "nothing yet": [[], [], []],
    "some": [[5, 7, 5, 5, 330, 0], [], [0], [330] * 4],
    "placeholders": [[3, 3, -1], [-1], [9, 2, 9]],
    "padding": [[VOCABULARY, 2], [1, VOCABULARY]],
    "all of it": [list(range(VOCABULARY)) * 2, [1], [2, 2]],
}


@pytest.fixture
def dense() -> Any:
    """vLLM's own, as it was imported."""
    from vllm.v1.sample.ops.penalties import apply_all_penalties

    return apply_all_penalties


def about(rows: int, prompt: Any, presence: float = 1.0, frequency: float = 0.05) -> Any:
    """What the sampler is told; every second row has no penalties."""
    on = (torch.arange(rows) % 2 == 0).float()
    return SimpleNamespace(
        no_penalties=False, prompt_token_ids=prompt, presence_penalties=presence * on,
        frequency_penalties=frequency * on, repetition_penalties=torch.ones(rows),
        spec_token_ids=[[] for _ in range(rows)],
    )  # fmt: skip


@pytest.mark.parametrize("said", SAID.values(), ids=SAID.keys())
@pytest.mark.parametrize(("presence", "frequency"), [(1.0, 0.05), (1.0, 0.005), (0.0, 1.7), (-0.3, 0.0)])
def test_logits_are_the_same(said: list[list[int]], presence: float, frequency: float, dense: Any) -> None:
    from vllm.v1.sample.sampler import Sampler

    assert patches.apply("vllm-sparse-penalties").state is patches.State.ACTIVE
    rows = len(said)
    logits = torch.randn(rows, VOCABULARY, generator=torch.Generator().manual_seed(rows)) * 7
    logits[0, 3] = float("-inf")  # banned by MinerU's logits processor
    prompt = torch.randint(0, VOCABULARY, (rows, 9))
    told = about(rows, prompt, presence, frequency)
    expected = dense(
        logits.clone(), prompt, told.presence_penalties, told.frequency_penalties, told.repetition_penalties, said
    )
    told.prompt_token_ids = torch.empty((rows, 0), dtype=torch.int64)
    got = Sampler.apply_penalties(logits.clone(), told, said)
    assert torch.equal(got, expected)
    assert said == SAID["nothing yet"] or not torch.equal(got, logits)


@pytest.mark.parametrize("drafts", [False, True])
def test_lists_that_grow_move_and_are_cut(drafts: bool, dense: Any) -> None:
    """As vLLM's do: placeholders become tokens, rows change places, requests come back with another list."""
    from vllm.v1.sample.sampler import Sampler

    patches.apply("vllm-sparse-penalties")
    random = seeded.generator()
    lists: list[list[int]] = [[4]]
    for step in range(120):
        lists = [said for said in lists if random.random() > 0.03 or step == 0]
        lists += [[] for _ in range(random.integers(0, 3))]
        random.shuffle(lists)
        for i, said in enumerate(lists):
            if said and said[-1] == -1 and random.random() > 0.1:
                said[-1] = int(random.integers(0, 9))
            if said and said[-1] == -1:
                continue
            if random.random() < 0.05:
                lists[i] = said = said.copy()
            if random.random() < 0.05 or (drafts and random.random() < 0.3):
                del said[int(random.integers(0, len(said) + 1)) :]
                if not drafts:  # it is looked at before it grows again
                    continue
            said += random.integers(0, VOCABULARY, random.integers(0, 2)).tolist()
            if drafts:
                said += random.integers(0, VOCABULARY, random.integers(0, 3)).tolist()
            if random.random() < 0.5:
                said.append(-1)
        told = about(len(lists), torch.empty((len(lists), 0), dtype=torch.int64))
        told.spec_token_ids = [[1]] if drafts and step == 0 else [[]]
        logits = torch.randn(len(lists), VOCABULARY)
        prompt = torch.full((len(lists), 1), VOCABULARY)
        args = (prompt, told.presence_penalties, told.frequency_penalties, told.repetition_penalties, lists)
        if lists:
            assert torch.equal(Sampler.apply_penalties(logits.clone(), told, lists), dense(logits.clone(), *args))


def test_requests_with_repetition_penalties_go_vllms_way(dense: Any) -> None:
    from vllm.v1.sample.sampler import Sampler

    patches.apply("vllm-sparse-penalties")
    prompt = torch.tensor([[1, 2], [3, VOCABULARY]])
    told = about(2, prompt)
    told.repetition_penalties = torch.tensor([1.3, 1.0])
    said = [[7, 7], [8]]
    logits = torch.randn(2, VOCABULARY)
    args = (prompt, told.presence_penalties, told.frequency_penalties, told.repetition_penalties, said)
    assert torch.equal(Sampler.apply_penalties(logits.clone(), told, said), dense(logits.clone(), *args))
    told.no_penalties = True
    assert Sampler.apply_penalties(logits, told, said) is logits


def test_a_list_that_changed_while_steps_went_vllms_way(dense: Any) -> None:
    """As that of a session does, which vLLM empties in place."""
    from vllm.v1.sample.sampler import Sampler

    patches.apply("vllm-sparse-penalties")
    said, logits = [[1, 2, 3]], torch.randn(1, VOCABULARY)
    for prompt in (torch.empty((1, 0), dtype=torch.int64), torch.tensor([[9]]), torch.empty((1, 0), dtype=torch.int64)):
        told = about(1, prompt)
        args = (told.presence_penalties, told.frequency_penalties, told.repetition_penalties, said)
        expected = dense(logits.clone(), torch.full((1, 1), VOCABULARY), *args)
        assert torch.equal(Sampler.apply_penalties(logits.clone(), told, said), expected)
        said[0][:2] = [7, 8]


@pytest.mark.parametrize("repetition", [1.0, 1.2])
def test_prompts_go_to_the_sampler_only_if_it_reads_them(repetition: float) -> None:
    """vLLM's own batch of one MinerU request."""
    from vllm import SamplingParams
    from vllm.v1.worker.gpu_input_batch import CachedRequestState, InputBatch

    patches.apply("vllm-sparse-penalties")
    batch = InputBatch(
        max_num_reqs=2, max_model_len=64, max_num_batched_tokens=64, device=torch.device("cpu"),
        vocab_size=VOCABULARY, block_sizes=[16], kernel_block_sizes=[16], max_num_blocks_per_req=[4],
    )  # fmt: skip
    params = SamplingParams(presence_penalty=1.0, frequency_penalty=0.05, repetition_penalty=repetition)
    state = CachedRequestState(
        req_id="a", prompt_token_ids=[1, 2, 3], mm_features=[], sampling_params=params, generator=None,
        block_ids=([0],), num_computed_tokens=3, output_token_ids=[4],
    )  # fmt: skip
    batch.add_request(state)
    batch.refresh_metadata()
    assert batch.sampling_metadata.prompt_token_ids.shape == (1, 0 if repetition == 1.0 else 3)
