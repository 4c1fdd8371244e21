"""Makes the engine that the options ask for."""

from __future__ import annotations

from pathlib import Path

from ...options import DEFAULT_VLM, Engine, Options
from ..protocol import VlmEngine


def make_engine(options: Options, engine: Engine, checkpoint: Path | None) -> VlmEngine:
    """An engine, not started yet.

    Args:
        engine: its kind; not ``auto``.
        checkpoint: folder of the VLM's weights; None where a server has them.
    """
    if engine is Engine.HTTP:
        from .http import HttpEngine

        return HttpEngine(options.urls, options.timeout, None if options.vlm == DEFAULT_VLM else options.vlm)
    assert checkpoint is not None
    if engine is Engine.TRANSFORMERS:
        from .transformers import TransformersEngine

        return TransformersEngine(checkpoint, options.device)
    from .vllm import VllmEngine

    return VllmEngine(checkpoint, options.vllm_args, options.vlm_replicas or "auto")
