"""From the host's memory to a device's."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor


def to_device(array: np.ndarray, device: torch.device, pinned: bool = True) -> Tensor:
    """Without making the host wait for what the GPU is doing.

    Args:
        pinned: whether through pinned memory, which not every GPU's host has (vLLM's ``PIN_MEMORY``).
    """
    tensor = torch.from_numpy(array)
    if device.type != "cuda":
        return tensor.to(device)
    return (tensor.pin_memory() if pinned else tensor).to(device, non_blocking=True)
