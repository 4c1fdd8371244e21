"""CUDA graphs of the vision encoder: on, right, and with sizes that fit MinerU's crops."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from typing import Any

from ...hardware import accelerator
from ..patch import NotApplicable, Patch, Undo

MAX_ITEMS = 64
"""Images in one graph; vLLM wants no more than the smallest budget has tokens."""


def budgets(largest: int, smallest: int = MAX_ITEMS) -> list[int]:
    """Sizes of graphs in merged tokens, up to `largest`: steps of an eighth of the next power of two, so that a batch
    is padded by an eighth at most and by a sixteenth on average; vLLM's own are powers of two."""
    sizes, step = {largest}, smallest
    size = smallest
    while size < largest:
        sizes.add(size)
        step = max(smallest, 1 << max((size * 2 - 1).bit_length() - 4, 0))
        size += step
    return sorted(s for s in sizes if smallest <= s <= largest) or [largest]


def check() -> str:
    """Graphs need CUDA; ROCm's captures of the encoder are not tried by anybody we know of."""
    gpu = accelerator.accelerator()
    if gpu.kind != "cuda":
        raise NotApplicable(f"encoder graphs need CUDA, and this is {gpu.kind}")
    if gpu.arch.startswith(("sm_6", "sm_7")):
        raise NotApplicable(f"flash attention, which leaves padding alone, needs sm_80, and this is {gpu.arch}")
    return "vLLM has encoder graphs for Qwen2-VL but leaves them off, and feeds them pixels that are not normalized"


def install(undo: Undo) -> str:
    """Switch them on where the engine is configured, and mend what they are fed."""
    from vllm.engine.arg_utils import EngineArgs
    from vllm.model_executor.models.qwen2_vl import Qwen2VLForConditionalGeneration as Model

    if not hasattr(Model, "encoder_cudagraph_forward"):
        raise NotApplicable("this vLLM has no encoder graphs for Qwen2-VL")
    mend(undo, Model)
    original = EngineArgs.create_engine_config

    @functools.wraps(original)
    def create_engine_config(self: Any, *args: Any, **kwargs: Any) -> Any:
        config = original(self, *args, **kwargs)
        switch_on(config)
        return config

    undo.setattr(EngineArgs, "create_engine_config", create_engine_config)
    return "encoder graphs on, normalized pixels, budgets in steps of an eighth"


def switch_on(config: Any) -> bool:
    """Encoder graphs for Qwen2-VL unless the user runs eagerly; budgets unless the user gave some."""
    model, compilation = config.model_config, config.compilation_config
    if model is None or model.enforce_eager or "Qwen2VLForConditionalGeneration" not in model.architectures:
        return False
    compilation.cudagraph_mm_encoder = True
    if not compilation.encoder_cudagraph_token_budgets:
        largest = min(config.scheduler_config.max_num_batched_tokens, 4096, model.max_model_len)
        compilation.encoder_cudagraph_token_budgets = budgets(largest)
        compilation.encoder_cudagraph_max_vision_items_per_batch = MAX_ITEMS
    return True


def mend(undo: Undo, model: Any) -> None:
    """Normalize inside the graph (vLLM up to 0.28.0 forgets to), keep pixels as bytes until there."""
    import torch

    config_of = model.get_encoder_cudagraph_config
    capture_of = model.prepare_encoder_cudagraph_capture_inputs

    def copy_prefix(buffer: Any, source: Any) -> None:
        buffer[: source.shape[0]].copy_(source, non_blocking=True)  # what lies beyond belongs to no image

    @functools.wraps(config_of)
    def get_encoder_cudagraph_config(self: Any) -> Any:
        config = config_of(self)
        logics = dict.fromkeys(("pixel_values", "position", "rotary_pos_emb_cos", "rotary_pos_emb_sin"), copy_prefix)
        return dataclasses.replace(config, modalities=["image"], padding_logics={**config.padding_logics, **logics})

    @functools.wraps(capture_of)
    def prepare_encoder_cudagraph_capture_inputs(self: Any, *args: Any, **kwargs: Any) -> Any:
        inputs = capture_of(self, *args, **kwargs)
        pixels = inputs.values["pixel_values"]
        if is_normalized_here(self):
            columns = getattr(self.input_norm, "columns", pixels.shape[1])
            rows = torch.zeros(len(pixels), -(-columns // 16) * 16, dtype=torch.uint8, device=pixels.device)
            inputs.values["pixel_values"] = rows[:, :columns]  # rows of whole 16 bytes
        return inputs

    def encoder_cudagraph_forward(self: Any, values: dict[str, Any], path: str = "default") -> Any:
        pixels = normalized(self, values.pop("pixel_values"))
        return self.visual(pixels, None, encoder_metadata=values)

    def encoder_eager_forward(self: Any, mm_kwargs: dict[str, Any], path: str = "default") -> Any:
        pixels = normalized(self, self._get_pixel_values_by_modality(mm_kwargs))
        return self.visual(pixels, self._get_grid_thw_by_modality(mm_kwargs))

    undo.setattr(model, "get_encoder_cudagraph_config", get_encoder_cudagraph_config)
    undo.setattr(model, "prepare_encoder_cudagraph_capture_inputs", prepare_encoder_cudagraph_capture_inputs)
    undo.setattr(model, "encoder_cudagraph_forward", encoder_cudagraph_forward)
    undo.setattr(model, "encoder_eager_forward", encoder_eager_forward)


def is_normalized_here(model: Any) -> bool:
    """Whether pixels reach the model as bytes."""
    norm = getattr(model, "input_norm", None)
    return norm is not None and not getattr(norm, "is_identity", True)


def normalized(model: Any, pixels: Any) -> Any:
    """What the tower may be fed."""
    return model.input_norm(pixels, model.visual.dtype) if is_normalized_here(model) else pixels


def waste(tokens: Sequence[int], sizes: Sequence[int]) -> float:
    """The share of encoder work that is padding, for batches of `tokens` merged tokens."""
    padded = [min((s for s in sizes if s >= t), default=t) for t in tokens]
    return 1 - sum(tokens) / sum(padded)


PATCH = Patch(
    name="vllm-vit-graphs",
    package="vllm",
    versions=">=0.27,<0.29",
    replaces="EngineArgs.create_engine_config; five methods of Qwen2VLForConditionalGeneration that feed the graphs",
    why="without graphs the host launches the tower kernel by kernel and the GPU idles; with vLLM 0.28.0's own graphs "
    "the tower sees pixels of 0 to 255 where it expects normalized ones, so that every answer is wrong",
    how="graphs are switched on, budgets grow in steps of an eighth instead of doubling, pixels stay bytes up to the "
    "graph and are normalized in it",
    upstream="https://github.com/vllm-project/vllm/pull/55370 (merged after 0.28.0 for Qwen2.5-VL), "
    "https://github.com/vllm-project/vllm/pull/55929",
    remove_when="vLLM normalizes in Qwen2-VL's encoder graphs; then only the budgets are left, which are arguments",
    check=check,
    install=install,
)
