"""Patches of other people's packages: installed from outside, undone by a switch.

::

    from mineru_accel import patches

    patches.apply("vllm-vit-graphs")   # Status(name, state, reason); never raises for a patch that can't apply
    patches.status()                   # one Status per patch
    patches.revert("vllm-vit-graphs")

One file per patch. :mod:`.records` lists them with their texts; ``docs/patches.md`` is made from it.
"""

from __future__ import annotations

from .patch import NotApplicable, NotNeeded, Patch, State, Status, Undo
from .registry import apply, apply_selected, find, names, revert, selected, status

__all__ = [
    "NotApplicable",
    "NotNeeded",
    "Patch",
    "State",
    "Status",
    "Undo",
    "apply",
    "apply_selected",
    "find",
    "names",
    "revert",
    "selected",
    "status",
]
