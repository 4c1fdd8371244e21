"""The stages that a page passes, in order: one table, chosen once from the plan."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from ..options import Layout
from ..reading.types import PAGES_PER_ANALYSIS
from .plan import Plan


class Stage(StrEnum):
    """A stage of a page."""

    READ = "read"
    """A worker decides where the text comes from, runs OCR if there is no engine for a VLM, and renders the page."""
    DETECT = "detect"
    """The layout model finds the regions."""
    PREPARE = "prepare"
    """A worker decides what the VLM is asked, and cuts the crops."""
    ASK = "ask"
    """The VLM answers the crops; passed over where there are none."""
    EXTRACT = "extract"
    """A worker makes the page's blocks and stores them; always the last stage."""


_IN_SLOT = frozenset({Stage.DETECT, Stage.PREPARE, Stage.ASK})
"""Stages that use the page's slot of the arena: pixels for the detector, crops for the VLM."""


@dataclass(frozen=True, slots=True)
class Route:
    """The stages of every page of a pipeline."""

    stages: tuple[Stage, ...]
    pages_together: int = 1
    """Consecutive pages that are extracted in one job, as soon as all of them are read."""

    def needs_slot(self, step: int) -> bool:
        """Whether the stage at ``step`` or a later one uses the page's slot of the arena."""
        return not _IN_SLOT.isdisjoint(self.stages[step:])


NATIVE = Route((Stage.READ, Stage.EXTRACT), pages_together=PAGES_PER_ANALYSIS)
DETECTOR = Route((Stage.READ, Stage.DETECT, Stage.EXTRACT))
DETECTOR_AND_VLM = Route((Stage.READ, Stage.DETECT, Stage.PREPARE, Stage.ASK, Stage.EXTRACT))
VLM_TWICE = Route((Stage.READ, Stage.PREPARE, Stage.ASK, Stage.PREPARE, Stage.ASK, Stage.EXTRACT))
"""The VLM is asked for the layout first, then for the content of the regions that it found."""


def choose_route(plan: Plan) -> Route:
    """The route of a plan's pages."""
    if plan.engine is not None:
        return VLM_TWICE if plan.layout is Layout.VLM else DETECTOR_AND_VLM
    return NATIVE if plan.layout is Layout.NATIVE else DETECTOR
