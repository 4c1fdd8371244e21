"""vLLM's own EncoderCudaGraphManager with our patches, its graphs recorded and replayed on the CPU.

One engine in this process serves all tests here. Attention is a plain one over the sequences of cu_seqlens that leaves
rows beyond the last sequence unwritten (NaN), as flash attention does.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterable, Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import cuda_graphs
import in_process
import numpy as np
import pytest
import vlm_checkpoints
from PIL import Image

from mineru_accel import patches
from mineru_accel.hardware import accelerator
from mineru_accel.patches.vllm import uint8_pixels_patch_embed, vit_graphs

torch = pytest.importorskip("torch")
pytest.importorskip("vllm")
pytestmark = pytest.mark.slow

ALL = ("vllm-fast-processor", "vllm-uint8-pixels", "vllm-vit-fused", "vllm-vit-graphs")
PROMPT = "<|im_start|>user\n<|vision_start|><|image_pad|><|vision_end|>\nText Recognition:<|im_end|>\n"


@pytest.fixture(autouse=True)
def nothing_applied() -> None:
    """In place of conftest's: the patches stay as long as the engine."""


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    checkpoint = vlm_checkpoints.random_checkpoint(tmp_path_factory.mktemp("random"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(accelerator, "accelerator", lambda: accelerator.Accelerator("cuda", "sm_90"))
        states = [patches.apply(name) for name in ALL]
        assert [s.state for s in states] == [patches.State.ACTIVE] * 4, states
        with in_process.llm(checkpoint, max_model_len=2048, max_num_seqs=4) as llm:
            runner = llm.llm_engine.engine_core.engine_core.model_executor.driver_worker.worker.model_runner
            yield SimpleNamespace(llm=llm, runner=runner, model=runner.get_model())
            for name in reversed(ALL):
                patches.revert(name)


def attention(self: Any, query: Any, key: Any, value: Any, cu_seqlens: Any = None, max_seqlen: Any = None) -> Any:
    return torch.ops.standin.varlen(query, key, value, cu_seqlens, int(max_seqlen.numpy()))


def varlen(q: Any, k: Any, v: Any, ends: Any, longest: int) -> Any:
    """(1, L, heads, d) each; what belongs to no sequence is NaN."""
    out = torch.full_like(q, float("nan"), memory_format=torch.contiguous_format)
    for start, end in pairwise(ends.tolist()):
        assert 0 <= end - start <= longest
        if end > start:
            part = [x[:, start:end].transpose(1, 2) for x in (q, k, v)]
            out[:, start:end] = torch.nn.functional.scaled_dot_product_attention(*part).transpose(1, 2)
    return out


@pytest.fixture(scope="module")
def on_tape(engine: Any) -> Iterator[None]:
    """Attention and CUDA graphs as above."""
    from vllm.model_executor.layers.attention.mm_encoder_attention import MMEncoderAttention
    from vllm.model_executor.models.qwen2_vl import Qwen2VisionTransformer
    from vllm.v1.attention.backends.registry import AttentionBackendEnum

    library = torch.library.Library("standin", "DEF")
    library.define("varlen(Tensor q, Tensor k, Tensor v, Tensor ends, int longest) -> Tensor")
    library.impl("varlen", varlen, "CompositeExplicitAutograd")
    patch = pytest.MonkeyPatch()
    patch.setattr(MMEncoderAttention, "forward", attention)
    for block in engine.model.visual.blocks:  # the layer chose its forward when it was made
        patch.setattr(block.attn.attn, "_forward_method", block.attn.attn.forward)
    patch.setattr(Qwen2VisionTransformer, "attn_backend", AttentionBackendEnum.FLASH_ATTN, raising=False)
    patch.setattr(engine.model.visual, "attn_backend", AttentionBackendEnum.FLASH_ATTN)
    patch.setattr(torch.cuda, "CUDAGraph", cuda_graphs.Tape)
    patch.setattr(torch.cuda, "graph", cuda_graphs.record)
    yield
    patch.undo()


def manager(engine: Any, largest: int = 192, images: int | None = None) -> Any:
    """As the model runner makes it, with graphs captured; `largest` merged tokens."""
    from vllm.v1.worker.encoder_cudagraph import EncoderCudaGraphManager

    config = copy.copy(engine.llm.llm_engine.vllm_config)
    config.compilation_config = copy.copy(config.compilation_config)
    config.scheduler_config = copy.copy(config.scheduler_config)
    config.scheduler_config.max_num_batched_tokens = largest
    config.model_config = copy.copy(config.model_config)
    config.model_config.enforce_eager = False
    assert vit_graphs.switch_on(config)
    if images:
        config.compilation_config.encoder_cudagraph_max_vision_items_per_batch = images
    made = EncoderCudaGraphManager(config, torch.device("cpu"), torch.float32, engine.model)
    made.capture("pool")
    return made


def crops(grids: list[tuple[int, int]], seed: int = 0) -> tuple[Any, Any]:
    """Patches of both frames, equal as a still image's are, (L, 1176) uint8, and (n, 3) t, h, w."""
    rng = np.random.default_rng(seed)
    length = sum(h * w for h, w in grids)
    frame = rng.integers(0, 256, (length, 3, 1, 196), dtype=np.uint8)
    both = torch.from_numpy(np.repeat(frame, 2, axis=2).reshape(length, 1176))
    return both, torch.tensor([[1, h, w] for h, w in grids])


def truth(engine: Any, both: Any, grid: Any, active: tuple[str, ...]) -> list[Any]:
    """What vLLM's own code makes of it, image by image."""
    for name in reversed(active):
        patches.revert(name)
    try:
        with torch.inference_mode():
            parts = zip(both.split(grid.prod(-1).tolist()), grid.unsqueeze(1), strict=True)
            return [engine.model.embed_multimodal(pixel_values=p, image_grid_thw=g)[0] for p, g in parts]
    finally:
        for name in active:
            patches.apply(name)


BATCHES = {
    "one": [(2, 2)],
    "crops": [(4, 6)] * 5 + [(2, 2), (10, 20), (6, 40), (2, 8)],
    "exactly a budget": [(16, 16)],
    "more images than a graph takes": [(2, 2)] * 70 + [(4, 4)] * 3,
    "beyond the largest budget in all": [(16, 24)] * 5,
    "one beyond the largest budget": [(2, 4), (30, 30), (4, 2)],
}


FEW = ("crops", "one beyond the largest budget")


@contextlib.contextmanager
def only(engine: Any, active: tuple[str, ...]) -> Iterator[None]:
    """The engine as if its model had been built with these patches alone."""
    norm, embedding = engine.model.input_norm, engine.model.visual.patch_embed
    for name in reversed(ALL):
        if name not in active:
            patches.revert(name)
    if "vllm-uint8-pixels" not in active:
        engine.model.input_norm = norm.norm
        folded = embedding.__dict__.pop("_accel_norm")
    try:
        yield
    finally:
        if "vllm-uint8-pixels" not in active:
            engine.model.input_norm = norm
            embedding.__dict__["_accel_norm"] = folded
        for name in ALL:
            patches.apply(name)


def sent(both: Any, active: tuple[str, ...]) -> Any:
    """What the processor sends of patches of two frames."""
    return both.view(-1, 3, 2, 196)[:, :, 0].reshape(-1, 588) if "vllm-uint8-pixels" in active else both


@pytest.mark.parametrize(
    ("active", "batches"),
    [(ALL, BATCHES), (("vllm-vit-graphs",), FEW), (("vllm-vit-fused", "vllm-vit-graphs"), FEW)],
    ids=["all", "graphs", "fused"],
)
def test_graphs_give_what_eager_gives(
    engine: Any, on_tape: None, active: tuple[str, ...], batches: Iterable[str]
) -> None:
    with only(engine, active):
        graphs = manager(engine)
        for label in batches:
            both, grid = crops(BATCHES[label], seed=len(BATCHES[label]))
            before = graphs.graph_hits
            got = graphs.execute({"pixel_values": sent(both, active), "image_grid_thw": grid})
            hits = graphs.graph_hits - before
            assert hits == sum(h * w // 4 <= 192 for h, w in BATCHES[label]), label
            for mine, theirs in zip(got, truth(engine, both, grid, active), strict=True):
                assert mine.shape == theirs.shape, label
                torch.testing.assert_close(
                    mine, theirs, rtol=1e-4, atol=1e-4, msg=lambda m, label=label: f"{label}: {m}"
                )
        kept = got[0].clone()
        graphs.execute({"pixel_values": sent(both, active).flip(0).contiguous(), "image_grid_thw": grid.flip(0)})
        assert torch.equal(kept, got[0])  # results are no views of a graph's buffers


def test_vllms_own_graphs_are_wrong(engine: Any, on_tape: None) -> None:
    """The control: what these tests compare tells 0.28.0's graphs, which skip normalizing, from right ones."""
    both, grid = crops(BATCHES["crops"])
    with only(engine, ()):
        got = manager(engine).execute({"pixel_values": both, "image_grid_thw": grid})
        for mine, theirs in zip(got, truth(engine, both, grid, ()), strict=True):
            error = (mine - theirs).norm() / theirs.norm()
            assert not error < 0.05  # NaN is wrong, too


def test_a_graph_reads_bytes_of_one_frame_in_rows_of_whole_vectors(engine: Any, on_tape: None) -> None:
    graph = manager(engine, largest=128, images=8).budget_graphs["default"][128]
    buffer = graph.input_buffers["pixel_values"]
    assert buffer.dtype is torch.uint8 and buffer.shape[1] == 588 and buffer.stride(0) == 592
    assert any(op._schema.name == "standin::varlen" for op, *_ in graph.graph.ops)
    baked = {args[4] for op, args, *_ in graph.graph.ops if op._schema.name == "standin::varlen"}
    assert baked == {4 * 128}  # the longest sequence there can be


def test_tokens_are_the_same_with_and_without(engine: Any, on_tape: None) -> None:
    rng = np.random.default_rng(1)
    images = [
        Image.fromarray(rng.integers(0, 256, (h, w, 3), dtype=np.uint8))
        for h, w in [(56, 56), (60, 150), (28, 400), (200, 90), (111, 77), (150, 150)]
    ]

    def generate() -> list[list[int]]:
        from vllm import SamplingParams

        requests = [{"prompt": PROMPT, "multi_modal_data": {"image": image}} for image in images]
        outputs = engine.llm.generate(
            requests, SamplingParams(temperature=0, max_tokens=12, ignore_eos=True), use_tqdm=False
        )
        return [list(output.outputs[0].token_ids) for output in outputs]

    eager = generate()
    engine.runner.encoder_cudagraph_manager = graphs = manager(engine)
    try:
        graphed = generate()
    finally:
        engine.runner.encoder_cudagraph_manager = None
    assert graphs.graph_hits == len(images) and graphs.graph_misses == 0
    for name in reversed(ALL):
        patches.revert(name)
    try:
        plain = generate()
    finally:
        for name in ALL:
            patches.apply(name)
    assert len({tuple(t) for t in plain}) > 1  # the pictures matter
    assert eager == plain and graphed == plain
    assert not isinstance(engine.model.input_norm, torch.nn.Identity) and isinstance(
        engine.model.input_norm, uint8_pixels_patch_embed.SingleFrameNorm
    )
