"""``vllm-rocm-vit-attention``: switches vLLM's fast attention for vision towers on, on AMD's RDNA."""

from __future__ import annotations

import os

from ...hardware import accelerator
from ...hardware.packages import is_installed
from ..patch import NotApplicable, NotNeeded, Undo

VARIABLE = "FLASH_ATTENTION_TRITON_AMD_ENABLE"
BUILT_IN = "flash_attn.flash_attn_triton_amd"
"""The module of flash-attn that had the kernels until March 2026."""
AITER = "aiter.ops.triton._triton_kernels.flash_attn_triton_amd"
"""The module of AMD's aiter that has had them since."""
SLOW_IN_AITER = ("gfx1150", "gfx1151", "gfx1152")
"""RDNA 3.5. Reported for gfx1151; the others have the same cores."""


def check() -> str:
    """The GPU, and the variable as the user has set it."""
    gpu = accelerator.accelerator()
    if gpu.kind != "hip":
        raise NotApplicable(f"it is for AMD's RDNA, and this is {gpu}")
    if not gpu.arch.startswith(("gfx11", "gfx12")):
        raise NotNeeded(f"vLLM takes flash attention on {gpu.arch} by itself")
    if os.environ.get(VARIABLE, "TRUE") != "TRUE":
        raise NotApplicable(f"{VARIABLE} is {os.environ[VARIABLE]}")
    if accelerator.version_of("flash-attn") is None:
        raise NotApplicable("flash-attn is not installed")
    return f"vLLM's vision towers run PyTorch's attention on {gpu.arch}"


def install(undo: Undo) -> str:
    """Set the variable that vLLM and flash-attn read, for this process and its children.

    Raises:
        NotApplicable: if this vLLM has no such attention, its kernels are missing, or they are known to be slower here.
    """
    from vllm.platforms import rocm

    if not hasattr(rocm, "flash_attn_triton_available"):
        raise NotApplicable("this vLLM has no flash attention for vision towers on RDNA")
    arch = accelerator.accelerator().arch
    if is_installed(BUILT_IN):
        where = "flash-attn's"
    elif not is_installed(AITER):
        raise NotApplicable("neither flash-attn nor AITER has the Triton kernels")
    elif arch in SLOW_IN_AITER:
        raise NotApplicable(f"AITER's kernels are up to 3.7 times slower on {arch} (flash-attention issue 2392)")
    else:
        where = "AITER's"
    undo.setitem(os.environ, VARIABLE, "TRUE")
    return f"vision towers run {where} Triton flash attention"
