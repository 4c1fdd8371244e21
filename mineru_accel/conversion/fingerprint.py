"""What a result depends on: the file, the options that change what it says, the plan and the version."""

from __future__ import annotations

from ..options import Options
from ..storage.fingerprint import Fingerprint, fingerprint
from ..version import __version__
from .plan import Plan

_WITHOUT_EFFECT = {
    *("workers", "device", "overwrite", "password", "offline", "page_timeout", "document_timeout", "worker_memory"),
    *("resume", "max_failed_pages", "fail_fast", "profile"),
    *("executor", "ray_address", "ray_actors", "ray_gpus", "part_pages"),
    *("engine", "urls", "vllm_args", "vlm_replicas", "timeout"),
}
"""Options that change how a result is made, not what it is."""


def made_from(digest: str, options: Options, plan: Plan) -> Fingerprint:
    """The fingerprint of a result of the file with this SHA-256."""
    what = options.model_dump(mode="json", exclude=_WITHOUT_EFFECT)
    what |= {"plan": str(plan.layout), "weights": plan.weights.name if plan.weights else None}
    return fingerprint(digest, what, __version__)
