"""Copies from the host's memory to a device's that don't make the host wait; used by several patches."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_device(array: np.ndarray, device: torch.device, pinned: bool = True) -> Tensor:
    """A copy of an array on a device; the host doesn't wait for the GPU.

    Args:
        pinned: copy through pinned memory, which not every GPU's host has (vLLM's ``PIN_MEMORY``).
    """
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return (tensor.pin_memory() if pinned else tensor).to(device, non_blocking=True)
