"""The machine and the package versions that a report was made with."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...hardware import gpus
from ...hardware.cores import usable_cores
from ...version import __version__

_PACKAGES = ("mineru", "docvortex", "onnxruntime", "torch", "triton", "vllm", "mineru-vl-utils")


def machine() -> dict[str, Any]:
    """CPU, usable cores, memory in GiB, GPUs, operating system and load average of this machine."""
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "gpus": gpus.names(),
        "system": f"{platform.system()} {platform.release()}",
        "load": [round(os.getloadavg()[0], 1)],
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def versions(packages: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Versions of Python, of this package and of those of ``packages`` that are installed."""
    found = {"python": platform.python_version(), "mineru-accel": __version__}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
