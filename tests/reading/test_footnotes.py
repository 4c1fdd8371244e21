"""Footnotes are recognised by their mark, their type size and the mark in the text."""

from __future__ import annotations

from pathlib import Path

import pytest
from common import ROOT
from read_regions import read_regions
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen import canvas
from reportlab.platypus import Paragraph

from mineru_accel.document import Region
from mineru_accel.layout.classes import Label
from mineru_accel.pdf.types import Key
from mineru_accel.reading.text.inline_styles import plain_text

WORDS = "A note is set below the text and has a mark that stands in it{}, so that one may find it. " + "So it is. " * 20
NOTE = "<super>1</super> This is what the note has to say, in smaller type."
TEXT, FURNITURE = Label.PLAIN_TEXT, Label.ABANDON


def types(tmp_path: Path, label: Label, note: str = NOTE, size: int = 8, mark: str = "", **layout: float) -> list[str]:
    """Types of the blocks of a page with a paragraph of ten points and a region below it."""
    page = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=(595, 842))
    regions = []

    def put(words: str, points: int, y: float, kind: Label) -> None:
        paragraph = Paragraph(words, ParagraphStyle("a", fontName="Times-Roman", fontSize=points, leading=1.2 * points))
        _, height = paragraph.wrap(460, 800)
        paragraph.drawOn(page, 60, 842 - y - height)
        regions.append(Region(kind, (58 / 595, (y - 2) / 842, 525 / 595, (y + height + 2) / 842), 0.9))

    put(WORDS.format(mark), 10, 100, TEXT)
    y = layout.get("y", 740)
    put(note, size, y, label)
    if "rule" in layout:
        page.line(60, 842 - y + 5, 60 + layout["rule"], 842 - y + 5)
    if "after" in layout:
        put(WORDS.format(""), 10, layout["after"], TEXT)
    page.save()
    content = read_regions(Key(str(tmp_path / "a.pdf")), regions)
    return [raw["type"] for raw in content.raws]


@pytest.mark.parametrize("label", [TEXT, FURNITURE])
def test_note_whose_mark_stands_in_the_text(tmp_path: Path, label: Label) -> None:
    assert types(tmp_path, label, mark="<super>1</super>") == ["text", "page_footnote"]


def test_notes_in_one_region(tmp_path: Path) -> None:
    both = "<super>1</super> One of them.<br/><super>2</super> And the other, in the same region."
    assert types(tmp_path, TEXT, both, mark="<super>1,2</super>") == ["text", "page_footnote", "page_footnote"]


def test_mark_that_is_a_sign(tmp_path: Path) -> None:
    assert types(tmp_path, TEXT, "* Work done elsewhere, as it were.", mark="*") == ["text", "page_footnote"]


def test_note_below_a_short_rule(tmp_path: Path) -> None:
    assert types(tmp_path, TEXT, rule=90) == ["text", "page_footnote"]


@pytest.mark.parametrize(
    "change",
    [
        {"size": 10},  # as large as the text
        {"mark": ""},  # no mark in the text
        {"note": "1 This begins with a number that is not raised at all."},
        {"y": 300},  # in the middle of the page
        {"after": 780.0},  # text below it
        {"mark": "", "rule": 400},  # as long as a border
    ],
)
def test_text_that_is_no_footnote(tmp_path: Path, change: dict) -> None:
    assert "page_footnote" not in types(tmp_path, TEXT, **{"mark": "<super>1</super>"} | change)


def test_short_running_foot_stays(tmp_path: Path) -> None:
    assert types(tmp_path, FURNITURE, "Page 1 of a report") == ["text", "footer"]


def test_notes_of_few_letters(tmp_path: Path) -> None:
    for note in ("<super>1</super> <i>Ibid.</i>", "<super>1</super> Id."):
        assert types(tmp_path, TEXT, note, mark="<super>1</super>") == ["text", "page_footnote"]


def test_short_notes_among_others() -> None:
    path = ROOT / "tests" / "cases" / "footnotes.pdf"
    boxes = [(0.094, 0.139, 0.908, 0.331), (0.095, 0.346, 0.905, 0.449)]
    notes = [(0.096, 0.877, 0.36, 0.892), (0.093, 0.8925, 0.864, 0.917), (0.095, 0.9175, 0.131, 0.931)]
    labels = [TEXT, TEXT, FURNITURE, FURNITURE, TEXT]
    content = read_regions(
        Key(str(path)), [Region(label, box, 0.9) for label, box in zip(labels, boxes + notes, strict=True)]
    )
    found = [plain_text(raw) for raw in content.raws if raw["type"] == "page_footnote"]
    assert [text[:10] for text in found] == ["1 See the ", "2 Letters ", "3 Ibid."]
