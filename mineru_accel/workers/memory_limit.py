"""The memory limit of a worker."""

from __future__ import annotations

import os
from pathlib import Path

_MB = 1 << 20
_LEAST, _MOST = 1024 * _MB, 4096 * _MB
_SHARE = 0.75
_CGROUP_LIMITS = ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory/memory.limit_in_bytes")


def default_limit(workers: int) -> int:
    """A worker's share of three quarters of the machine's (or container's) memory, in bytes; 1 to 4 GB."""
    return int(min(max(_SHARE * _total() / workers, _LEAST), _MOST))


def _total() -> int:
    total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for path in _CGROUP_LIMITS:
        try:
            total = min(total, int(Path(path).read_text()))
        except (OSError, ValueError):  # no such file, or "max"
            continue
    return total
