"""This machine's GPUs, and what each has."""

from __future__ import annotations

import contextlib

from .accelerator import nvml
from .cores import usable_cores


def visible() -> int:
    """How many torch sees; 0 without torch."""
    try:
        import torch

        return torch.cuda.device_count()
    except Exception:
        return 0


def memory_gib(devices: tuple[int, ...]) -> float:
    """Of the smallest of them; 0 without any. Starts CUDA in this process."""
    if not devices:
        return 0.0
    import torch

    return min(torch.cuda.get_device_properties(device).total_memory for device in devices) / 2**30


def cores_each() -> float:
    """Cores that this process may use for each GPU of the machine, those that other processes have included."""
    return usable_cores() / max(1, _installed() or visible())


def _installed() -> int:
    with nvml() as driver, contextlib.suppress(Exception):
        return int(driver.nvmlDeviceGetCount()) if driver else 0
    return 0
