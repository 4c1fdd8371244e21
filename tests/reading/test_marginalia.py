"""Notes, letterheads and titles that a detector takes for furniture are content; heads and feet are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from read_regions import read_regions
from reportlab.pdfgen import canvas

from mineru_accel.document import Region
from mineru_accel.layout.classes import Label
from mineru_accel.pdf.types import Key
from mineru_accel.reading.text.inline_styles import plain_text

Lines = list[str]


def kind(tmp_path: Path, lines: Lines, x: float, y: float, size: float = 9, pages: int = 1, below: str = "") -> str:
    """Type of some lines of furniture, on the first page of a document with a column of text from 120 to 700 points."""
    page = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=(595, 842))
    furniture = []

    def put(texts: Lines, x: float, y: float, size: float) -> Region:
        page.setFont("Times-Roman", size)
        for number, text in enumerate(texts):
            page.drawString(x, 842 - y - 1.2 * size * (number + 0.8), text)
        right = x + max(page.stringWidth(text, "Times-Roman", size) for text in texts)
        bottom = y + 1.2 * size * len(texts)
        return Region(Label.ABANDON, ((x - 2) / 595, (y - 1) / 842, (right + 2) / 595, (bottom + 1) / 842), 0.9)

    for _ in range(pages):
        body = put(["The text of the page runs on from line to line without saying anything"] * 48, 130, 120, 10)
        furniture = [put(lines, x, y, size)]
        if below:
            furniture.append(put([below], 130, 800, 8))
        page.showPage()
    page.save()
    body.label = Label.PLAIN_TEXT
    content = read_regions(Key(str(tmp_path / "a.pdf")), [body, *furniture])
    assert content.words is not None
    assert not content.words["missing"]
    return next(str(b.raw["type"]) for b in content.blocks if lines[0] in str(b.raw["content"]))


@pytest.mark.parametrize("y", [200, 600])
def test_side_note(tmp_path: Path, y: float) -> None:
    assert kind(tmp_path, ["Short title", "of the act."], 20, y) == "text"


def test_side_note_that_each_page_repeats(tmp_path: Path) -> None:
    assert kind(tmp_path, ["Short title", "of the act."], 20, 200, pages=2) == "aside_text"


def test_letterhead(tmp_path: Path) -> None:
    assert kind(tmp_path, ["Harbour Office", "2 Quay Street", "Bridport", "Reg. 4711"], 400, 30) == "text"


def test_title(tmp_path: Path) -> None:
    assert kind(tmp_path, ["Background checks"], 200, 40, size=18) == "text"


@pytest.mark.parametrize("pages", [1, 2])
def test_running_head(tmp_path: Path, pages: int) -> None:
    assert kind(tmp_path, ["The harbour of Bridport"], 200, 50, pages=pages) == "header"


def test_foot(tmp_path: Path) -> None:
    assert kind(tmp_path, ["The harbour of Bridport"], 130, 790) == "footer"


def test_note_above_the_foot(tmp_path: Path) -> None:
    assert (
        kind(tmp_path, ["E-mail: pilot@harbour.example"], 130, 760, below="The harbour of Bridport") == "page_footnote"
    )


def test_foot_of_two_rows_that_each_page_repeats(tmp_path: Path) -> None:
    assert kind(tmp_path, ["The harbour of Bridport"], 130, 785, pages=2, below="All rights reserved") == "footer"


def test_numbers_beside_paragraphs(tmp_path: Path) -> None:
    page = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=(595, 842))
    regions = []
    for number in range(1, 5):
        y = 150 * number
        for row in range(4):
            page.drawString(130, 842 - y - 14 * row, "The text of a step runs on from line to line here")
        page.drawString(60, 842 - y, str(number))
        regions.append(Region(Label.PLAIN_TEXT, (128 / 595, (y - 12) / 842, 500 / 595, (y + 46) / 842), 0.9))
        regions.append(Region(Label.ABANDON, (58 / 595, (y - 12) / 842, 70 / 595, (y + 4) / 842), 0.9))
    page.drawString(300, 20, "17")
    regions.append(Region(Label.ABANDON, (298 / 595, 808 / 842, 315 / 595, 826 / 842), 0.9))
    page.save()
    blocks = read_regions(Key(str(tmp_path / "a.pdf")), regions).blocks
    types = [(b.raw["type"], plain_text(b.raw).strip()) for b in blocks]
    assert [kind for kind, text in types if text in list("1234")] == ["text"] * 4
    assert [kind for kind, text in types if text == "17"] == ["page_number"]
