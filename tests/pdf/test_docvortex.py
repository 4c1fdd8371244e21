"""The adapter to docvortex: what it says of a page's text layer, in this project's terms."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pytest
from reportlab.pdfgen import canvas

from mineru_accel.pdf.docvortex.characters import is_guessed_cjk_space, merge_lines
from mineru_accel.pdf.docvortex.documents import Document
from mineru_accel.pdf.docvortex.native import analyze
from mineru_accel.pdf.docvortex.pages import TextPages
from mineru_accel.pdf.types import Key, OcrLayer, PageSource

SIZE = (400.0, 300.0)


def table_pdf(words: str = "cell", pages: int = 1) -> bytes:
    """A line of bold text with a link, and a table of 2 x 2 cells with ruled lines, on each page."""
    pdf = canvas.Canvas(buffer := io.BytesIO(), pagesize=SIZE, invariant=1)
    for page in range(pages):
        pdf.setFont("Helvetica-Bold", 12)
        pdf.drawString(50, 260, f"{words} number {page}")
        pdf.linkURL("https://example.org/", (50, 255, 200, 275))
        pdf.setFont("Helvetica", 10)
        pdf.grid([50, 150, 250], [100, 130, 160])
        for row in range(2):
            for column in range(2):
                pdf.drawString(60 + 100 * column, 140 - 30 * row, f"{words}{row}{column}")
        pdf.showPage()
    pdf.save()
    return buffer.getvalue()


@pytest.fixture
def key(tmp_path: Path) -> Key:
    (tmp_path / "a.pdf").write_bytes(table_pdf(pages=2))
    return Key(str(tmp_path / "a.pdf"))


def texts(pages: TextPages, number: int) -> list[str]:
    return ["".join(c["char"] for c in line.chars).strip() for line in pages.page(number).lines()]


def test_pages_are_counted_by_their_place_and_opened_by_their_number(key: Key) -> None:
    with TextPages(key, [PageSource(1)]) as pages:
        assert len(pages) == 1 and pages.page(0).size == SIZE
        assert texts(pages, 0)[0] == "cell number 1"


def test_ocr_layer_takes_the_place_of_the_pages_own(key: Key) -> None:
    layer = OcrLayer(table_pdf("read"), 0.0, 5, 1.0)
    with TextPages(key, [PageSource(0), PageSource(1, layer)]) as pages:
        assert [texts(pages, number)[0] for number in range(2)] == ["cell number 0", "read number 0"]
        blocks = analyze(pages)
    assert len(blocks) == 2 and "read number 0" in str(blocks[1]) and "cell number" not in str(blocks[1])


def test_lines_may_be_changed_by_who_asked_for_them(key: Key) -> None:
    with TextPages(key, [PageSource(0)]) as pages:
        page = pages.page(0)
        (first, *_) = page.lines()
        char = first.chars[0]
        assert char["char"] == "c" and char["font"]["name"].endswith("Helvetica-Bold")
        x0, y0, x1, y1 = char["bbox"]
        assert 49 < x0 < x1 < 60 and 25 < y0 < y1 < 45  # points, from the top
        char["char"] = "X"
        first.chars.clear()
        assert page.lines()[0].chars[0]["char"] == "c"


def test_ruled_lines_and_the_table_that_they_make(key: Key) -> None:
    with TextPages(key, [PageSource(0)]) as pages:
        page = pages.page(0)
        rules = page.ruled_lines()
        assert len(rules) == 6
        horizontal = sorted(page.horizontal_rules_of_tables(), key=lambda box: box[1])
        assert [round((y0 + y1) / 2) for _, y0, _, y1 in horizontal] == [140, 170, 200]
        html = page.recover_table((45, 135, 255, 205), 0)
        assert html is not None and html.count("<tr>") == 2
        assert [html.count(f"cell{row}{column}") for row in range(2) for column in range(2)] == [1] * 4
        assert page.recover_table((45, 20, 255, 60), 0) is None


def test_styles_and_links_of_blocks(key: Key) -> None:
    seen: list[str] = []

    def corrected(line: Any, field: str) -> Any:
        seen.append(field)
        return line

    block: dict[str, Any] = {"type": "text", "bbox": [0.1, 0.05, 0.6, 0.2], "content": "cell number 0"}
    with TextPages(key, [PageSource(0)]) as pages:
        pages.page(0).apply_styles([block], [], corrected)
    (span,) = block["content"]
    assert span["type"] == "hyperlink" and span["url"] == "https://example.org/"
    assert "cell number 0" in str(span) and "bold" in str(span)
    assert {"style_ranges", "link_ranges"} <= set(seen)


def test_document_gives_pdfiums_pages() -> None:
    data = table_pdf(pages=3)
    document = Document(data)
    assert document.data == data and document.page_count == 3 and document.page_size(2) == SIZE
    with document.open_page(1) as page:
        assert isinstance(page, pdfium.PdfPage) and "cell number 1" in page.get_textpage().get_text_range()
    document.close()


def test_rules_for_joining_text() -> None:
    assert merge_lines(("a hyphen-", "ated word", "ends")) == "a hyphenated word ends"
    assert merge_lines(("中文的", "一行")) == "中文的一行"

    def said(letters: str, **of_space: Any) -> bool:
        """Of a character, a space and a character: whether the space is only pdfium's guess."""
        left, space, right = (
            {"char": c, "bbox": (x, 0.0, x + 10, 10.0), "char_idx": i, "writing_angle": 0.0, "is_generated": False}
            for i, (c, x) in enumerate(zip(letters, (0.0, 10.0, 12.0), strict=True))
        )
        return is_guessed_cjk_space(left, space | of_space, right)  # type: ignore[arg-type]

    assert said("中 文", is_generated=True)
    assert not said("中 文")
    assert not said("a b", is_generated=True)
