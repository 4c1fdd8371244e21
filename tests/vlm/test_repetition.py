"""Loops are told from text that repeats for good reasons."""

from __future__ import annotations

import pytest

from mineru_accel.vlm.repetition import loop_reason

PROSE = (
    "The quick brown fox jumps over the lazy dog, and then it does something else entirely, because a fox that only "
    "jumps would be a dull animal; foxes dig, hide, hunt mice under the snow, and carry their young by the neck. "
)


@pytest.mark.parametrize(
    "text",
    [
        PROSE + "and so on " * 60,
        PROSE + "0" * 400,
        PROSE + "\\mathrm{x} + " * 40,
        PROSE + (PROSE[:90] + "; ") * 6,
        PROSE + "and so on " * 60 + "which MinerU's ban on repeated n-grams broke off",
    ],
)
def test_loops(text: str) -> None:
    assert loop_reason(text)


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        (PROSE * 2, "text"),
        ("Introduction " + ". " * 300 + "7", "text"),
        ("short short short", "text"),
        ("<fcel>a<fcel>b<nl>" + "<ecel><ecel><nl>" * 80, "table"),
        ("<fcel>n/a<fcel>0<nl>" * 20, "table"),
        ("\n".join(f"item {n} of the list" for n in range(60)), "text"),
    ],
)
def test_no_loops(text: str, kind: str) -> None:
    assert loop_reason(text, kind) is None


def test_tables_may_not_repeat_for_ever() -> None:
    assert loop_reason("<fcel>n/a<fcel>0<nl>" * 200, "table")
