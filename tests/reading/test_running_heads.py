"""Running heads that were detected as text are recognised by the neighbouring pages."""

from __future__ import annotations

from pathlib import Path

import pytest
from read_regions import read_regions
from reportlab.pdfgen import canvas

from mineru_accel.document import Region
from mineru_accel.layout.classes import Label
from mineru_accel.pdf import opening
from mineru_accel.pdf.types import Key

HEAD, BODY = (60 / 595, 30 / 842, 400 / 595, 46 / 842), (60 / 595, 90 / 842, 500 / 595, 200 / 842)
NUMBER = (520 / 595, 30 / 842, 550 / 595, 46 / 842)


def document(path: Path, heads: list[str], size: int = 10) -> Key:
    page = canvas.Canvas(str(path), pagesize=(595, 842))
    for number, head in enumerate(heads, 11):
        page.setFont("Helvetica", size)
        page.drawString(62, 842 - 42, head)
        page.drawString(525, 842 - 42, str(number))
        page.setFont("Helvetica", 10)
        for i in range(8):
            page.drawString(62, 842 - 102 - 12 * i, f"Page {number} says in line {i} what it has to say, no more.")
        page.showPage()
    page.save()
    return Key(str(path))


def types(key: Key, index: int) -> dict[str, str]:
    found = [Region(Label.TITLE, HEAD), Region(Label.PLAIN_TEXT, BODY), Region(Label.PLAIN_TEXT, NUMBER)]
    content = read_regions(key, found, index)
    return {str(b.region.label): b.raw["type"] for b in content.blocks} | {
        "types": " ".join(raw["type"] for raw in content.raws)
    }


def test_running_head_of_every_other_page(tmp_path: Path) -> None:
    key = document(tmp_path / "a.pdf", ["On Lending", "Ann Lee et al.", "On Lending", "Ann Lee et al."])
    for index in range(4):
        assert sorted(types(key, index)["types"].split()) == ["header", "page_number", "text"]


def test_heading_that_no_other_page_has_stays(tmp_path: Path) -> None:
    key = document(tmp_path / "b.pdf", ["On Lending", "On Reading", "On Writing"])
    assert "paragraph_title" in types(key, 1)["types"]


def test_title_that_slides_repeat_stays(tmp_path: Path) -> None:
    key = document(tmp_path / "c.pdf", ["On Lending (1)", "On Lending (2)"], size=15)
    assert "paragraph_title" in types(key, 0)["types"]


def test_document_is_not_reopened_under_a_page_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "MAX_USES", 2)
    key = document(tmp_path / "d.pdf", ["On Lending", "On Lending", "On Lending"])
    for index in (0, 1, 2, 0):
        assert "header" in types(key, index)["types"]
    assert opening.in_use == []
