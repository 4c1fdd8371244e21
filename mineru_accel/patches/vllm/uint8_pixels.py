"""Pixels travel as bytes, one frame of them: an eighth of the bytes of float32 patches, half of those of vLLM 0.28."""

from __future__ import annotations

import functools
from typing import Any

from ..patch import NotApplicable, Patch, Undo


def check() -> str:
    """Nothing but the version matters."""
    return "a still image is sent as two equal frames"


def install(undo: Undo) -> str:
    """Processor: bytes of one frame. Tower: rescaling, normalizing and the second frame folded into the weights."""
    from vllm.model_executor.models import qwen2_vl

    from . import uint8_patch_embed

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
        return uint8_patch_embed.drop_second_frame(processed, 3 * 2 * vision.patch_size**2)

    @functools.wraps(embed_forward)
    def forward(self: Any, x: Any) -> Any:
        return (
            uint8_patch_embed.embed(self, x) if uint8_patch_embed.is_single_frame(self, x) else embed_forward(self, x)
        )

    @functools.wraps(init)
    def __init__(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        uint8_patch_embed.prepare(self)

    undo.setattr(processor, "apply", apply_single_frame)
    undo.setattr(processor, "_accel_frames", 1)  # for vllm-fast-processor
    undo.setattr(embed, "forward", forward)
    undo.setattr(model, "__init__", __init__)
    return "one frame of bytes from the processor to the patch embedding, which normalizes in its weights"


PATCH = Patch(
    name="vllm-uint8-pixels",
    package="vllm",
    versions=">=0.27,<0.29",
    replaces="Qwen2VLMultiModalProcessor.apply, Qwen2VisionPatchEmbed.forward, the model's input_norm",
    why="the second frame of a still image equals the first; it is copied by the processor, sent between processes, "
    "concatenated, copied to the GPU and multiplied",
    how="W[:, :, 0] + W[:, :, 1], 1 / (255 std) and the mean fold into weight and bias of accel_kernels' "
    "patch_embed_uint8",
    upstream="vLLM #50411 sends bytes since 0.27, with both frames",
    remove_when="vLLM sends one frame and fuses the normalization into the patch embedding",
    check=check,
    install=install,
)
