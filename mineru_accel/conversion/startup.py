"""Starts a pipeline: workers, models, and the scheduler that brings documents through them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..events import Event
from ..hardware.cores import usable_cores
from ..options import Engine, Layout, Options
from ..vlm.crop_queue import VlmStage
from ..workers.arena import Arena
from ..workers.memory_limit import default_limit
from ..workers.pool import WorkerPool
from ..workers.trace import Tracer
from .page_jobs import PageJobs
from .plan import Plan
from .preload import EVERY_WORKER, at_once, when_idle
from .routes import choose_route
from .scheduler import Scheduler

if TYPE_CHECKING:
    from ..layout.protocol import LayoutDetector
    from ..vlm.protocol import VlmEngine

WORKER_OUTPUT = "MINERU_ACCEL_WORKER_OUTPUT"
"""Environment variable: if set, output of native libraries in workers is shown."""
_MAX_WORKERS = 32
_MAX_IMGSZ = 2048
SLOT_BYTES = 3 * 2200 * 2200
"""A page at 200 dpi, of A4 or Letter; crops of a larger one that don't fit are sent as bytes (``Crop.data``)."""
_VLM_PAGES = 192
"""Maximum pages in flight with a VLM."""
_VLM_BYTES = 1 << 30
"""Memory that pages in flight with a VLM may take even where little is available."""


@dataclass(frozen=True, slots=True)
class Started:
    """A started pipeline; closing the scheduler closes the rest."""

    scheduler: Scheduler
    jobs: PageJobs
    """Jobs of documents that are converted with the pipeline's own options."""
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
    with contextlib.ExitStack() as failed:
        if arena := _make_arena(options, plan, workers):
            failed.callback(arena.close)
        modules = at_once(options, plan)
        pool = make_pool(options, workers, modules, arena, tracer, when_idle(plan))  # starts while models are loaded
        failed.callback(pool.close)
        detector = vlm = None
        if plan.layout is Layout.DOCLAYOUT_YOLO:
            detector = _load_detector(options, plan, threads)
            failed.callback(detector.close)
        if plan.engine and arena:
            vlm = _start_vlm(engine() if engine else make_engine(options, plan), arena, options.timeout, tracer)
        failed.pop_all()  # from here on the scheduler closes them
    scheduler = Scheduler(choose_route(plan), pool, on_event, arena=arena, detector=detector, vlm=vlm, tracer=tracer)
    return Started(scheduler, PageJobs(options, plan, detector.imgsz if detector else 0), pool)


def make_pool(
    options: Options,
    workers: int,
    modules: Sequence[str] = EVERY_WORKER,
    arena: Arena | None = None,
    tracer: Tracer | None = None,
    later: Sequence[str] = (),
) -> WorkerPool:
    """Start workers that have imported ``modules`` before their first job; complete ones have ``later`` as well."""
    return WorkerPool(
        workers,
        modules,
        arena,
        later,
        memory=options.worker_memory << 20 if options.worker_memory else default_limit(workers),
        tracer=tracer,
        quiet=not os.environ.get(WORKER_OUTPUT),
    )


def default_workers() -> int:
    """The number of cores that this process may use, but no more than 32."""
    return min(usable_cores(), _MAX_WORKERS)


def _make_arena(options: Options, plan: Plan, workers: int) -> Arena | None:
    """Room for the pixels of the pages in flight: those that wait for the detector, and for the VLM."""
    if plan.engine:
        pages = 8 if plan.engine is Engine.TRANSFORMERS else _VLM_PAGES
        room = max(_VLM_BYTES, _available_bytes() // 8)
        return Arena(slots=max(2 * workers, min(pages, room // SLOT_BYTES)), slot_bytes=SLOT_BYTES)
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

    assert plan.engine is not None
    return choose.make_engine(options, plan.engine, plan.vlm)


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
