"""Limiting the GPUs that a process sees.

An engine's process sees its own alone, as the first: code that vLLM compiled for ``cuda:0`` and cached (its AOT
cache) does not run on ``cuda:1``, and not every vLLM can be told a device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

VARIABLES = {"cuda": ("CUDA_VISIBLE_DEVICES",), "hip": ("HIP_VISIBLE_DEVICES", "CUDA_VISIBLE_DEVICES")}
"""Environment variables with the GPUs that a process sees, by kind of accelerator; the first one prevails."""


def pinned(environment: Mapping[str, str], kind: str, devices: Sequence[int]) -> dict[str, str]:
    """The environment of a process that is to see some GPUs only.

    Args:
        environment: This process's; may limit its GPUs already (by numbers or UUIDs).
        kind: cuda, hip or cpu.
        devices: Numbers among the GPUs that this process sees; an empty sequence changes nothing.

    Raises:
        ValueError: if a number is too large.
    """
    wanted = dict(environment)
    if not devices or kind not in VARIABLES:
        return wanted
    seen = next((environment[name] for name in VARIABLES[kind] if environment.get(name)), "")
    names = [name.strip() for name in seen.split(",")] if seen else [str(n) for n in range(max(devices) + 1)]
    if min(devices) < 0 or max(devices) >= len(names):
        raise ValueError(f"no GPU {max(devices)} among those that this process sees: {seen}")
    for name in VARIABLES[kind]:
        wanted.pop(name, None)
    wanted[VARIABLES[kind][0]] = ",".join(names[device] for device in devices)  # vLLM sets ROCm's other one alike
    return wanted
