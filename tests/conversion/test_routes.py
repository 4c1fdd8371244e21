"""The table of routes: which stages a plan's pages pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from mineru_accel.conversion.plan import Plan
from mineru_accel.conversion.routes import Stage, choose_route
from mineru_accel.options import Backend, Engine, Layout

READ, DETECT, PREPARE, ASK, EXTRACT = Stage


@pytest.mark.parametrize(
    ("layout", "engine", "stages"),
    [
        (Layout.NATIVE, None, (READ, EXTRACT)),
        (Layout.DOCLAYOUT_YOLO, None, (READ, DETECT, EXTRACT)),
        (Layout.DOCLAYOUT_YOLO, Engine.HTTP, (READ, DETECT, PREPARE, ASK, EXTRACT)),
        (Layout.VLM, Engine.HTTP, (READ, PREPARE, ASK, PREPARE, ASK, EXTRACT)),
    ],
)
def test_route_of_a_plan(layout: Layout, engine: Engine | None, stages: tuple[Stage, ...]) -> None:
    route = choose_route(Plan(Backend.PIPELINE, layout, "", Path("weights"), engine))
    assert route.stages == stages
    assert (route.pages_together > 1) == (layout is Layout.NATIVE)


def test_slot_is_kept_until_no_stage_needs_it() -> None:
    route = choose_route(Plan(Backend.VLM, Layout.VLM, "", None, Engine.HTTP))
    assert [route.needs_slot(step) for step in range(len(route.stages))] == [True] * 5 + [False]
    detector = choose_route(Plan(Backend.PIPELINE, Layout.DOCLAYOUT_YOLO, "", Path("weights")))
    assert [detector.needs_slot(step) for step in range(3)] == [True, True, False]
    assert not choose_route(Plan(Backend.PIPELINE, Layout.NATIVE, "")).needs_slot(0)
