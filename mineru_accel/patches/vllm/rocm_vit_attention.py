"""vLLM has a fast attention for vision towers on AMD's RDNA, which a variable has to switch on."""

from __future__ import annotations

import os

from ...hardware import accelerator
from ...hardware.packages import is_installed
from ..patch import NotApplicable, NotNeeded, Patch, Undo

VARIABLE = "FLASH_ATTENTION_TRITON_AMD_ENABLE"
BUILT_IN = "flash_attn.flash_attn_triton_amd"
"""flash-attn's own kernels, until March 2026; then they moved to AITER."""
AITER = "aiter.ops.triton._triton_kernels.flash_attn_triton_amd"
SLOW_IN_AITER = ("gfx1150", "gfx1151", "gfx1152")
"""RDNA 3.5: reported for gfx1151, its siblings have the same cores."""


def check() -> str:
    """The GPU, and what the user has said."""
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
    """Set the variable that vLLM and flash-attn look at, for this process and those it starts."""
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


PATCH = Patch(
    name="vllm-rocm-vit-attention",
    package="vllm",
    versions=">=0.11,<0.29",
    replaces=f"nothing: it sets {VARIABLE}",
    why="PyTorch's attention on RDNA materializes scores or is slow; the time to the first token is 1.8 to 6.5 times "
    "as long",
    how="the variable is set unless the user has set it, where the kernels are there and not known to be slower",
    upstream="https://github.com/vllm-project/vllm/pull/32944; slower on gfx1151 since AITER: "
    "https://github.com/Dao-AILab/flash-attention/issues/2392; "
    "https://github.com/vllm-project/vllm/pull/50449 lets flash-attn decide",
    remove_when="vLLM takes flash attention on RDNA without being asked (vllm PR #50449)",
    check=check,
    install=install,
)
