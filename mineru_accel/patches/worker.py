"""The extension class of vLLM's workers (``worker_extension_cls``), which vLLM imports before it builds the model.

The entry point has applied the patches by then, unless the package's metadata is missing (a source tree on
``PYTHONPATH``) or ``VLLM_PLUGINS`` names other plugins. A client that sends one frame to a worker that expects two
kills the engine, so importing this module applies the patches as well, and the worker tells their states.
"""

from __future__ import annotations

from . import plugin

plugin.register()


class PatchStates:
    """A method that vLLM adds to its worker."""

    def accel_patch_states(self) -> dict[str, str]:
        """Names of patches -> their states in this process; called through ``collective_rpc``."""
        from .registry import status

        return {each.name: str(each) for each in status()}
