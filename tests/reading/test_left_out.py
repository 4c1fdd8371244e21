"""Line numbers and leader dots are left out of the text and counted; numbers and dots that say something stay."""

from __future__ import annotations

import re

import pytest
from common import ROOT
from read_regions import read_regions

from mineru_accel.document import Region
from mineru_accel.layout.classes import Label
from mineru_accel.pdf.docvortex.pages import TextLine
from mineru_accel.pdf.types import Key, PageSource
from mineru_accel.reading.left_out import leave_out_marks
from mineru_accel.reading.native import analyze
from mineru_accel.reading.text.inline_styles import plain_text
from mineru_accel.reading.types import PageContent

CASES = ROOT / "tests" / "cases"
PROSE = [
    "The harbour was built in stone and",
    "has been widened twice. Since then,",
    "as the ships grew longer than the",
]


def line(text: str, y: float, x: float = 50) -> TextLine:
    """Letters five points wide and ten high; ``_`` is a gap of a letter."""
    return TextLine(
        [{"char": c, "bbox": (x + 5 * i, y, x + 5 * i + 5, y + 10)} for i, c in enumerate(text) if c != "_"]
    )


def left_out(lines: list[TextLine]) -> list[str]:
    return [word.text for word, reason in leave_out_marks(lines)[1] if reason == "line number"]


def numbered(texts: list[str], step: int = 1, first: int = 1) -> list[TextLine]:
    """Lines of which each, or every fifth, has a number in the margin."""
    return [
        line((str(first + i) if (first + i) % step == 0 else "").rjust(3, "_") + "____" + text, 15 * i)
        for i, text in enumerate(texts)
    ]


def test_numbers_of_each_line() -> None:
    assert left_out(numbered(PROSE * 4)) == [str(n) for n in range(1, 13)]


def test_steps_of_one_line_are_no_numbered_lines() -> None:
    steps = [
        "peel the onions and cut them in half",
        "warm some butter in the largest pan",
        "wait until it stops to foam",
    ]
    assert left_out(numbered(steps * 3)) == []


def test_steps_of_several_lines_are_no_numbered_lines() -> None:
    lines = [line(text, 15 * i, 85) for i, text in enumerate(PROSE * 8)]
    for i in range(0, 24, 3):
        lines.insert(i, line(str(1 + i // 3), 15 * i + 0.5))
    assert left_out(lines) == []


def test_numbers_of_every_fifth_line() -> None:
    verse = ["A line of verse begins with a capital"] * 30
    assert left_out(numbered(verse, 5)) == ["5", "10", "15", "20", "25", "30"]


def test_numbers_right_of_the_text() -> None:
    lines = [line(text + "____" + str(101 + i), 15 * i, 300 - 5 * len(text)) for i, text in enumerate(PROSE * 3)]
    assert left_out(lines) == [str(n) for n in range(101, 110)]


def test_ruled_paper_with_empty_rows() -> None:
    lines = [line(str(n).rjust(2, "_"), 20 * n, 20) for n in range(1, 26)]
    lines += [line("MR. MERCER: Thank you, your Honor", 20 * n, 60) for n in range(5, 22)]
    assert left_out(lines) == [str(n) for n in range(1, 26)]


@pytest.mark.parametrize(
    "texts",
    [
        ["Sweden", "Norway", "Denmark", "Finland", "Iceland", "Estonia", "Latvia"],  # rows of a table
        ["apples and pears", "bread", "coffee", "milk", "salt and pepper", "tea", "wine"],
        ["Wash the parts in warm water", "Dry them with a soft clean cloth", "Put them together in this order"] * 3,
    ],
)
def test_numbers_of_rows_and_items(texts: list[str]) -> None:
    assert left_out(numbered(texts)) == []


def test_numbers_that_do_not_count_on() -> None:
    lines = [
        line(f"{year}____{text}", 15 * i) for i, (year, text) in enumerate(zip("135792468", PROSE * 3, strict=True))
    ]
    assert left_out(lines) == []


def test_words_after_line_numbers_are_whole() -> None:
    content = read_regions(
        Key(str(CASES / "linenumbers.pdf")), [Region(Label.PLAIN_TEXT, (0.08, 0.12, 0.8, 0.93), 0.9)]
    )
    text = text_of(content)
    assert "caused by late customs papers. Members asked" in text
    assert not re.search(r"\d", text)
    assert content.words is not None
    assert content.words["left_out"] == {"line number": 30}
    assert content.warnings == []


def test_leader_dots() -> None:
    content = read_regions(Key(str(CASES / "toc_leaders.pdf")), [Region(Label.PLAIN_TEXT, (0.08, 0.1, 0.95, 0.5), 0.9)])
    text = text_of(content)
    assert "1.2 Who should read it 3" in text
    assert ". ." not in text
    assert "6 2.2 Mounting on a concrete floor" in text
    assert content.words is not None
    assert content.words["left_out"] == {"leader dots": 11}


@pytest.mark.parametrize(
    ("text", "count"),
    [
        ("Rent ............ 1,200", 1),
        ("Rent . . . . . . . . 1,200", 1),
        ("Soup…………… 4.50", 1),
        ("And so on ... and on", 0),
        ("He was gone.... Then", 0),
        ("Name ..............", 0),  # a field of a form
        ("x · y · z", 0),
    ],
)
def test_dots(text: str, count: int) -> None:
    assert [reason for _, reason in leave_out_marks([line(text, 10)])[1]] == ["leader dots"] * count


@pytest.mark.parametrize(
    ("name", "reason", "gone", "count"),
    [("hidden", "hidden", "words", 39), ("watermark", "watermark", "DRAFT", 1)],
)
def test_hidden_text_is_named_in_the_account(name: str, reason: str, gone: str, count: int) -> None:
    content = read_regions(Key(str(CASES / f"{name}.pdf")), [Region(Label.PLAIN_TEXT, (0.1, 0.1, 0.9, 0.95), 0.9)])
    text = text_of(content)
    assert text.startswith("Minutes of the meeting The committee")
    assert text.endswith("since these had risen faster")
    assert gone not in text
    assert content.words is not None
    assert content.words["left_out"] == {reason: count}
    assert any(word["text"] == gone and word["reason"] == reason for word in content.words["words"])
    assert content.warnings == []


def text_of(content: PageContent) -> str:
    return " ".join(plain_text(raw) for raw in content.raws)


def test_native_analysis_leaves_out_the_same() -> None:
    for name, gone in (("hidden", "white"), ("watermark", "DRAFT")):
        [content] = analyze(Key(str(CASES / f"{name}.pdf")), [PageSource(0)], None, 72, True)
        text = text_of(content)
        assert "The chair promised" in text
        assert gone not in text
        assert content.words is not None
        assert content.words["left_out"]
