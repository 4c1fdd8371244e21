"""What ``auto`` means on this machine: the back end and layout of a run, and why."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from .errors import UsageError
from .options import Backend, Layout, Options


@dataclass(frozen=True, slots=True)
class Plan:
    """The way every page of a run takes."""

    backend: Backend
    layout: Layout
    reason: str
    """One line for people."""
    weights: Path | None = None
    """Of the layout model, where there is one."""

    @property
    def effort(self) -> str:
        """MinerU's word for it (in ``_middle.json``): ``flash`` has no layout model, ``medium`` has one."""
        return "flash" if self.layout is Layout.NATIVE else "medium"


def make_plan(options: Options) -> Plan:
    """Decide how to convert.

    Raises:
        UsageError: if what was asked for can't be done by this version.
        ModelError: if a model that was asked for is not there.
    """
    if options.backend in (Backend.VLM, Backend.HYBRID) or options.layout is Layout.VLM:
        what = "--layout vlm" if options.layout is Layout.VLM else f"-b {options.backend}"
        raise UsageError(f"{what}: this version can't run MinerU's VLM yet; use -b pipeline")
    if options.layout is Layout.NATIVE:
        return Plan(Backend.PIPELINE, Layout.NATIVE, "pipeline, native layout: asked for")
    from .models import find_layout_weights, require_layout_weights

    if options.layout is Layout.DOCLAYOUT_YOLO:  # only who asks for it by name may cause a download
        found = require_layout_weights(options.layout_weights, allow_download=not options.offline)
    else:
        maybe = find_layout_weights(options.layout_weights)
        if maybe is None:
            return Plan(
                Backend.PIPELINE,
                Layout.NATIVE,
                "pipeline, native layout (model-free): no weights of DocLayout-YOLO found",
            )
        found = maybe
    return Plan(Backend.PIPELINE, Layout.DOCLAYOUT_YOLO, f"pipeline, DocLayout-YOLO ({found.where})", found.path)
