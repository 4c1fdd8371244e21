"""Overlapping boxes of one table become one."""

from __future__ import annotations

from mineru_accel.reading.regions.same_table import group_tables


def test_boxes_that_share_most_of_the_smaller_one_are_one_table() -> None:
    tables = group_tables([(0, 0, 100, 60), (0, 20, 100, 100), (0, 200, 100, 300), (10, 10, 20, 20)])
    assert sorted((box, sorted(members)) for box, members in tables) == [
        ((0, 0, 100, 100), [0, 1, 3]),
        ((0, 200, 100, 300), [2]),
    ]


def test_neighbours_stay_apart() -> None:
    boxes = [(0.0, 0.0, 50.0, 100.0), (48.0, 0.0, 100.0, 100.0)]
    assert sorted(members for _, members in group_tables(boxes)) == [[0], [1]]
