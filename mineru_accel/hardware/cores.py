"""The CPU cores that this process may use."""

from __future__ import annotations

import os
from pathlib import Path

QUOTAS = ("/sys/fs/cgroup/cpu.max", "/sys/fs/cgroup/cpu/cpu.cfs_quota_us")
"""Files with a container's share of CPU time, of cgroups version 2 and 1."""


def usable_cores() -> int:
    """Number of cores that this process may run on, or that correspond to its container's share of CPU time."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    for path in QUOTAS:
        try:
            quota, *period = Path(path).read_text().split()
            share = int(quota) / int(period[0] if period else Path(path).with_name("cpu.cfs_period_us").read_text())
        except (OSError, ValueError, ZeroDivisionError):  # no such file, or "max"
            continue
        if share > 0:  # -1: no limit
            cores = min(cores, max(1, round(share)))
    return cores
