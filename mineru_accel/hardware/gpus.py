"""This machine's GPUs: whether there are any, how many, their names, memory and share of cores.

torch is asked about the GPUs that this process may use, NVIDIA's driver (NVML) about those of the machine. Without
torch, driver or GPU every function answers that there is none.
"""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .cores import usable_cores


@dataclass(frozen=True, slots=True)
class Gpu:
    """A GPU as torch knows it."""

    name: str
    arch: str
    """``sm_90`` or ``gfx1100``."""
    memory_gib: float


def likely() -> bool:
    """Whether it is worth importing torch (seconds) to look for a GPU."""
    if sys.platform == "linux":
        return any(Path(p).exists() for p in ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg"))
    return shutil.which("nvidia-smi") is not None


def usable() -> bool:
    """Whether torch can use a GPU; False without torch."""
    try:
        import torch

        return torch.cuda.is_available()
    except Exception:
        return False


def visible() -> int:
    """Number of GPUs that torch sees; 0 without torch."""
    try:
        import torch

        return torch.cuda.device_count()
    except Exception:
        return 0


def cards() -> list[Gpu]:
    """The GPUs that torch can use, in torch's order. Starts CUDA in this process."""
    if not usable():
        return []
    import torch

    found = []
    for number in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(number)
        arch = getattr(card, "gcnArchName", "") or f"sm_{card.major}{card.minor}"
        found.append(Gpu(card.name, arch, card.total_memory / 2**30))
    return found


def names() -> list[str]:
    """Names of the GPUs: by torch if it is imported already, else by the vendor's tool, with the driver's version."""
    if "torch" in sys.modules and usable():
        return [card.name for card in cards()]
    for tool, *arguments in (
        ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"),
        ("amd-smi", "static", "--asic", "--csv"),
    ):
        if shutil.which(tool):
            try:
                done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=30)
            except (OSError, subprocess.TimeoutExpired):
                continue
            if done.returncode == 0:
                return [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return []


def memory_gib(devices: tuple[int, ...]) -> float:
    """Memory of the smallest of these GPUs, in GiB; 0 for no GPUs. Starts CUDA in this process."""
    if not devices:
        return 0.0
    import torch

    return min(torch.cuda.get_device_properties(device).total_memory for device in devices) / 2**30


def cores_each() -> float:
    """Cores that this process may use for each GPU of the machine, GPUs that it does not see included."""
    return usable_cores() / max(1, installed() or visible())


def installed() -> int:
    """Number of NVIDIA's GPUs in the machine, by NVML; 0 without it."""
    with nvml() as driver, contextlib.suppress(Exception):
        return int(driver.nvmlDeviceGetCount()) if driver else 0
    return 0


def cuda_capability() -> tuple[int, int] | None:
    """Compute capability of the first NVIDIA GPU, asked without starting CUDA where NVML can tell; None without one."""
    with nvml() as driver:
        if driver is None:
            import torch

            return torch.cuda.get_device_capability(0) if torch.cuda.is_available() else None
        with contextlib.suppress(Exception):
            if driver.nvmlDeviceGetCount() > 0:
                major, minor = driver.nvmlDeviceGetCudaComputeCapability(driver.nvmlDeviceGetHandleByIndex(0))
                return major, minor
    return None


@contextlib.contextmanager
def nvml() -> Iterator[Any]:
    """The module ``pynvml``, initialized; None without it, or without NVIDIA's driver."""
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
