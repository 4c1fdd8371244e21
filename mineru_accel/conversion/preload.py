"""What worker processes have imported before their first job: the only list of modules by name.

The zygote (see :mod:`mineru_accel.workers.zygote`) imports them once, and the workers that it forks share their memory.
They are named, not imported, because the parent process must not import them: it starts faster without. A module that
is missing here is imported by the first job that needs it, in every worker anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..options import Options
    from .plan import Plan

EVERY_WORKER = ("mineru_accel.conversion.worker_imports",)
"""Whatever a worker is to do. The command starts a zygote with these before it knows its options."""
_READING_NATIVE = ("mineru_accel.reading.native",)
_READING_REGIONS = ("mineru_accel.reading.blocks",)
_READING_VLM = ("mineru_accel.reading.vlm_jobs",)
_MINERU_CLIENT = ("mineru_vl_utils.vlm_client.http_client", "httpcore")
"""What MinerU's client imports when it is made."""
_OCR_LINES = ("mineru_accel.pdf.ocr_preload",)
_WRITING = ("mineru_accel.export.writer",)
_FIRST_USE = (
    "docvortex.analyzers.native.pdf.inline.materialize",
    "docvortex.analyzers.native.pdf.table_materialization",
    "docvortex.analyzers.native.pdf.line_merging",
    "docvortex.document.pdf.snapshot_bridge",
    "docvortex.document.pdf._object_bridge",
    "PIL.JpegImagePlugin",
)
"""What docvortex and Pillow import when they first need it."""
_FIRST_USE_NATIVE = ("docvortex.analyzers.native.pdf.pipeline", "docvortex.analyzers.native.pdf._native_geometry")


def at_once(options: Options, plan: Plan) -> tuple[str, ...]:
    """What the workers of a pipeline have imported before their first job."""
    from ..options import Engine, Layout
    from ..reading.source_policy import make_rule, trusts_text

    if plan.engine is None:
        return EVERY_WORKER + (_READING_NATIVE if plan.layout is Layout.NATIVE else _READING_REGIONS)
    modules: tuple[str, ...] = EVERY_WORKER + _READING_VLM
    if plan.engine is Engine.VLLM:  # which takes longer to start than these to be imported
        from ..vlm.image_patches import MODULES

        modules += MODULES
    modules += _MINERU_CLIENT
    if trusts_text(make_rule(plan.backend, options.vlm_for, options.describe_images)):
        modules += _OCR_LINES
    return modules


def when_idle(plan: Plan) -> tuple[str, ...]:
    """What the zygote imports when nobody waits for a worker: complete workers have it, too."""
    from ..options import Layout

    return _FIRST_USE + (_FIRST_USE_NATIVE if plan.layout is Layout.NATIVE else ()) + _WRITING
