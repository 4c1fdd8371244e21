"""Which engine runs the VLM."""

from __future__ import annotations

from ...conversion.plan import Plan
from ...options import DEFAULT_VLM, Engine, Options
from ..protocol import VlmEngine


def make_engine(options: Options, plan: Plan) -> VlmEngine:
    """The engine of a plan, not started yet."""
    if plan.engine is Engine.HTTP:
        from .http import HttpEngine

        return HttpEngine(options.urls, options.timeout, None if options.vlm == DEFAULT_VLM else options.vlm)
    assert plan.vlm is not None
    if plan.engine is Engine.TRANSFORMERS:
        from .transformers import TransformersEngine

        return TransformersEngine(plan.vlm, options.device)
    from .vllm import VllmEngine

    return VllmEngine(plan.vlm, options.vllm_args, options.vlm_replicas or "auto")
