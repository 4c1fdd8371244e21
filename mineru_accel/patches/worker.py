"""What our engine's workers mix in: vLLM imports this (``worker_extension_cls``) before it builds the model.

The entry point has applied the patches by then, unless the package's metadata is missing (a source tree on
``PYTHONPATH``) or ``VLLM_PLUGINS`` names others. A client that sends one frame to a worker that expects two kills the
engine, so the worker makes sure here, and can be asked.
"""

from __future__ import annotations

from . import plugin

plugin.register()


class PatchStates:
    """Mixed into vLLM's worker."""

    def accel_patch_states(self) -> dict[str, str]:
        """Name of each patch -> its state in this process; for ``collective_rpc``."""
        from .registry import status

        return {each.name: str(each) for each in status()}
