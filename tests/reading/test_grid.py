"""Tables from the positions of their text, and their merger with docvortex's."""

from __future__ import annotations

from typing import Any

import pytest
from characters import character

from mineru_accel.reading.tables.grid import Grid, build_grid
from mineru_accel.reading.tables.recover import merge_tables
from mineru_accel.reading.text.lines import Fragment, make_fragment


def text(x: float, y: float, words: str, rotation: int = 0) -> Fragment:
    """Words at (x, y) in characters 5 points wide and 10 high, then rotated clockwise about the origin."""
    chars: list[dict[str, Any]] = []
    for i, letter in enumerate(words):
        box = (x + 5 * i, y, x + 5 * i + 5, y + 10)
        if rotation == 270:
            box = (box[1], -box[2], box[3], -box[0])
        chars.append(character(letter, box, i, rotation))
    fragment = make_fragment(chars)
    assert fragment is not None
    return fragment


def cells(grid: Grid | None) -> list[list[str]]:
    assert grid is not None
    texts = grid.texts()
    return [[texts.get((r, c), "") for c in range(grid.columns)] for r in range(grid.rows)]


SIMPLE = [("Name", 0, 0), ("Age", 100, 0), ("Ann", 0, 20), ("31", 100, 20), ("Bob", 0, 40), ("7", 105, 40)]


@pytest.mark.parametrize("rotation", [0, 270])
def test_simple_table(rotation: int) -> None:
    grid = build_grid([text(x, y, t, rotation) for t, x, y in SIMPLE], [])
    assert cells(grid) == [["Name", "Age"], ["Ann", "31"], ["Bob", "7"]]


def test_columns_that_are_mostly_empty() -> None:
    places = [
        ("Item", 0, 0),
        ("In", 100, 0),
        ("Out", 200, 0),
        ("a", 0, 20),
        ("5", 100, 20),
        ("b", 0, 40),
        ("6", 200, 40),
    ]
    assert cells(build_grid([text(x, y, t) for t, x, y in places], [])) == [
        ["Item", "In", "Out"],
        ["a", "5", ""],
        ["b", "", "6"],
    ]


def test_heading_over_a_short_rule_spans() -> None:
    places = [
        ("Both", 140, 0),
        ("k", 0, 20),
        ("In", 100, 20),
        ("Out", 200, 20),
        ("a", 0, 40),
        ("5", 100, 40),
        ("6", 200, 40),
    ]
    grid = build_grid([text(x, y, t) for t, x, y in places], [(95.0, 13.0, 220.0, 13.0)])
    assert grid is not None and 'colspan="2">Both' in grid.html()


def test_lines_between_rules_are_one_row() -> None:
    places = [
        ("one", 0, 2),
        ("long", 100, 2),
        ("cell", 100, 14),
        ("two", 0, 32),
        ("x", 100, 32),
        ("three", 0, 52),
        ("y", 100, 52),
    ]
    rules = [(0.0, y, 130.0, y) for y in (0.0, 28.0, 48.0, 66.0)]
    assert cells(build_grid([text(x, y, t) for t, x, y in places], rules)) == [
        ["one", "long cell"],
        ["two", "x"],
        ["three", "y"],
    ]


def test_one_fragment_is_cut_at_wide_gaps() -> None:
    wide = text(0, 0, "ab" + " " * 10 + "cd")
    assert cells(build_grid([wide, text(0, 20, "ef" + " " * 10 + "gh")], [])) == [["ab", "cd"], ["ef", "gh"]]


def test_text_is_escaped() -> None:
    grid = build_grid([text(0, 0, "<b>"), text(100, 0, "&"), text(0, 20, "x"), text(100, 20, "y")], [])
    assert grid is not None and "<td>&lt;b&gt;</td><td>&amp;</td>" in grid.html()


@pytest.mark.parametrize("fragments", [[], [text(0, 0, "alone")], [text(0, 0, "a"), text(0, 20, "b")]])
def test_no_table(fragments: list[Fragment]) -> None:
    assert build_grid(fragments, []) is None


def test_dashes_that_docvortex_lost_come_back() -> None:
    grid = build_grid([text(0, 0, "a"), text(100, 0, "b"), text(0, 20, "c"), text(100, 20, "-")], [])
    html, warning = merge_tables(
        "<table><tr><td>a</td><td><b>b</b></td></tr><tr><td>c</td><td></td></tr></table>", grid, True
    )
    assert html == "<table><tr><td>a</td><td><b>b</b></td></tr><tr><td>c</td><td>-</td></tr></table>"
    assert warning is None


def test_spans_of_docvortex_are_kept() -> None:
    grid = build_grid([text(0, 0, "a"), text(100, 0, "b"), text(0, 20, "c"), text(100, 20, "d")], [])
    html, _ = merge_tables('<table><tr><td colspan="2">a b</td></tr><tr><td>c</td><td>d</td></tr></table>', grid, True)
    assert 'colspan="2">a b<' in html


def test_rows_without_rules_between_them() -> None:
    words = [["Set", "Train", "Test"], ["one", "12", "3"], ["two", "4", "-"], ["three", "56", "7"], ["four", "8", "9"]]
    lumped = "<table><tr><td>Set</td><td>Train</td><td>Test</td></tr><tr><td>onetwo</td><td>124568</td><td>-</td></tr>"
    grid = build_grid([text(80 * k, 20 * r, word) for r, row in enumerate(words) for k, word in enumerate(row)], [])
    html, _ = merge_tables(f"{lumped}</table>", grid, True)
    assert html.count("<tr>") == 5 and "<td>three</td><td>56</td><td>7</td>" in html
    # Lines of cells that are longer than one line are no rows.
    words = [["Set", "Train", "Test"], ["one of", "12", "3"], ["several"], ["others"], ["two", "8", "9"]]
    grid = build_grid([text(80 * k, 20 * r, word) for r, row in enumerate(words) for k, word in enumerate(row)], [])
    assert merge_tables(f"{lumped}</table>", grid, True)[0].count("<tr>") == 2
