"""Flash attention on RDNA: where it is switched on, against stand-ins of vLLM's rocm platform and of flash-attn."""

from __future__ import annotations

import os

import pytest

from mineru_accel import patches
from mineru_accel.hardware import accelerator
from mineru_accel.patches import State
from mineru_accel.patches.vllm import rocm_vit_attention as patch

NAME = "vllm-rocm-vit-attention"


@pytest.fixture
def rdna(monkeypatch, module, versions):
    """``rdna("gfx1100", vllm="0.28.0", flash="2.8.3", kernels=(...))``"""

    def make(arch="gfx1100", vllm="0.28.0", flash="2.8.3", kernels=(patch.BUILT_IN,), kind="hip"):
        monkeypatch.delenv(patch.VARIABLE, raising=False)
        monkeypatch.setattr(accelerator, "accelerator", lambda: accelerator.Accelerator(kind, arch))
        monkeypatch.setattr(patch, "is_installed", lambda name: name in kernels)
        versions(vllm=vllm, flash_attn=flash)
        # 0.11.0 has no such function, 0.19.1 and 0.28.0 do
        module("vllm.platforms.rocm", **({} if vllm == "0.11.0" else {"flash_attn_triton_available": lambda: True}))

    return make


@pytest.mark.parametrize("vllm", ["0.19.1", "0.28.0"])
@pytest.mark.parametrize(
    ("arch", "kernels", "whose"),
    [
        ("gfx1100", patch.BUILT_IN, "flash-attn's"),
        ("gfx1151", patch.BUILT_IN, "flash-attn's"),
        ("gfx1201", patch.AITER, "AITER's"),
    ],
)
def test_switched_on_and_off_again(rdna, vllm, arch, kernels, whose):
    rdna(arch, vllm, kernels=(kernels,))
    status = patches.apply(NAME)
    assert status.state is State.ACTIVE and whose in status.reason
    assert os.environ[patch.VARIABLE] == "TRUE"
    patches.revert(NAME)
    assert patch.VARIABLE not in os.environ


@pytest.mark.parametrize(
    ("machine_", "line"),
    [
        ({"kind": "cuda", "arch": "sm_90"}, "not applicable, because it is for AMD's RDNA, and this is cuda sm_90"),
        ({"kind": "cpu", "arch": ""}, "not applicable, because it is for AMD's RDNA, and this is cpu"),
        ({"arch": "gfx942"}, "not needed, because vLLM takes flash attention on gfx942 by itself"),
        ({"flash": None}, "not applicable, because flash-attn is not installed"),
        ({"kernels": ()}, "not applicable, because neither flash-attn nor AITER has the Triton kernels"),
        (
            {"vllm": "0.11.0"},
            "not applicable, because this vLLM has no flash attention for vision towers on RDNA",
        ),
        (
            {"arch": "gfx1151", "kernels": (patch.AITER,)},
            "not applicable, because AITER's kernels are up to 3.7 times slower on gfx1151 "
            "(flash-attention issue 2392)",
        ),
    ],
)
def test_where_it_stays_off(rdna, machine_, line):
    rdna(**machine_)
    assert str(patches.apply(NAME)) == line
    assert patch.VARIABLE not in os.environ


def test_the_users_word_counts(rdna, monkeypatch):
    rdna()
    monkeypatch.setenv(patch.VARIABLE, "FALSE")
    assert str(patches.apply(NAME)) == f"not applicable, because {patch.VARIABLE} is FALSE"
    assert os.environ[patch.VARIABLE] == "FALSE"
    monkeypatch.setenv(patch.VARIABLE, "TRUE")  # as every process finds it that an engine starts
    assert patches.apply(NAME).state is State.ACTIVE
    patches.revert(NAME)
    assert os.environ[patch.VARIABLE] == "TRUE"
