"""Utilization of GPUs by NVML: the share of time in which any kernel runs, those of other programs included."""

from __future__ import annotations

import contextlib
import os
import statistics
import threading
from collections.abc import Sequence
from typing import Any

from ...hardware.gpus import nvml


class GpuUtilization(threading.Thread):
    """A context manager that samples the utilization of some GPUs.

    Args:
        devices: indices of GPUs visible to this process; None for all of them.
        interval: seconds between samples; NVML averages over the last sixth of a second or more.
    """

    def __init__(self, devices: Sequence[int] | None = None, interval: float = 0.2) -> None:
        super().__init__(daemon=True)
        self._devices = devices
        self._interval = interval
        self._samples: list[float] = []
        self._over = threading.Event()

    def run(self) -> None:
        """Sample until the context ends; without NVML there are no samples."""
        with nvml() as driver, contextlib.suppress(Exception):
            if driver is None:
                return
            visible = os.environ.get("CUDA_VISIBLE_DEVICES", "")
            names = visible.split(",") if visible else [str(n) for n in range(driver.nvmlDeviceGetCount())]
            wanted = [names[i].strip() for i in self._devices or range(len(names))]
            gpus = [_gpu(driver, name) for name in wanted]
            while not self._over.wait(self._interval):
                loads = [driver.nvmlDeviceGetUtilizationRates(gpu).gpu for gpu in gpus]
                self._samples.append(statistics.mean(loads))

    def mean(self) -> float:
        """Mean over time and GPUs in per cent; nan without samples."""
        return statistics.mean(self._samples) if self._samples else float("nan")

    def __enter__(self) -> GpuUtilization:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self.join(timeout=5)


def _gpu(driver: Any, name: str) -> object:
    """NVML's handle of a GPU by its number or UUID."""
    return driver.nvmlDeviceGetHandleByIndex(int(name)) if name.isdigit() else driver.nvmlDeviceGetHandleByUUID(name)
