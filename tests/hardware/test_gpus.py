"""What NVIDIA's driver is asked, with a stand-in for it."""

from __future__ import annotations

from typing import Any

import pytest
from stand_in_nvml import Driver

from mineru_accel.hardware import gpus


def test_what_there_is(driver: Driver) -> None:
    assert gpus.cuda_capability() == (9, 0)
    assert gpus.installed() == 2


def test_a_driver_that_answers_nothing(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> Any:
        raise OSError("driver mismatch")

    monkeypatch.setattr(driver, "nvmlDeviceGetCount", fail)
    assert gpus.cuda_capability() is None
    assert gpus.installed() == 0


def test_no_driver(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise OSError("no driver")

    monkeypatch.setattr(driver, "nvmlInit", fail)
    with gpus.nvml() as asked:
        assert asked is None
    assert gpus.installed() == 0
