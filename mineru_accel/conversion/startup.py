"""Starting what a pipeline needs: workers, models, and the scheduler that brings documents through them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..events import Event
from ..hardware.cores import usable_cores
from ..options import Engine, Layout, Options
from ..reading.source_policy import make_source_policy
from ..vlm.crop_queue import VlmStage
from ..workers.arena import Arena
from ..workers.memory_limit import default_limit
from ..workers.pool import WorkerPool
from ..workers.spawn import PRELOAD
from ..workers.trace import Tracer
from .page_jobs import Stages
from .plan import Plan
from .scheduler import Scheduler

if TYPE_CHECKING:
    from ..layout.protocol import LayoutDetector
    from ..vlm.protocol import VlmEngine

WORKER_OUTPUT = "MINERU_ACCEL_WORKER_OUTPUT"
"""Environment variable: if set, what native libraries print in workers is shown."""
_LAZY = (
    "docvortex.analyzers.native.pdf.inline.materialize",
    "docvortex.analyzers.native.pdf.table_materialization",
    "docvortex.analyzers.native.pdf.line_merging",
    "docvortex.document.pdf.snapshot_bridge",
    "docvortex.document.pdf._object_bridge",
    "PIL.JpegImagePlugin",
)
"""What docvortex and Pillow import when they first need it: once in the zygote is cheaper than in each worker."""
_LAZY_NATIVE = ("docvortex.analyzers.native.pdf.pipeline", "docvortex.analyzers.native.pdf._native_geometry")
_CLIENT = ("mineru_vl_utils.vlm_client.http_client", "httpcore")
"""What MinerU's client imports when it is made."""
_READING = {
    Layout.NATIVE: ("mineru_accel.reading.native",),
    Layout.DOCLAYOUT_YOLO: ("mineru_accel.reading.blocks", "mineru_accel.reading.page_end"),
}
_READING_WITH_VLM = ("mineru_accel.reading.vlm_requests", "mineru_accel.reading.vlm_answers")
_MAX_WORKERS = 32
_MAX_IMGSZ = 2048
_SLOT_BYTES = 3 * 2200 * 2200
"""A page at 200 dpi, of A4 or Letter; crops of a larger one that don't fit travel otherwise."""
_VLM_PAGES = 192
_VLM_BYTES = 1 << 30
"""Pages in flight with a VLM: at most so many, and at least so many bytes."""


@dataclass(frozen=True, slots=True)
class Started:
    """A scheduler that is ready for documents; closing it closes the rest."""

    scheduler: Scheduler
    stages: Stages
    """Of documents that bring none of their own."""
    pool: WorkerPool


def start(
    options: Options,
    plan: Plan,
    workers: int,
    on_event: Callable[[Event], None],
    tracer: Tracer | None = None,
    threads: int | None = None,
    engine: Callable[[], VlmEngine] | None = None,
) -> Started:
    """Start workers and load models, once for as many documents as follow.

    Args:
        workers: processes.
        threads: CPU threads of the layout model; default: one per CPU.
        engine: makes the VLM's, if the plan has one; default: :func:`make_engine`.

    Raises:
        ModelError: if a model is not there.
    """
    later = (*_LAZY, *(_LAZY_NATIVE if plan.layout is Layout.NATIVE else ()), "mineru_accel.export.writer")
    modules = list(_READING.get(plan.layout, ()))
    if plan.engine:
        modules += _READING_WITH_VLM
    if plan.engine is Engine.VLLM:  # which takes longer to start than these to be imported
        from ..models.image_patches import MODULES

        modules += MODULES
    if plan.engine:
        modules += _CLIENT
    if make_source_policy(plan.backend, options.vlm_for, options.describe_images).compares_with_pixels:
        modules.append("mineru_accel.pdf.ocr_preload")
    with contextlib.ExitStack() as failed:
        if arena := _make_arena(options, plan, workers):
            failed.callback(arena.close)
        pool = make_pool(options, workers, modules, arena, tracer, later)  # starts while the models are loaded
        failed.callback(pool.close)
        detector = vlm = None
        if plan.layout is Layout.DOCLAYOUT_YOLO:
            detector = _load_detector(options, plan, threads)
            failed.callback(detector.close)
        if plan.engine and arena:
            vlm = _start_vlm(engine() if engine else make_engine(options, plan), arena, options.timeout, tracer)
        failed.pop_all()  # it is the scheduler that closes them
    stages = Stages(options, plan, detector.imgsz if detector else 0)
    return Started(Scheduler(stages, pool, arena, detector, on_event, vlm, tracer), stages, pool)


def make_pool(
    options: Options,
    workers: int,
    modules: Sequence[str],
    arena: Arena | None = None,
    tracer: Tracer | None = None,
    later: Sequence[str] = (),
) -> WorkerPool:
    """Start workers that have imported some modules besides what all have; complete ones also what comes later."""
    return WorkerPool(
        workers,
        (*PRELOAD, *modules),
        arena,
        later,
        memory=options.worker_memory << 20 if options.worker_memory else default_limit(workers),
        tracer=tracer,
        quiet=not os.environ.get(WORKER_OUTPUT),
    )


def default_workers() -> int:
    """One worker a core that this process may use, 32 at most."""
    return min(usable_cores(), _MAX_WORKERS)


def _make_arena(options: Options, plan: Plan, workers: int) -> Arena | None:
    """Room for the pixels of the pages in flight: those that wait for the detector, and for the VLM."""
    if plan.engine:
        pages = 8 if plan.engine is Engine.TRANSFORMERS else _VLM_PAGES
        room = max(_VLM_BYTES, _available_bytes() // 8)
        return Arena(slots=max(2 * workers, min(pages, room // _SLOT_BYTES)), slot_bytes=_SLOT_BYTES)
    if plan.layout is Layout.DOCLAYOUT_YOLO:
        return Arena(slots=max(8, 2 * workers), slot_bytes=3 * (options.imgsz or _MAX_IMGSZ) ** 2)
    return None


def _load_detector(options: Options, plan: Plan, threads: int | None) -> LayoutDetector:
    from ..layout import load_detector

    assert plan.weights is not None
    return load_detector(plan.weights, device=options.device, imgsz=options.imgsz, threads=threads)


def make_engine(options: Options, plan: Plan) -> VlmEngine:
    """The VLM's engine, not started."""
    from ..vlm.engines import choose

    return choose.make_engine(options, plan)


def _start_vlm(engine: VlmEngine, arena: Arena, timeout: float, tracer: Tracer | None) -> VlmStage:
    vlm = VlmStage(engine, arena, timeout, tracer)
    try:
        vlm.start()
    except BaseException:
        vlm.close()
        raise
    return vlm


def _available_bytes() -> int:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    except (ValueError, OSError):
        return 0
