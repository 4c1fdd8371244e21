"""Modules that worker processes have imported before their first job: the only list of modules by name.

The zygote (see :mod:`mineru_accel.workers.zygote`) imports them once, and the workers that it forks share their memory.
They are named, not imported, because the parent process must not import them: it starts faster without. A module that
is missing here is imported by the first job that needs it, in every worker anew.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..options import Options
    from .plan import Plan

EVERY_WORKER: tuple[str, ...] = ("mineru_accel.conversion.worker_imports",)
"""Imported by every worker. The command starts a zygote with these before it knows its options."""
_READING_NATIVE = ("mineru_accel.reading.native",)
_READING_REGIONS = ("mineru_accel.reading.blocks", "mineru_accel.reading.page_end")
_READING_WITH_VLM = ("mineru_accel.reading.vlm_requests", "mineru_accel.reading.vlm_answers")
_MINERU_CLIENT = ("mineru_vl_utils.vlm_client.http_client", "httpcore")
"""Imported by MinerU's client when it is made."""
_OCR_LINES = ("mineru_accel.pdf.ocr_preload",)
_WRITING = ("mineru_accel.export.writer",)
_PICTURES = ("PIL.JpegImagePlugin",)
"""Imported by Pillow when it first writes a picture."""


def at_once(options: Options, plan: Plan) -> tuple[str, ...]:
    """Modules that the workers of a pipeline have imported before their first job."""
    from ..options import Engine, Layout
    from ..reading.source_policy import make_source_policy

    modules = EVERY_WORKER
    if plan.layout is Layout.NATIVE:
        modules += _READING_NATIVE
    elif plan.layout is Layout.DOCLAYOUT_YOLO:
        modules += _READING_REGIONS
    if plan.engine:
        modules += _READING_WITH_VLM
    if plan.engine is Engine.VLLM:  # which takes longer to start than these to be imported
        from ..patches.image_patches import MODULES

        modules += MODULES
    if plan.engine:
        modules += _MINERU_CLIENT
    if make_source_policy(plan.backend, options.vlm_for, options.describe_images).compares_with_pixels:
        modules += _OCR_LINES
    return modules


def when_idle(plan: Plan) -> tuple[str, ...]:
    """Modules that the zygote imports when nobody waits for a worker: complete workers have them, too."""
    from ..options import Layout
    from ..pdf.docvortex import LOADED_BY_NATIVE_ANALYSIS, LOADED_WHEN_NEEDED

    native = LOADED_BY_NATIVE_ANALYSIS if plan.layout is Layout.NATIVE else ()
    return LOADED_WHEN_NEEDED + _PICTURES + native + _WRITING
