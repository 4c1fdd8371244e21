"""``vllm-uint8-pixels``: pixels stay bytes, one frame of them: an eighth of float32 patches, half of vLLM 0.28's."""

from __future__ import annotations

import functools
from typing import Any

from ..patch import NotApplicable, Undo


def check() -> str:
    """Only the version matters."""
    return "a still image is sent as two equal frames"


def install(undo: Undo) -> str:
    """The processor sends the bytes of one frame; the patch embedding's weights rescale, normalize and add the second.

    Raises:
        NotApplicable: if this vLLM normalizes in the processor (before 0.27).
    """
    from vllm.model_executor.models import qwen2_vl

    from . import uint8_pixels_patch_embed

    processor = qwen2_vl.Qwen2VLMultiModalProcessor
    embed = qwen2_vl.Qwen2VisionPatchEmbed
    model = qwen2_vl.Qwen2VLForConditionalGeneration
    apply, embed_forward, init = processor.apply, embed.forward, model.__init__
    if not hasattr(qwen2_vl, "FusedInputNorm"):
        raise NotApplicable("this vLLM normalizes in the processor")

    @functools.wraps(apply)
    def apply_single_frame(self: Any, *args: Any, **kwargs: Any) -> Any:
        vision = self.info.get_hf_config().vision_config
        processed = apply(self, *args, **kwargs)
        if vision.in_channels != 3 or vision.temporal_patch_size != 2:
            return processed
        return uint8_pixels_patch_embed.drop_second_frame(processed, 3 * 2 * vision.patch_size**2)

    @functools.wraps(embed_forward)
    def forward(self: Any, x: Any) -> Any:
        single = uint8_pixels_patch_embed.is_single_frame(self, x)
        return uint8_pixels_patch_embed.embed(self, x) if single else embed_forward(self, x)

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        uint8_pixels_patch_embed.prepare(self)

    undo.setattr(processor, "apply", apply_single_frame)
    undo.setattr(processor, "_accel_frames", 1)  # read by vllm-fast-processor: frames in each patch
    undo.setattr(embed, "forward", forward)
    undo.setattr(model, "__init__", __init__)
    return "one frame of bytes from the processor to the patch embedding, which normalizes in its weights"
