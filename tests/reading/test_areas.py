"""Areas: no text of a page is lost or read twice."""

from __future__ import annotations

from characters import character

from mineru_accel.document import BBox, Region
from mineru_accel.layout.classes import Label
from mineru_accel.pdf.docvortex.pages import TextLine
from mineru_accel.reading.regions.areas import find_areas

SIZE = (600.0, 800.0)


def line(x: float, y: float, words: str, rotation: int = 0) -> TextLine:
    """A line of characters that are 5 points wide and 10 high; a rotated one runs upwards."""
    chars = []
    for i, letter in enumerate(words):
        box = (x + 5 * i, y, x + 5 * i + 5, y + 10) if rotation == 0 else (x, y - 5 * i - 5, x + 10, y - 5 * i)
        chars.append(character(letter, box, i, rotation))
    return TextLine(chars)


def region(label: Label, box: BBox, score: float = 0.9) -> Region:
    return Region(label, (box[0] / 600, box[1] / 800, box[2] / 600, box[3] / 800), score)


def texts(regions: list[Region], lines: list[TextLine]) -> dict[str, str]:
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


def test_regions_detected_twice_are_read_once() -> None:
    double = [region(Label.PLAIN_TEXT, (48, 98, 300, 140)), region(Label.PLAIN_TEXT, (47, 90, 290, 139), 0.4)]
    assert list(texts(double, LINES)) == ["The first line of it and here the second then a third one"]


def test_figure_grows_over_labels_without_text() -> None:
    regions = [region(Label.FIGURE, (100, 100, 300, 200)), region(Label.PLAIN_TEXT, (80, 120, 98, 130))]
    (area,) = find_areas(regions, [], [], SIZE)
    assert area.box == (80, 100, 300, 200)


def test_label_of_a_chart_is_no_number_of_a_formula() -> None:
    figure, label = region(Label.FIGURE, (100, 100, 300, 200)), region(Label.FORMULA_CAPTION, (296, 120, 320, 132))
    (area,) = find_areas([figure, label], [line(298, 121, "9 h")], [], SIZE)
    assert (area.region.label, area.box) == (Label.FIGURE, (100, 100, 320, 200))
    formula = region(Label.ISOLATE_FORMULA, (320, 100, 400, 150))
    kept = find_areas([figure, label, formula], [line(298, 121, "(9)")], [], SIZE)
    assert [a.text for a in kept if a.region.label == Label.FORMULA_CAPTION] == ["(9)"]


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
    # The detector took a part of it for a figure.
    (area,) = find_areas([region(Label.FIGURE, (110, 500, 140, 720))], lines, [], SIZE)
    assert area.region.label == Label.TABLE and area.rotation == 270 and len(area.fragments) == 30
    assert sorted(area.text.split()) == sorted(f"c{row}{column}" for row in range(6) for column in range(5))


def test_lone_text_in_the_middle_is_kept() -> None:
    head, foot = line(280, 20, "A running head"), line(300, 780, "7")
    side, field = line(10, 400, "v2"), line(250, 300, "Gwendolyn Featherstone")
    furniture = [
        region(Label.ABANDON, (270, 18, 360, 34)),
        region(Label.ABANDON, (298, 778, 310, 794)),
        region(Label.ABANDON, (8, 398, 24, 414)),
        region(Label.ABANDON, (245, 296, 380, 316)),
    ]
    found = texts(furniture, [head, foot, side, field])
    assert found == {
        "A running head": "abandon",
        "7": "abandon",
        "v2": "abandon",
        "Gwendolyn Featherstone": "plain text",
    }
    text = region(Label.PLAIN_TEXT, (48, 98, 300, 140))
    assert texts([text, *furniture], [*LINES, head, foot, side, field])["Gwendolyn Featherstone"] == "abandon"


def test_field_beside_its_label_is_kept() -> None:
    label, field = line(100, 300, "Name of the applicant:"), line(220, 300, "Gwendolyn Featherstone")
    regions = [region(Label.PLAIN_TEXT, (98, 298, 212, 312)), region(Label.ABANDON, (218, 298, 335, 312))]
    found = texts(regions, [label, field, line(300, 780, "7")])
    assert found["Gwendolyn Featherstone"] == "plain text"
    note = region(Label.ABANDON, (310, 98, 360, 114))  # beside a paragraph
    assert texts([region(Label.PLAIN_TEXT, (48, 98, 300, 140)), note], [*LINES, line(312, 100, "a note")])[
        "a note"
    ] == ("abandon")


def test_watermark_alone_is_no_text() -> None:
    turned = [line(300, 500, "DRAFT", rotation=90)]
    assert set(texts([region(Label.ABANDON, (295, 470, 315, 505))], turned).values()) == {"abandon"}
    large = [line(250, 380, "DRAFT")]
    assert set(texts([region(Label.ABANDON, (240, 340, 360, 440))], large).values()) == {"abandon"}
