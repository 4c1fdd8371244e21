"""Old versions of vLLM, or of torch, run the patch embedding as a Conv3d; this runs it as the matrix product it is."""

from __future__ import annotations

import functools
from typing import Any

from packaging.version import Version

from ...hardware import accelerator
from ..patch import NotApplicable, NotNeeded, Patch, Undo


def check() -> str:
    """Versions of vLLM and torch, and a GPU. vLLM 0.11.1 knew the product for torch 2.9.0 only."""
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
    """vLLM's own way to replace a layer where there is one, the class's forward otherwise."""
    from vllm.model_executor.models import qwen2_vl

    try:
        from vllm.model_executor.layers.conv import Conv3dLayer
    except ImportError:
        _forward(undo, qwen2_vl.Qwen2VisionPatchEmbed)
        return "Qwen2VisionPatchEmbed.forward multiplies matrices"
    _layer(undo, Conv3dLayer)
    return "every Conv3dLayer whose kernel is its input multiplies matrices"


def _forward(undo: Undo, embed: Any) -> None:
    """0.11.0, whose patch embedding holds a torch.nn.Conv3d."""
    from accel_kernels import patch_embed

    original = embed.forward

    @functools.wraps(original)
    def forward(self: Any, x: Any) -> Any:
        if not _fits(self.proj) or x.dtype != self.proj.weight.dtype:
            return original(self, x)
        return patch_embed(x, self.proj.weight, self.proj.bias)

    undo.setattr(embed, "forward", forward)


def _layer(undo: Undo, base: Any) -> None:
    """0.11.1 and newer: models that are built from now on get this layer."""
    from accel_kernels import patch_embed
    from vllm.model_executor import custom_op

    registry = getattr(custom_op, "op_registry_oot", None)
    if registry is None:
        registry = base.op_registry_oot
    if base.__name__ in registry:
        raise NotApplicable(f"{registry[base.__name__].__module__} has replaced {base.__name__} already")

    class PatchEmbedding(base):  # type: ignore[misc]
        """A Conv3dLayer; overrides forward, since vLLM may dispatch to any of the others."""

        def forward(self, x: Any) -> Any:
            """(L, C, T, P, P) -> (L, N, 1, 1, 1) where the kernel covers all of x."""
            if not _fits(self) or tuple(x.shape[2:]) != tuple(self.kernel_size) or x.dtype != self.weight.dtype:
                return super().forward(x)
            return patch_embed(x, self.weight, self.bias).view(x.shape[0], -1, 1, 1, 1)

    base.register_oot(PatchEmbedding)
    undo.call(lambda: registry.pop(base.__name__))


def _fits(conv: Any) -> bool:
    """Whether a convolution over one patch is a product of its numbers with the weight's."""
    plain = not any(conv.padding) and all(d == 1 for d in conv.dilation) and conv.groups == 1
    return plain and tuple(conv.kernel_size) == tuple(conv.stride)


PATCH = Patch(
    name="vllm-patch-embed",
    package="vllm",
    versions=">=0.11,<0.29",
    replaces="Conv3dLayer by CustomOp.register_oot; in 0.11.0 Qwen2VisionPatchEmbed.forward",
    why="cuDNN's and MIOpen's Conv3d take 20 to 30 times as long as the matrix product that it is",
    how="accel_kernels.patch_embed: its Triton kernel where that measured faster, F.linear otherwise",
    upstream="https://github.com/vllm-project/vllm/issues/27406, https://github.com/pytorch/pytorch/issues/166122",
    remove_when="nobody runs vLLM < 0.19.1 or torch < 2.9",
    check=check,
    install=install,
)
