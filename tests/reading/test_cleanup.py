"""Corrections of regions: nested ones, captions, tables and their ruled lines."""

from __future__ import annotations

import pytest

from mineru_accel.document import Region
from mineru_accel.layout.classes import Label
from mineru_accel.reading.regions.cleanup import caption_label, snap_table, without_nested

PAGE = Region(Label.PLAIN_TEXT, (0.1, 0.1, 0.9, 0.5), 0.8)


@pytest.mark.parametrize(
    ("inner", "outer", "dropped"),
    [
        (Label.PLAIN_TEXT, Label.PLAIN_TEXT, True),
        (Label.TITLE, Label.PLAIN_TEXT, True),
        (Label.PLAIN_TEXT, Label.TABLE, True),
        (Label.PLAIN_TEXT, Label.FIGURE, False),  # the text has the higher score
        (Label.FIGURE, Label.PLAIN_TEXT, False),  # a picture among text stays
        (Label.ISOLATE_FORMULA, Label.PLAIN_TEXT, False),
    ],
)
def test_without_nested(inner: Label, outer: Label, dropped: bool) -> None:
    small, large = Region(inner, (0.2, 0.2, 0.5, 0.3), 0.9), Region(outer, (0.1, 0.1, 0.9, 0.5), 0.8)
    assert (small not in without_nested([small, large])) is dropped
    assert large in without_nested([small, large])


def test_half_overlapping_regions_stay() -> None:
    other = Region(Label.PLAIN_TEXT, (0.1, 0.4, 0.9, 0.6), 0.9)
    assert without_nested([PAGE, other]) == [PAGE, other]


def test_table_grows_to_its_rules() -> None:
    rules = [(50.0, y, 500.0, y + 0.5) for y in (100.0, 120.0, 140.0)]
    assert snap_table((60, 99, 400, 141), rules, []) == (50, 99, 500, 141)
    assert snap_table((60, 99, 400, 141), rules, [(420, 90, 500, 130)]) == (
        60,
        99,
        400,
        141,
    )  # never over another region
    far = [(300.0, 120.0, 900.0, 120.5)]  # shares too little with the table
    assert snap_table((60, 99, 400, 141), far, []) == (60, 99, 400, 141)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Figure 3: The pass in winter", Label.FIGURE_CAPTION),
        ("Fig. 2. Error by week", Label.FIGURE_CAPTION),
        ("Table IV Sums", Label.TABLE_CAPTION),
        ("表 1 主要结果", Label.TABLE_CAPTION),
        ("图2 结果", Label.FIGURE_CAPTION),
        ("Table tennis is played", None),
        ("Table 12 compares the years", None),
        ("Figure 2.1 shows them", None),
        ("Figures show that", None),
    ],
)
def test_captions_are_recognised_by_their_start(text: str, expected: Label | None) -> None:
    figure = Region(Label.FIGURE, (0.1, 0.1, 0.9, 0.4))
    assert caption_label(text, (0.1, 0.41, 0.9, 0.44), [figure]) == expected
    assert caption_label(text, (0.1, 0.8, 0.9, 0.84), [figure]) is None  # no figure near
