"""A stand-in for NVIDIA's driver library."""

from __future__ import annotations

from types import ModuleType, SimpleNamespace
from typing import Any


class Driver(ModuleType):
    """Two GPUs, 40 and 60 % busy."""

    def __init__(self) -> None:
        super().__init__("pynvml")
        self.started = 0

    def nvmlInit(self) -> None:
        self.started += 1

    def nvmlShutdown(self) -> None:
        self.started -= 1

    def nvmlDeviceGetCount(self) -> int:
        return 2

    def nvmlDeviceGetHandleByIndex(self, index: int) -> int:
        return index

    def nvmlDeviceGetHandleByUUID(self, name: str) -> int:
        return {"GPU-b": 1}[name]

    def nvmlDeviceGetCudaComputeCapability(self, gpu: int) -> list[int]:
        return [9, gpu]

    def nvmlDeviceGetUtilizationRates(self, gpu: int) -> Any:
        return SimpleNamespace(gpu=(40, 60)[gpu])
