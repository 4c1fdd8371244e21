"""vLLM runs Qwen2-VL's vision tower as dozens of small kernels a layer; this runs the fused ones."""

from __future__ import annotations

import functools
from typing import Any

from ..patch import Patch, Undo


def check() -> str:
    """Nothing but the version matters: on a CPU the same forward runs PyTorch's kernels."""
    return "vLLM does not compile Qwen2-VL's vision tower"


def install(undo: Undo) -> str:
    """Replace the tower's forward and the metadata that it reads, for towers that fit."""
    from vllm.model_executor.models.qwen2_vl import Qwen2VisionTransformer as Tower

    from . import vit_fused_tower

    original = Tower.forward

    @functools.wraps(original)
    def forward(self: Any, x: Any, grid_thw: Any, **more: Any) -> Any:
        return (
            vit_fused_tower.forward(self, x, grid_thw, **more)
            if vit_fused_tower.fits(self)
            else original(self, x, grid_thw, **more)
        )

    undo.setattr(Tower, "forward", forward)
    if (prepare := vars(Tower).get("prepare_encoder_metadata")) is not None:

        @functools.wraps(prepare)
        def prepare_encoder_metadata(self: Any, grid_thw: Any, **more: Any) -> Any:
            return (
                vit_fused_tower.metadata(self, grid_thw, **more)
                if vit_fused_tower.fits(self)
                else prepare(self, grid_thw, **more)
            )

        undo.setattr(Tower, "prepare_encoder_metadata", prepare_encoder_metadata)
    return "residual+LayerNorm, rotary and QuickGELU fused; q, k, v and positions are not copied about"


PATCH = Patch(
    name="vllm-vit-fused",
    package="vllm",
    versions=">=0.19.1,<0.29",
    replaces="Qwen2VisionTransformer.forward and prepare_encoder_metadata",
    why="half of what the tower moves through memory are copies of q and k, separate adds, norms and activations",
    how="the products and the attention stay vLLM's; between them run accel_kernels.vision_block's kernels",
    upstream="vLLM compiles Qwen2.5-VL's blocks (compile_mm_encoder), not Qwen2-VL's",
    remove_when="vLLM compiles or fuses Qwen2-VL's vision blocks itself",
    check=check,
    install=install,
)
