"""Utilization of GPUs, with a stand-in for NVIDIA's driver."""

from __future__ import annotations

from typing import Any

import pytest
from common import PATIENCE, wait_until
from stand_in_nvml import Driver

from mineru_accel.bench.vlm.gpu_utilization import GpuUtilization


def test_a_driver_that_answers_nothing(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise OSError("driver mismatch")

    monkeypatch.setattr(driver, "nvmlDeviceGetCount", fail)
    with GpuUtilization() as found:
        found.join(PATIENCE)
    assert found.mean() != found.mean()


@pytest.mark.parametrize(("seen", "devices", "mean"), [("", None, 50), ("", [0], 40), ("0,GPU-b", [1], 60)])
def test_busy(seen: str, devices: Any, mean: float, driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", seen)
    with GpuUtilization(devices, interval=0.01) as found:
        assert wait_until(lambda: found.mean() == mean)
    assert found.mean() == mean
