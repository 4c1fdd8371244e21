"""Words that the edge of a region cuts."""

from __future__ import annotations

import pytest

from mineru_accel.pdf.docvortex.pages import TextLine
from mineru_accel.reading.text.lines import assign_to_regions


def line(text: str, font: str = "Times") -> TextLine:
    """Letters five points wide and ten high, from 0."""
    return TextLine(
        [{"char": c, "bbox": (5 * i, 0, 5 * i + 5, 10), "font": {"name": font}} for i, c in enumerate(text)]
    )


def split(text: str, edge: float) -> list[str]:
    """The text of two regions side by side."""
    inside, _ = assign_to_regions([line(text)], [(0, 0, edge, 10), (edge, 0, 60, 10)])
    return ["".join(c["char"] for one in inside.get(n, []) for c in one.chars).strip() for n in (0, 1)]


@pytest.mark.parametrize(
    ("edge", "left", "right"),
    [(8, "the", "meadow"), (3, "", "the meadow"), (31, "the", "meadow"), (41, "the meadow", "")],
)
def test_a_word_belongs_to_the_region_with_most_of_it(edge: float, left: str, right: str) -> None:
    assert split("the meadow", edge) == [left, right]


def test_ideographs_stay_where_they_are() -> None:
    assert split("海港建于石头", 10) == ["海港", "建于石头"]
