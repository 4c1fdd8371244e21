"""The ``vllm.general_plugins`` entry point: vLLM calls `register` in each of its processes, maybe more than once.

No patch is applied unless ``MINERU_ACCEL_PATCHES`` selects it: `EngineSupervisor` sets that for its own processes, and
a user may set it for ``vllm serve``. `register` never raises: vLLM without patches is better than no vLLM.
"""

from __future__ import annotations


def register() -> None:
    """Apply the patches of vLLM that the environment selects; end this process with its owner, if it has one."""
    import os

    try:
        from ..workers import owner_watch

        owner_watch.watch()
    except Exception as error:
        _warn("this process may outlive its owner", error)
    if os.environ.get("MINERU_ACCEL_PATCHES", "none") in ("", "none"):
        return
    try:
        from .registry import apply_selected

        apply_selected("vllm")
    except Exception as error:
        _warn("patches were not applied", error)


def _warn(what: str, error: Exception) -> None:
    import logging

    logging.getLogger("vllm").warning("mineru-accel: %s: %s", what, error)
