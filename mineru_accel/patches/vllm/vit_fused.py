"""``vllm-vit-fused``: Qwen2-VL's vision tower with fused kernels instead of dozens of small ones in each layer."""

from __future__ import annotations

import functools
from typing import Any

from ..patch import Undo


def check() -> str:
    """Only the version matters: on a CPU the same forward runs PyTorch's kernels."""
    return "vLLM does not compile Qwen2-VL's vision tower"


def install(undo: Undo) -> str:
    """Replace the tower's forward and the metadata that it reads, for towers that `vit_fused_tower.fits`."""
    from vllm.model_executor.models.qwen2_vl import Qwen2VisionTransformer as Tower

    from . import vit_fused_tower

    original = Tower.forward

    @functools.wraps(original)
    def forward(self: Any, x: Any, grid_thw: Any, **more: Any) -> Any:
        run = vit_fused_tower.forward if vit_fused_tower.fits(self) else original
        return run(self, x, grid_thw, **more)

    undo.setattr(Tower, "forward", forward)
    if (prepare := vars(Tower).get("prepare_encoder_metadata")) is not None:

        @functools.wraps(prepare)
        def prepare_encoder_metadata(self: Any, grid_thw: Any, **more: Any) -> Any:
            run = vit_fused_tower.metadata if vit_fused_tower.fits(self) else prepare
            return run(self, grid_thw, **more)

        undo.setattr(Tower, "prepare_encoder_metadata", prepare_encoder_metadata)
    return "residual+LayerNorm, rotary and QuickGELU fused; q, k, v and positions are not copied about"
