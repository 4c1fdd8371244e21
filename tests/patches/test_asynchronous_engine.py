"""vLLM's asynchronous scheduling, which only GPUs have, on the CPU: stand-ins for streams and copies, the rest its own.

Sampled tokens are placeholders in the scheduler, the batch and what penalties read until the next step.
"""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import in_process
import numpy as np
import pytest
import vlm_checkpoints
from PIL import Image

from mineru_accel import patches
from mineru_accel.patches.vllm import decode_steps_bookkeeping, decode_steps_inputs

torch = pytest.importorskip("torch")
pytest.importorskip("vllm")
pytestmark = pytest.mark.slow

NAMES = ("vllm-final-outputs", "vllm-sparse-penalties", "vllm-decode-steps")
PROMPT = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>\nText Recognition:<|im_end|>\n"
PROCESSOR = "mineru_vl_utils.logits_processor.vllm_v1_no_repeat_ngram:VllmV1NoRepeatNGramLogitsProcessor"


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    checkpoint = vlm_checkpoints.random_checkpoint(tmp_path_factory.mktemp("random"))
    from vllm.platforms.cpu import CpuPlatform
    from vllm.v1.outputs import AsyncModelRunnerOutput
    from vllm.v1.worker import gpu_model_runner

    class Copied(AsyncModelRunnerOutput):
        """Tokens that are on their way to the host."""

        def __init__(self, model_runner_output: Any, sampled_token_ids: Any, invalid_req_indices: Any, **_: Any):
            self.output, self.invalid = model_runner_output, invalid_req_indices
            self.sampled_token_ids_cpu = torch.full_like(sampled_token_ids, -7)  # not there before synchronize
            self.async_copy_ready_event = SimpleNamespace(synchronize=self.arrive)
            self.tokens = sampled_token_ids.clone()

        @torch.inference_mode()
        def arrive(self) -> None:
            self.sampled_token_ids_cpu.copy_(self.tokens)

        def get_output(self) -> Any:
            self.arrive()
            self.output.sampled_token_ids = self.tokens.tolist()
            for row in self.invalid:
                self.output.sampled_token_ids[row].clear()
            return self.output

    configure = CpuPlatform.check_and_update_config

    def asynchronous(config: Any) -> None:
        configure(config)
        config.scheduler_config.async_scheduling = True

    runner = gpu_model_runner.GPUModelRunner
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(CpuPlatform, "check_and_update_config", staticmethod(asynchronous))
        patch.setattr(gpu_model_runner, "AsyncGPUModelRunnerOutput", Copied)
        patch.setattr(runner, "_get_or_create_async_output_copy_stream", lambda _: None)
        with in_process.llm(
            checkpoint, max_model_len=1024, max_num_seqs=24, max_num_batched_tokens=128, async_scheduling=True,
            logits_processors=[PROCESSOR], distributed_executor_backend="uni",
        ) as llm:  # fmt: skip
            core = llm.llm_engine.engine_core.engine_core
            assert core.batch_queue_size == 2
            assert core.model_executor.driver_worker.worker.model_runner.use_async_scheduling
            yield llm


def answers(llm: Any) -> list[list[int]]:
    """Crops of several sizes, some read in several steps; answers of all lengths, some with MinerU's penalties."""
    from vllm import SamplingParams
    from vllm.sampling_params import RequestOutputKind

    random = np.random.default_rng(1)
    sizes = [(56, 140), (84, 280), (28, 56), (140, 420), (56, 700)]
    prompts, sampling = [], []
    for i in range(72):
        picture = Image.fromarray(random.integers(0, 255, (*sizes[i % 5], 3), dtype=np.uint8))
        prompts.append({"prompt": PROMPT, "multi_modal_data": {"image": picture}})
        penalties = {"presence_penalty": 1.0, "frequency_penalty": 0.05} if i % 4 else {}
        sampling.append(
            SamplingParams(
                temperature=0, max_tokens=int(random.integers(1, 70)), ignore_eos=bool(i % 3), detokenize=False,
                extra_args={"no_repeat_ngram_size": 100 if i % 7 else 8},
                output_kind=RequestOutputKind.FINAL_ONLY if i % 5 else RequestOutputKind.CUMULATIVE, **penalties,
            )
        )  # fmt: skip
    return [list(out.outputs[0].token_ids) for out in llm.generate(prompts, sampling, use_tqdm=False)]


def test_the_same_answers(engine: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Patched, then vLLM's own again; calls of the patched functions are counted."""
    taken: Counter[str] = Counter()

    def counted(name: str, short: Any) -> Any:
        def call(*args: Any) -> Any:
            found = short(*args)
            taken[name] += found is not NotImplemented
            return found

        return call

    for module, name in (
        (decode_steps_inputs, "mrope_positions"),
        (decode_steps_inputs, "input_ids"),
        (decode_steps_inputs, "no_embeddings"),
        (decode_steps_bookkeeping, "fill_placeholders"),
    ):
        monkeypatch.setattr(module, name, counted(name, getattr(module, name)))
    noted = decode_steps_bookkeeping.np.flatnonzero
    with contextlib.ExitStack() as stack:
        counting = SimpleNamespace(ones=np.ones, flatnonzero=counted("bookkeeping", noted))
        monkeypatch.setattr(decode_steps_bookkeeping, "np", counting)
        for name in NAMES:
            assert patches.apply(name).state is patches.State.ACTIVE
            stack.callback(patches.revert, name)
        patched = answers(engine)
    steps, decoding = taken["mrope_positions"], taken.pop("no_embeddings")
    assert 20 < decoding < steps
    assert steps > 100 and taken["bookkeeping"] == steps and min(taken.values()) > steps - 10, taken
    seen = taken.copy()
    expected = answers(engine)
    assert patched == expected and taken == seen
    assert len({tuple(answer) for answer in expected}) > 60
