"""Regions and the text in them: nothing is lost, nothing is read twice."""

from __future__ import annotations

from math import radians
from typing import Any

from mineru_accel.document import BBox, Region
from mineru_accel.extraction.areas import find_areas
from mineru_accel.layout.classes import Label

SIZE = (600.0, 800.0)


def line(x: float, y: float, words: str, turn: int = 0) -> dict[str, Any]:
    """A line as docvortex gives it: 5 points a character, 10 high."""
    chars = []
    for i, letter in enumerate(words):
        box = (x + 5 * i, y, x + 5 * i + 5, y + 10) if turn == 0 else (x, y - 5 * i - 5, x + 10, y - 5 * i)
        font = {"size": 10.0, "name": "x", "flags": 0}
        chars.append(
            {
                "char": letter,
                "bbox": box,
                "writing_angle": radians(turn),
                "char_idx": i,
                "font": font,
                "tight_bbox": box,
            }
        )
    return {"spans": [{"chars": chars}]}


def region(label: Label, box: BBox, score: float = 0.9) -> Region:
    return Region(label, (box[0] / 600, box[1] / 800, box[2] / 600, box[3] / 800), score)


def texts(regions: list[Region], lines: list[dict[str, Any]]) -> dict[str, str]:
    return {a.text: str(a.region.label) for a in find_areas(regions, lines, [], SIZE)}


LINES = [line(50, 100, "The first line of it"), line(50, 113, "and here the second"), line(50, 126, "then a third one")]


def test_box_that_ends_early_gets_the_rest_of_its_paragraph() -> None:
    found = texts([region(Label.PLAIN_TEXT, (48, 98, 300, 124))], LINES)
    assert list(found) == ["The first line of it and here the second then a third one"]


def test_box_that_cuts_words_gets_their_ends() -> None:
    found = texts([region(Label.PLAIN_TEXT, (60, 98, 130, 140))], LINES)
    assert list(found) == ["The first line of it and here the second then a third one"]


def test_text_in_no_region_becomes_a_paragraph() -> None:
    found = texts([region(Label.TITLE, (50, 20, 300, 40))], [line(50, 25, "A heading"), *LINES])
    assert found == {
        "A heading": "title",
        "The first line of it and here the second then a third one": "plain text",
    }


def test_doubles_are_read_once() -> None:
    double = [region(Label.PLAIN_TEXT, (48, 98, 300, 140)), region(Label.PLAIN_TEXT, (47, 90, 290, 139), 0.4)]
    assert list(texts(double, LINES)) == ["The first line of it and here the second then a third one"]


def test_figure_grows_over_labels_without_text() -> None:
    regions = [region(Label.FIGURE, (100, 100, 300, 200)), region(Label.PLAIN_TEXT, (80, 120, 98, 130))]
    (area,) = find_areas(regions, [], [], SIZE)
    assert area.box == (80, 100, 300, 200)


def test_picture_of_a_paragraph_is_kept_for_ocr() -> None:
    (area,) = find_areas([region(Label.PLAIN_TEXT, (50, 300, 500, 400))], [], [], SIZE)
    assert area.lines == []


def test_caption_taken_for_a_heading() -> None:
    regions = [region(Label.TABLE, (50, 200, 500, 400)), region(Label.TITLE, (50, 180, 300, 195))]
    found = texts(regions, [line(50, 182, "Table 3: Sums"), line(60, 250, "cell")])
    assert found["Table 3: Sums"] == "table_caption"


def test_table_printed_sideways() -> None:
    lines = [
        line(100 + 15 * row, 700 - 100 * column, f"c{row}{column}", 270) for row in range(6) for column in range(5)
    ]
    # The detector saw a piece of it as a figure.
    (area,) = find_areas([region(Label.FIGURE, (110, 500, 140, 720))], lines, [], SIZE)
    assert area.region.label == Label.TABLE and area.turn == 270 and len(area.fragments) == 30
