"""The document's title among the headings of the first page."""

from __future__ import annotations

import pytest

from mineru_accel.document import Region
from mineru_accel.layout.classes import Label
from mineru_accel.reading.regions.areas import Area
from mineru_accel.reading.regions.titles import demote_authors, document_title, is_section
from mineru_accel.reading.text.lines import Line


def area(text: str, y: float, size: float, label: Label = Label.TITLE) -> Area:
    box = (50.0, y, 300.0, y + size)
    return Area(Region(label, (0.1, y / 800, 0.5, (y + size) / 800)), box, [], [Line(box, text)])


@pytest.mark.parametrize(
    "text", ["ABSTRACT", "1 Introduction", "I. INTRODUCTION", "1. Motivation", "摘要", "References", "Contents:"]
)
def test_headings_of_sections(text: str) -> None:
    assert is_section(text)


@pytest.mark.parametrize(
    "text", ["Introduction to Quantum Groups", "1984", "10 Ways to Fail", "Abstract Algebra", "Invoice"]
)
def test_titles_of_documents(text: str) -> None:
    assert not is_section(text)


def test_section_is_not_the_title_of_a_page_without_one() -> None:
    assert document_title([area("Abstract", 100, 14), area("1 Introduction", 300, 14)]) is None


def test_authors_between_title_and_abstract_are_no_headings() -> None:
    title, authors = area("A title", 50, 20), area("Ann Lee1,2 and Bob Ray1", 90, 14)
    abstract, first = area("Abstract. We say", 130, 10, Label.PLAIN_TEXT), area("1 Introduction", 300, 14)
    areas = [title, authors, abstract, first]
    assert document_title(areas) is title
    demote_authors(areas, title)
    assert [a.region.label for a in areas] == [Label.TITLE, Label.PLAIN_TEXT, Label.PLAIN_TEXT, Label.TITLE]


def test_second_line_of_the_title_stays_a_heading() -> None:
    title, more = area("A title", 50, 20), area("on two lines", 75, 20)
    demote_authors([title, more, area("Abstract", 130, 12)], title)
    assert more.region.label == Label.TITLE


def test_title_stands_above_the_first_section() -> None:
    first, second = area("I. INTRODUCTION", 200, 14), area("Methods", 400, 15)
    assert document_title([first, second]) is None
    assert document_title([first, area("II. EXPERIMENT", 100, 15)]) is None  # in the next column
