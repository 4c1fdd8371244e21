"""Sub- and superscripts of a text layer."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from read_regions import read_regions
from reportlab.lib.styles import ParagraphStyle
from reportlab.pdfgen import canvas
from reportlab.platypus import Paragraph

from mineru_accel.document import Block, Region
from mineru_accel.export import mineru
from mineru_accel.layout.classes import Label
from mineru_accel.pdf.types import Key
from mineru_accel.reading.text.inline_styles import set_scripts
from mineru_accel.reading.text.lines import Line
from mineru_accel.reading.text.scripts import BODY, scripts_of


@pytest.mark.parametrize("size", [9, 12])
def test_formulas_of_chemistry_and_units(tmp_path: Path, size: int) -> None:
    words = (
        "Water is H<sub>2</sub>O and sulfate is SO<sub>4</sub><sup>2-</sup>, at 10<sup>-3</sup> mol L<sup>-1</sup> of "
        "C<sub>6</sub>H<sub>12</sub>O<sub>6</sub> on km<sup>2</sup> with y<sub>i,j</sub> and x<sub>k</sub><sup>2</sup> "
        "as Smith<sup>3,4</sup> has it."
    )
    paragraph = Paragraph(words, ParagraphStyle("a", fontSize=size, leading=1.5 * size))
    page = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=(595, 842))
    _, height = paragraph.wrap(470, 800)
    paragraph.drawOn(page, 60, 700 - height)
    page.save()
    region = Region(Label.PLAIN_TEXT, (55 / 595, 139 / 842, 535 / 595, (145 + height) / 842), 0.9)
    content = read_regions(Key(str(tmp_path / "a.pdf")), [region])
    (block,) = mineru.page_blocks(copy.deepcopy(content.raws))
    assert mineru.render_block(block) == words


def char(letter: str, x: float, size: float = 10, rise: float = 0) -> dict:
    box = (x, 90 - rise - size, x + 5, 90 - rise + 2)
    return {"char": letter, "bbox": box, "origin": (x, 90 - rise), "font": {"size": size}}


@pytest.mark.parametrize(
    ("chars", "codes"),
    [
        ([char("x", 0), char("2", 5, 7, 4), char("y", 10)], " ^ "),
        ([char("x", 0), char("2", 5, 7, -2), char("y", 10)], " _ "),
        ([char("x", 0), char("S", 5, 7), char("y", 10)], "   "),  # small capitals
        ([char("x", 0), char("2", 5, 10, 4), char("y", 10)], "   "),  # as large as the others
        (
            [char("x", 0), char("n", 30, 7, 4), char("y", 60)],
            "   ",
        ),  # attached to nothing: a limit, a letter of a figure
        ([char("1", 0, 7, 4), char("I", 5), char("n", 10)], "^  "),  # of a footnote
        ([char("1", 0, 7, 4), char("I", 14), char("n", 19)], "^  "),
        ([char("1", 0, 7, 4), char("I", 30), char("n", 35)], "   "),
        ([char("x", 0), char("2", 5, 7, 12), char("y", 10)], "   "),  # of another line
        ([char("x", 0), char("i", 5, 7, -2.5), char("2", 5, 7, 4)], " _^"),
        ([char("x", 0), char("1", 6, 7, 4), char("2", 6, 7, -3.5), char("y", 12)], "    "),  # a half
        ([char("x", 0), {**char("2", 5, 7, 4), "origin": None}], "  "),
    ],
)
def test_scripts_of_characters(chars: list[dict], codes: str) -> None:
    assert scripts_of(chars) == codes


def test_scripts_keep_styles_and_take_the_place_of_others() -> None:
    block: Block = {
        "type": "text",
        "content": [
            {"type": "text", "content": "bold x2y ", "styles": ["bold"]},
            {"type": "hyperlink", "url": "https://a.b", "content": [{"type": "text", "content": "word3"}]},
            {"type": "text", "content": "z", "styles": ["subscript"]},
        ],
    }
    lines = [Line((0, 0, 1, 1), "bold x2y wo-", BODY * 5 + "_" + BODY * 4), Line((0, 1, 1, 2), "rd3 z", "  ^ ")]
    set_scripts(block, lines)
    assert block["content"] == [
        {"type": "text", "content": "bold x", "styles": ["bold"]},
        {"type": "text", "content": "2", "styles": ["bold", "subscript"]},
        {"type": "text", "content": "y ", "styles": ["bold"]},
        {
            "type": "hyperlink",
            "url": "https://a.b",
            "content": [
                {"type": "text", "content": "word"},
                {"type": "text", "content": "3", "styles": ["superscript"]},
            ],
        },
        {"type": "text", "content": "z"},
    ]


def test_block_with_other_text_than_its_lines_stays_as_it_is() -> None:
    spans = [{"type": "text", "content": "read by OCR"}]
    block: Block = {"type": "text", "content": spans}
    set_scripts(block, [Line((0, 0, 1, 1), "r2", " ^")])
    assert block["content"] is spans
