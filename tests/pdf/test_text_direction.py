"""Pages that their text layer's direction turns, and those that it must not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from common import CASES, SAMPLES
from reportlab.pdfgen import canvas

from mineru_accel.pdf.text_direction import text_turn

WORDS = "The committee reviewed the quarterly figures and noted that deliveries had improved"


def turns(path: Path) -> list[int]:
    document = pdfium.PdfDocument(path)
    return [text_turn(page, page.get_textpage()) for page in document]


def draw(path: Path, turn: int, rotate: int, body: Callable[[canvas.Canvas], None]) -> Path:
    """A page of 600 by 600 points whose content is turned clockwise, with /Rotate."""
    page = canvas.Canvas(str(path), pagesize=(600, 600))
    page.translate(300, 300)
    page.rotate(-turn)
    page.translate(-300, -300)
    body(page)
    page.setPageRotation(rotate)
    page.save()
    return path


def prose(page: canvas.Canvas) -> None:
    page.setFont("Helvetica", 11)
    for line in range(12):
        page.drawString(70, 500 - 14 * line, WORDS)


def cells(page: canvas.Canvas) -> None:
    page.setFont("Helvetica", 11)
    page.drawString(70, 520, "Table 1: Costs by month and region")
    for row in range(6):
        for column in range(6):
            page.drawString(70 + 80 * column, 500 - 14 * row, f"{1200 + 10 * row + column} t")


@pytest.mark.parametrize("rotate", [0, 90, 180, 270])
@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_content_and_page_rotation_add_up(tmp_path: Path, turn: int, rotate: int) -> None:
    assert turns(draw(tmp_path / "a.pdf", turn, rotate, prose)) == [(turn + rotate) % 360]


@pytest.mark.parametrize(("turn", "expected"), [(90, 0), (270, 0), (180, 180)])
def test_a_page_that_is_just_a_table_is_not_sideways(tmp_path: Path, turn: int, expected: int) -> None:
    """It is read as a sideways table; nobody prints a table upside down."""
    assert turns(draw(tmp_path / "a.pdf", turn, 0, cells)) == [expected]


def test_running_heads_may_be_level(tmp_path: Path) -> None:
    def body(page: canvas.Canvas) -> None:
        prose(page)
        page.translate(300, 300)
        page.rotate(90)
        page.translate(-300, -300)
        page.drawString(200, 570, "A running head, and the number 12")

    assert turns(draw(tmp_path / "a.pdf", 90, 0, body)) == [90]


@pytest.mark.parametrize(("x", "expected"), [(20, 0), (300, 270)])
def test_a_single_line_at_the_edge_is_a_stamp(tmp_path: Path, x: float, expected: int) -> None:
    page = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=(600, 600))
    page.translate(x, 150)
    page.rotate(90)
    page.setFont("Helvetica", 14)
    page.drawString(0, 0, "arXiv:2401.01234v1 [cs.CL] 1 Jan 2024")
    page.save()
    assert turns(tmp_path / "a.pdf") == [expected]


def test_slanted_text_turns_nothing(tmp_path: Path) -> None:
    assert turns(draw(tmp_path / "a.pdf", 45, 0, prose)) == [0]


def test_cases() -> None:
    assert turns(CASES / "rotate90.pdf") == [90]
    assert turns(CASES / "tx_sideways.pdf") == [0]
    assert turns(CASES / "rotheader.pdf") == [0], "heads of columns are turned, more letters than the rest has"


@pytest.mark.parametrize("name", sorted(path.stem for path in SAMPLES.glob("*.pdf")))
def test_samples_are_upright(name: str) -> None:
    assert not any(turns(SAMPLES / f"{name}.pdf"))
