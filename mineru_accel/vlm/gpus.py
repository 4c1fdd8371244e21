"""This machine's GPUs, asked without starting CUDA where that is possible (vLLM forks later)."""

from __future__ import annotations

import os
import sys


def visible() -> int:
    """How many torch sees; 0 without torch."""
    try:
        import torch

        return torch.cuda.device_count()
    except Exception:
        return 0


def memory_gib(devices: tuple[int, ...]) -> float:
    """All memory of the first of them; 0 without any."""
    if not devices:
        return 0.0
    import torch

    return torch.cuda.get_device_properties(devices[0]).total_memory / 2**30


def cores_each() -> float:
    """Cores that this process may use for each GPU of the machine, those that other processes have included."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return cores / max(1, _installed() or visible())


def _installed() -> int:
    try:
        import pynvml

        pynvml.nvmlInit()
    except Exception:
        return 0
    try:
        return int(pynvml.nvmlDeviceGetCount())
    except Exception:
        return 0
    finally:
        pynvml.nvmlShutdown()
