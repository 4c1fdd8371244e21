"""``vllm-patch-embed``: the patch embedding as a matrix product, where vLLM or torch is old enough to run a Conv3d.

`accel_kernels.patch_embed` chooses between `F.linear` and a GEMM of its own. The latter is for AMD GPUs, where
`mineru-accel tune` may find it faster (not measured by us): on NVIDIA it reaches 0.75 to 0.8 of cuBLAS's rate.
"""

from __future__ import annotations

import functools
from typing import Any

from packaging.version import Version

from ...hardware import accelerator
from ..patch import NotApplicable, NotNeeded, Undo


def check() -> str:
    """The GPU, and the versions of vLLM and torch. vLLM 0.11.1 to 0.19.0 multiplied matrices with torch 2.9.0 only."""
    if (gpu := accelerator.accelerator()).kind == "cpu":
        raise NotApplicable(f"the kernel is for GPUs, and this is {gpu}")
    vllm, torch = accelerator.version_of("vllm"), accelerator.version_of("torch")
    if vllm is None or torch is None:
        raise NotApplicable("torch is not installed")
    if vllm >= Version("0.19.1") and torch >= Version("2.9"):
        raise NotNeeded(f"vLLM {vllm} with torch {torch} multiplies matrices there already")
    if vllm >= Version("0.11.1") and torch == Version("2.9.0"):
        raise NotNeeded(f"vLLM {vllm} multiplies matrices there with torch 2.9.0")
    return f"vLLM {vllm} with torch {torch} runs the patch embedding as a Conv3d"


def install(undo: Undo) -> str:
    """Replace the layer by vLLM's own mechanism where there is one, else the class's forward.

    Raises:
        NotApplicable: if somebody else has replaced the layer already.
    """
    from vllm.model_executor.models import qwen2_vl

    try:
        from vllm.model_executor.layers.conv import Conv3dLayer
    except ImportError:
        _replace_forward(undo, qwen2_vl.Qwen2VisionPatchEmbed)
        return "Qwen2VisionPatchEmbed.forward multiplies matrices"
    _replace_layer(undo, Conv3dLayer)
    return "every Conv3dLayer whose kernel is its input multiplies matrices"


def _replace_forward(undo: Undo, embed: Any) -> None:
    """vLLM 0.11.0, whose patch embedding holds a torch.nn.Conv3d."""
    from accel_kernels import patch_embed

    original = embed.forward

    @functools.wraps(original)
    def forward(self: Any, x: Any) -> Any:
        if not _fits(self.proj) or x.dtype != self.proj.weight.dtype:
            return original(self, x)
        return patch_embed(x, self.proj.weight, self.proj.bias)

    undo.setattr(embed, "forward", forward)


def _replace_layer(undo: Undo, base: Any) -> None:
    """vLLM 0.11.1 and newer: models that are built after this get our layer."""
    from accel_kernels import patch_embed
    from vllm.model_executor import custom_op

    registry = getattr(custom_op, "op_registry_oot", None)
    if registry is None:
        registry = base.op_registry_oot
    if base.__name__ in registry:
        raise NotApplicable(f"{registry[base.__name__].__module__} has replaced {base.__name__} already")

    class PatchEmbedding(base):  # type: ignore[misc]
        """A Conv3dLayer that multiplies matrices. Overrides `forward`: vLLM may dispatch to any other method."""

        def forward(self, x: Any) -> Any:
            """``(L, C, T, P, P)`` -> ``(L, N, 1, 1, 1)``; vLLM's own where the kernel doesn't cover all of x."""
            if not _fits(self) or tuple(x.shape[2:]) != tuple(self.kernel_size) or x.dtype != self.weight.dtype:
                return super().forward(x)
            return patch_embed(x, self.weight, self.bias).view(x.shape[0], -1, 1, 1, 1)

    base.register_oot(PatchEmbedding)
    undo.call(lambda: registry.pop(base.__name__))


def _fits(conv: Any) -> bool:
    """Whether a convolution over one patch is a matrix product: stride equal to kernel, no padding, no groups."""
    plain = not any(conv.padding) and all(d == 1 for d in conv.dilation) and conv.groups == 1
    return plain and tuple(conv.kernel_size) == tuple(conv.stride)
