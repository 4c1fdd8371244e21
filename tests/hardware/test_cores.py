"""Cores that a process may use."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from mineru_accel.hardware import cores


@pytest.mark.parametrize(
    ("quota", "period", "expected"),
    [
        ("max 100000", None, 48),
        ("800000 100000", None, 8),
        ("50000 100000", None, 1),
        ("9600000 100000", None, 48),
        ("-1", "100000", 48),
        ("250000", "100000", 2),
        ("250000", None, 48),
        ("", None, 48),
        (None, None, 48),
    ],
)
def test_a_containers_share_counts(
    quota: str | None, period: str | None, expected: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(48)))
    monkeypatch.setattr(cores, "QUOTAS", (str(tmp_path / "quota"),))
    for name, text in (("quota", quota), ("cpu.cfs_period_us", period)):
        if text is not None:
            (tmp_path / name).write_text(text)
    assert cores.usable_cores() == expected
