"""Uses of Gradio (6.31) beside its documented API: the place to look first when its version changes."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import gradio as gr


def configure(cache: Path) -> None:
    """Set the environment that Gradio reads when it is imported: call this before.

    Args:
        cache: The folder for uploads and for files that are handed out. Gradio tells clients its path.
    """
    os.environ["GRADIO_TEMP_DIR"] = str(cache)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


def event_data(event: gr.EventData) -> dict[str, Any]:
    """The data that a component's script gave to ``trigger``. Untrusted: clients may send anything."""
    data = event._data
    return data if isinstance(data, dict) else {}


def fetches_from_elsewhere(path: str) -> bool:
    """Whether a request's path is one of Gradio's routes that fetch an address that the client names."""
    return "/proxy=" in path or "/file=http" in path
