"""Lists are recognised by bullets and numbers."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
from read_regions import read_regions
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen import canvas

from mineru_accel.document import Region
from mineru_accel.export import mineru
from mineru_accel.layout.classes import Label
from mineru_accel.options import Backend
from mineru_accel.pdf.types import Key, PageSource
from mineru_accel.reading.blocks import build_draft
from mineru_accel.reading.regions.lists import marker_of
from mineru_accel.reading.source_policy import make_source_policy
from mineru_accel.reading.types import PageContent

FONT = Path("/usr/share/fonts/truetype/dejavu/DejaVuSans.ttf")
Row = tuple[float, str]
"""Indentation of a line in points, and its text."""


def document(path: Path, *paragraphs: list[Row]) -> tuple[Key, list[Region]]:
    """A page with some paragraphs, and a region around each."""
    font = "Helvetica"
    if FONT.exists():
        font = "DejaVu"
        pdfmetrics.registerFont(TTFont(font, str(FONT)))
    elif any(ord(c) > 255 for rows in paragraphs for _, words in rows for c in words):
        pytest.skip("no font with these signs")
    page = canvas.Canvas(str(path), pagesize=(595, 842))
    page.setFont(font, 10)
    found, y = [], 60.0
    for rows in paragraphs:
        top = y
        for x, words in rows:
            page.drawString(60 + x, 842 - y - 10, words)
            y += 13
        left = 58 + min(x for x, _ in rows)
        found.append(Region(Label.PLAIN_TEXT, (left / 595, (top - 1) / 842, 540 / 595, (y + 1) / 842), 0.9))
        y += 6
    page.save()
    return Key(str(path)), found


def converted(tmp_path: Path, *paragraphs: list[Row]) -> PageContent:
    key, regions = document(tmp_path / "a.pdf", *paragraphs)
    content = read_regions(key, regions)
    assert all(block.region for block in content.blocks)
    return content


def markdown(content: PageContent) -> list[str]:
    return [mineru.render_block(b) for b in mineru.page_blocks(copy.deepcopy(content.raws))]


def test_region_of_bullets_is_a_list(tmp_path: Path) -> None:
    rows = [
        (0, "Three things are asked of a list:"),
        (10, "• that each of its items begins on a line of its own,"),
        (20, "even if it goes on for another one;"),
        (10, "• that no item is lost;"),
        (10, "• that what comes after it is no part of it."),
    ]
    content = converted(tmp_path, rows, [(0, "This comes after it.")])
    assert markdown(content) == [
        "Three things are asked of a list:",
        "- that each of its items begins on a line of its own, even if it goes on for another one;\n"
        "- that no item is lost;\n"
        "- that what comes after it is no part of it.",
        "This comes after it.",
    ]
    model = mineru.build_model([content.raws], None, "medium", "txt", b"")
    _, items, _ = mineru.content_list(mineru.to_middle(model))
    assert (items["type"], items["sub_type"], len(items["list_items"])) == ("list", "text", 3)


def test_indented_items_are_lists_in_lists(tmp_path: Path) -> None:
    rows = [(10, "1. One"), (24, "– half"), (24, "– quarter"), (10, "2. Two"), (24, "– half"), (10, "3. Three")]
    (text,) = markdown(converted(tmp_path, *[[row] for row in rows]))
    assert text == "1. One\n    - half\n    - quarter\n2. Two\n    - half\n3. Three"


def test_numbers_in_one_region(tmp_path: Path) -> None:
    rows = [(0, "1) the first item, which is"), (14, "longer than a line"), (0, "2) the second"), (0, "3) the third")]
    (text,) = markdown(converted(tmp_path, rows))
    assert text == "1) the first item, which is longer than a line\n2) the second\n3) the third"


@pytest.mark.parametrize("signs", [("(a)", "(b)", "(c)"), ("[7]", "[8]", "[9]"), ("i)", "ii)", "iii)")])
def test_letters_and_references_are_paragraphs(tmp_path: Path, signs: tuple[str, str, str]) -> None:
    a, b, c = signs
    rows = [(0, f"{a} the first, which"), (20, "goes on"), (0, f"{b} the second"), (0, f"{c} the third")]
    texts = markdown(converted(tmp_path, rows))
    assert texts == [f"{a} the first, which goes on", f"{b} the second", f"{c} the third"]


@pytest.mark.parametrize(
    "lines",
    [
        ["The paths of both of them were – as was", "– often said – the same", "and they met at last."],
        ["It was the year of our Lord", "1984. The next one would be", "1985. Then came others."],
        ["Mon–Fri • Main Street 5 • 12345 Town", "• Phone 555 • www.example.com"],
        ["We see that the map is given by f =", "∘ g and that it is", "∘ h of the other."],
        ["A. Lee and B. Hill wrote of it, as did", "C. Kim in the year after."],
    ],
)
def test_lines_of_prose_are_no_items(tmp_path: Path, lines: list[str]) -> None:
    blocks = converted(tmp_path, [(0, words) for words in lines]).raws
    assert [b["type"] for b in blocks] == ["text"]


def test_one_dash_makes_no_list(tmp_path: Path) -> None:
    content = converted(tmp_path, [(0, "– said he.")], [(0, "And then nobody said a word for hours.")])
    assert [raw["type"] for raw in content.raws] == ["text", "text"]


def test_one_bullet_makes_a_list(tmp_path: Path) -> None:
    assert markdown(converted(tmp_path, [(0, "• The only one there is")])) == ["- The only one there is"]


def test_lists_are_split_for_the_text_layer_but_not_for_the_vlm(tmp_path: Path) -> None:
    key, regions = document(tmp_path / "b.pdf", [(0, "• one"), (0, "• two"), (0, "• three")])
    for backend, blocks in ((Backend.HYBRID, 3), (Backend.VLM, 1)):
        made = build_draft(key, PageSource(0), list(regions), make_source_policy(backend, None, False), 72, False)
        assert len(made.blocks) == blocks and sum(b.task is not None for b in made.blocks) == (backend is Backend.VLM)


def test_markers() -> None:
    said = {text: marker_of(text) for text in ("iv. x", "i) x", "12. x", "(3) x", "(c. x", "• x", "•x", "1.2 x", "3.")}
    assert {text: m.values if m else None for text, m in said.items()} == {
        "iv. x": (4,),
        "i) x": (9, 1),
        "12. x": (12,),
        "(3) x": (3,),
        "(c. x": None,
        "• x": (),
        "•x": None,
        "1.2 x": None,
        "3.": None,
    }
    assert [m.markdown for m in said.values() if m] == [None, None, "12. ", None, "- "]


def test_text_of_nested_lists_is_escaped_in_markdown(tmp_path: Path) -> None:
    rows = [(10, "1. One"), (24, "– [half](x)"), (24, "– quarter"), (10, "2. Two")]
    content = converted(tmp_path, *[[row] for row in rows])
    middle = mineru.to_middle(mineru.build_model([content.raws], None, "medium", "txt", b""))
    assert mineru.markdown(middle).strip() == "1. One\n    - [half]\\(x)\n    - quarter\n2. Two"
