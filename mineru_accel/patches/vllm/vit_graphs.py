"""``vllm-vit-graphs``: CUDA graphs of the vision encoder, switched on, corrected, of sizes that fit MinerU's crops."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

from ...hardware import accelerator
from ..patch import NotApplicable, Undo

MAX_ITEMS = 64
"""Maximum images in one graph; vLLM allows as many as the smallest budget has tokens."""


def budgets(largest: int, smallest: int = MAX_ITEMS) -> list[int]:
    """Sizes of graphs in merged tokens, up to `largest`.

    They grow in steps of an eighth of the next power of two, so that a batch is padded by an eighth at most and by a
    sixteenth on average. vLLM's own are powers of two.
    """
    sizes, step = {largest}, smallest
    size = smallest
    while size < largest:
        sizes.add(size)
        step = max(smallest, 1 << max((size * 2 - 1).bit_length() - 4, 0))
        size += step
    return sorted(s for s in sizes if smallest <= s <= largest) or [largest]


def check() -> str:
    """Graphs need CUDA: nobody is known to have tried to capture the encoder under ROCm."""
    gpu = accelerator.accelerator()
    if gpu.kind != "cuda":
        raise NotApplicable(f"encoder graphs need CUDA, and this is {gpu.kind}")
    if gpu.arch.startswith(("sm_6", "sm_7")):
        raise NotApplicable(f"flash attention, which leaves padding alone, needs sm_80, and this is {gpu.arch}")
    return "vLLM has encoder graphs for Qwen2-VL but leaves them off, and feeds them pixels that are not normalized"


def install(undo: Undo) -> str:
    """Switch graphs on where the engine is configured, and correct their inputs.

    Raises:
        NotApplicable: if this vLLM has no encoder graphs for Qwen2-VL.
    """
    from vllm.engine.arg_utils import EngineArgs
    from vllm.model_executor.models.qwen2_vl import Qwen2VLForConditionalGeneration as Model

    if not hasattr(Model, "encoder_cudagraph_forward"):
        raise NotApplicable("this vLLM has no encoder graphs for Qwen2-VL")
    correct_inputs(undo, Model)
    original = EngineArgs.create_engine_config

    @functools.wraps(original)
    def create_engine_config(self: Any, *args: Any, **kwargs: Any) -> Any:
        config = original(self, *args, **kwargs)
        switch_on(config)
        return config

    undo.setattr(EngineArgs, "create_engine_config", create_engine_config)
    return "encoder graphs on, normalized pixels, budgets in steps of an eighth"


def switch_on(config: Any) -> bool:
    """Switch encoder graphs on for Qwen2-VL, with our budgets unless the user has given some.

    Returns:
        False, and nothing changes, for other models and where the user runs eagerly.
    """
    model, compilation = config.model_config, config.compilation_config
    if model is None or model.enforce_eager or "Qwen2VLForConditionalGeneration" not in model.architectures:
        return False
    compilation.cudagraph_mm_encoder = True
    if not compilation.encoder_cudagraph_token_budgets:
        largest = min(config.scheduler_config.max_num_batched_tokens, 4096, model.max_model_len)
        compilation.encoder_cudagraph_token_budgets = budgets(largest)
        compilation.encoder_cudagraph_max_vision_items_per_batch = MAX_ITEMS
    return True


def correct_inputs(undo: Undo, model: Any) -> None:
    """Normalize pixels inside the graph, which vLLM 0.28.0 and older omit; until there they stay bytes."""
    import torch

    config_of = model.get_encoder_cudagraph_config
    capture_of = model.prepare_encoder_cudagraph_capture_inputs

    def copy_prefix(buffer: Any, source: Any) -> None:
        buffer[: source.shape[0]].copy_(source, non_blocking=True)  # rows beyond belong to no image

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
            inputs.values["pixel_values"] = rows[:, :columns]  # a row begins every 16 bytes: read as whole vectors
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
    """Whether pixels reach the model as bytes, to be normalized by its `input_norm`."""
    norm = getattr(model, "input_norm", None)
    return norm is not None and not getattr(norm, "is_identity", True)


def normalized(model: Any, pixels: Any) -> Any:
    """Pixels as the tower takes them."""
    return model.input_norm(pixels, model.visual.dtype) if is_normalized_here(model) else pixels
