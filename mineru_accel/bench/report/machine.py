"""The machine and the package versions that a report was made with."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ...hardware.cores import usable_cores
from ...version import __version__

_PACKAGES = ("mineru", "docvortex", "onnxruntime", "torch", "triton", "vllm", "mineru-vl-utils")


def machine() -> dict[str, Any]:
    """CPU, usable cores, memory in GiB, GPUs, operating system and load average of this machine."""
    return {
        "cpu": _cpu(),
        "cores": usable_cores(),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "gpus": _gpus(),
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


def _gpus() -> list[str]:
    """Names of the GPUs, from torch if it is already imported, else from the vendor's tool; [] if there are none."""
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        return [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
    for tool, *arguments in (
        ("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"),
        ("amd-smi", "static", "--asic", "--csv"),
    ):
        if shutil.which(tool):
            try:
                done = subprocess.run([tool, *arguments], capture_output=True, text=True, timeout=30)
            except (OSError, subprocess.TimeoutExpired):
                continue
            if done.returncode == 0:
                return [line.strip() for line in done.stdout.splitlines() if line.strip()]
    return []


def versions(packages: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Versions of Python, of this package and of those of ``packages`` that are installed."""
    found = {"python": platform.python_version(), "mineru-accel": __version__}
    for name in packages:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
