"""The installed Python packages."""

from __future__ import annotations

import importlib.util


def is_installed(module: str) -> bool:
    """Whether a module can be found. Imports the packages above it, but not the module itself."""
    try:
        return importlib.util.find_spec(module) is not None
    except (ImportError, ValueError):
        return False
