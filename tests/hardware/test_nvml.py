"""What NVIDIA's driver is asked, with a stand-in for it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from common import PATIENCE

from mineru_accel.bench.vlm import gpu_utilization
from mineru_accel.hardware import gpus


class Driver(ModuleType):
    """Two GPUs, 40 and 60 % gpu_utilization."""

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


@pytest.fixture
def driver(monkeypatch: pytest.MonkeyPatch) -> Iterator[Driver]:
    made = Driver()
    monkeypatch.setitem(sys.modules, "pynvml", made)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    yield made
    assert made.started == 0  # and every time ended


def test_what_there_is(driver: Driver) -> None:
    assert gpus.cuda_capability() == (9, 0)
    assert gpus.installed() == 2


def test_a_driver_that_answers_nothing(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise OSError("driver mismatch")

    monkeypatch.setattr(driver, "nvmlDeviceGetCount", fail)
    assert gpus.cuda_capability() is None
    assert gpus.installed() == 0
    with gpu_utilization.GpuUtilization() as found:
        time.sleep(0.01)
    assert found.mean() != found.mean()


def test_no_driver(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("no driver")

    monkeypatch.setattr(driver, "nvmlInit", fail)
    with gpus.nvml() as asked:
        assert asked is None
    assert gpus.installed() == 0


@pytest.mark.parametrize(("seen", "devices", "mean"), [("", None, 50), ("", [0], 40), ("0,GPU-b", [1], 60)])
def test_busy(seen: str, devices: Any, mean: float, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    monkeypatch.setattr(gpu_utilization, "_INTERVAL", 0.01)
    with gpu_utilization.GpuUtilization(devices) as found:
        latest = time.monotonic() + PATIENCE
        while found.mean() != mean and time.monotonic() < latest:
            time.sleep(0.01)
    assert found.mean() == mean
