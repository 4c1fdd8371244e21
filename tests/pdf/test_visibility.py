"""Text that a page does not show is found, whatever hides it; text that it shows is kept."""

from __future__ import annotations

import zlib
from collections.abc import Callable
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from PIL import Image
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen.canvas import Canvas

from mineru_accel.options import Method
from mineru_accel.pdf.docvortex.pages import TextPages
from mineru_accel.pdf.jobs import read
from mineru_accel.pdf.layers import may_hide_layers
from mineru_accel.pdf.types import Key, PageSource
from mineru_accel.pdf.visibility import find_hidden

PROSE = "What the page says in black letters, line after line, so that it is read."
Draw = Callable[[Canvas], None]


def make(path: Path, draw: Draw) -> str:
    """A page with some lines of prose and what ``draw`` adds."""
    canvas = Canvas(str(path / "a.pdf"), pagesize=(595, 842))
    canvas.setFont("Times-Roman", 11)
    for line in range(6):
        canvas.drawString(72, 760 - 15 * line, PROSE)
    canvas.saveState()
    draw(canvas)
    canvas.restoreState()
    canvas.save()
    return str(path / "a.pdf")


def hidden(path: str, layers: bool = False) -> list[tuple[str, str]]:
    """(text, reason) of what is left out of a document's first page."""
    document = pdfium.PdfDocument(path)
    found = [(text.text, str(text.why)) for text in find_hidden(document[0], layers).texts]
    document.close()
    return found


def picture(colour: str = "#cc8844") -> ImageReader:
    return ImageReader(Image.new("RGB", (20, 20), colour))


def text_of(canvas: Canvas, words: str, colour: str = "#000000", x: float = 72, y: float = 500) -> None:
    canvas.setFillColor(colour)
    canvas.drawString(x, y, words)


def box(canvas: Canvas, colour: str, alpha: float = 1) -> None:
    canvas.setFillColor(colour, alpha)
    canvas.rect(60, 490, 400, 30, stroke=0, fill=1)


def white_on_white(canvas: Canvas) -> None:
    text_of(canvas, "words in white", "#ffffff")


def nearly_white(canvas: Canvas) -> None:
    text_of(canvas, "words in white", "#fafafa")


def of_its_ground(canvas: Canvas) -> None:
    box(canvas, "#204080")
    text_of(canvas, "words in blue", "#204080")


def transparent(canvas: Canvas) -> None:
    canvas.setFillAlpha(0)
    canvas.drawString(72, 500, "words of glass")


def invisible(canvas: Canvas) -> None:
    text = canvas.beginText(72, 500)
    text.setTextRenderMode(3)
    text.textOut("invisible words")
    canvas.drawText(text)


def tiny(canvas: Canvas) -> None:
    canvas.setFont("Times-Roman", 0.5)
    canvas.drawString(72, 500, "tiny words")


def covered(canvas: Canvas) -> None:
    text_of(canvas, "covered words")
    box(canvas, "#000000")


def under_a_picture(canvas: Canvas) -> None:
    text_of(canvas, "covered words")
    canvas.drawImage(picture(), 60, 480, 300, 60)


def clipped(canvas: Canvas) -> None:
    path = canvas.beginPath()
    path.rect(72, 300, 100, 50)
    canvas.clipPath(path, stroke=0, fill=0)
    canvas.drawString(72, 500, "words outside the clip")


@pytest.mark.parametrize(
    "draw",
    [white_on_white, nearly_white, of_its_ground, transparent, invisible, tiny, covered, under_a_picture, clipped],
)
def test_text_that_is_not_seen(tmp_path: Path, draw: Draw) -> None:
    [(text, why)] = hidden(make(tmp_path, draw))
    assert "words" in text
    assert why == "hidden"


def test_text_outside_the_page(tmp_path: Path) -> None:
    path = make(tmp_path, lambda canvas: text_of(canvas, "words beside", x=700))
    assert hidden(path) == [("words beside", "outside the page")]


def white_on_dark(canvas: Canvas) -> None:
    box(canvas, "#204080")
    text_of(canvas, "a table's head", "#ffffff")


def white_on_a_picture(canvas: Canvas) -> None:
    canvas.drawImage(picture(), 60, 480, 300, 60)
    text_of(canvas, "a title", "#ffffff")


def highlighted(canvas: Canvas) -> None:
    text_of(canvas, "marked words")
    box(canvas, "#ffff00", 0.4)


def ocr_over_a_scan(canvas: Canvas) -> None:
    canvas.drawImage(picture(), 60, 480, 300, 60)
    invisible(canvas)


def text_as_outlines(canvas: Canvas) -> None:
    for x in range(72, 140, 6):
        canvas.rect(x, 500, 3, 8, fill=1)
    invisible(canvas)


def small_print(canvas: Canvas) -> None:
    canvas.setFont("Times-Roman", 5)
    text_of(canvas, "printed in grey", "#999999")


def grey_title(canvas: Canvas) -> None:
    canvas.setFont("Times-Roman", 40)
    text_of(canvas, "A chapter", "#b0b0b0")


def slanted_labels(canvas: Canvas) -> None:
    for number in range(5):
        canvas.saveState()
        canvas.translate(100 + 40 * number, 400)
        canvas.rotate(45)
        canvas.drawString(0, 0, "label")
        canvas.restoreState()


@pytest.mark.parametrize(
    "draw",
    [
        *(white_on_dark, white_on_a_picture, highlighted, ocr_over_a_scan, text_as_outlines),
        *(small_print, grey_title, slanted_labels),
    ],
)
def test_text_that_is_seen_or_ocr(tmp_path: Path, draw: Draw) -> None:
    assert hidden(make(tmp_path, draw)) == []


def stamp(canvas: Canvas, words: str, size: float, angle: float, x: float, y: float) -> None:
    canvas.saveState()
    canvas.translate(x, y)
    canvas.rotate(angle)
    canvas.setFont("Helvetica-Bold", size)
    canvas.drawString(0, 0, words)
    canvas.restoreState()


def slanted_and_pale(canvas: Canvas) -> None:
    canvas.setFillColor("#d9d9d9")
    stamp(canvas, "DRAFT", 90, 55, 200, 300)


def slanted_and_translucent(canvas: Canvas) -> None:
    canvas.setFillColor("#ff0000", 0.2)
    stamp(canvas, "DRAFT", 60, 45, 120, 600)


def slanted_over_the_text(canvas: Canvas) -> None:
    canvas.setFillColor("#aa0000")
    stamp(canvas, "DRAFT", 60, 30, 100, 660)


def pale_behind_the_text(canvas: Canvas) -> None:
    canvas.setFillColor("#e4e4e4")
    stamp(canvas, "DRAFT", 80, 0, 80, 700)


def tiled(canvas: Canvas) -> None:
    canvas.setFillColor("#dddddd")
    for x in range(40, 500, 120):
        for y in range(60, 800, 150):
            stamp(canvas, "DRAFT", 12, 30, x, y)


@pytest.mark.parametrize(
    "draw", [slanted_and_pale, slanted_and_translucent, slanted_over_the_text, pale_behind_the_text, tiled]
)
def test_watermarks(tmp_path: Path, draw: Draw) -> None:
    assert set(hidden(make(tmp_path, draw))) == {("DRAFT", "watermark")}


def orange_headline(canvas: Canvas) -> None:
    canvas.setFillColor("#ff9900")
    stamp(canvas, "Growing", 60, 0, 60, 712)


def pale_headline_that_touches_a_line(canvas: Canvas) -> None:
    canvas.setFillColor("#d8d8d8")
    stamp(canvas, "Seven", 60, 0, 60, 648)


def slanted_heads_of_columns(canvas: Canvas) -> None:
    canvas.setFillColor("#999999")
    for x in range(60, 360, 60):
        stamp(canvas, "Score", 10, 45, x, 620)


@pytest.mark.parametrize("draw", [orange_headline, pale_headline_that_touches_a_line, slanted_heads_of_columns])
def test_no_watermarks(tmp_path: Path, draw: Draw) -> None:
    assert not hidden(make(tmp_path, draw))


def test_black_bar_over_a_part_of_a_line(tmp_path: Path) -> None:
    def draw(canvas: Canvas) -> None:
        canvas.drawString(72, 500, "The name of the witness is John Smith as was said")
        left = 72 + canvas.stringWidth("The name of the witness is ", "Times-Roman", 11)
        canvas.rect(left - 1, 495, canvas.stringWidth("John Smith", "Times-Roman", 11) + 2, 16, fill=1)

    path = make(tmp_path, draw)
    assert hidden(path) == [("JohnSmith", "hidden")]
    with TextPages(Key(path), [PageSource(0)]) as pages:
        text = "".join(char["char"] for line in pages.page(0).lines() for char in line.chars)
    assert "witness is " in text
    assert " as was said" in text
    assert "John" not in text


LAYERS = b"""%PDF-1.5
1 0 obj <</Type/Catalog/Pages 2 0 R/OCProperties<</OCGs[6 0 R 7 0 R]/D<</OFF[7 0 R]>>>>>> endobj
2 0 obj <</Type/Pages/Kids[3 0 R]/Count 1>> endobj
3 0 obj <</Type/Page/Parent 2 0 R/MediaBox[0 0 400 400]/Contents 4 0 R/Resources<</Font<</F 5 0 R>>
/Properties<</On 6 0 R/Off 7 0 R>>/XObject<</X 8 0 R>>>>>> endobj
4 0 obj <</Length 182>> stream
BT /F 12 Tf 40 300 Td (plain) Tj ET
/OC /On BDC BT /F 12 Tf 40 200 Td (shown) Tj ET EMC
/OC /Off BDC BT /F 12 Tf 40 100 Td (switched off) Tj ET EMC
/X Do
endstream endobj
5 0 obj <</Type/Font/Subtype/Type1/BaseFont/Helvetica>> endobj
6 0 obj <</Type/OCG/Name(on)>> endobj
7 0 obj <</Type/OCG/Name(off)>> endobj
8 0 obj <</Type/XObject/Subtype/Form/BBox[0 0 400 400]/OC 7 0 R/Resources<</Font<</F 5 0 R>>>>/Length 40>> stream
BT /F 12 Tf 40 50 Td (also off) Tj ET
endstream endobj
trailer <</Root 1 0 R>>
"""


def test_layers_that_are_off(tmp_path: Path) -> None:
    (tmp_path / "a.pdf").write_bytes(LAYERS)
    assert may_hide_layers(LAYERS)
    assert hidden(str(tmp_path / "a.pdf"), True) == [("switched off", "off layer"), ("also off", "off layer")]


def test_layers_in_compressed_objects() -> None:
    catalog = zlib.compress(b"1 0 <</Type/Catalog/OCProperties<</OCGs[6 0 R]/D<</OFF[6 0 R]>>>>>>")
    data = b"9 0 obj<</Type/ObjStm/N 1/First 4/Filter/FlateDecode>>stream\r\n" + catalog + b"\nendstream"
    assert may_hide_layers(data)
    assert not may_hide_layers(LAYERS.replace(b"/OFF[7 0 R]", b"/OFF[]"))


def test_text_layer_is_freed_of_hidden_text(tmp_path: Path) -> None:
    key = Key(make(tmp_path, white_on_white))
    found = read(key, 0, Method.AUTO, 100, None, 0, 0)
    for source in (PageSource(0), PageSource(0, hidden=found.hidden)):
        with TextPages(key, [source]) as pages:
            text = "".join(char["char"] for line in pages.page(0).lines() for char in line.chars)
            assert text.count("letters") == 6
            assert "white" not in text
            assert [one.text for one in pages.hidden(0)] == ["words in white"]


def test_one_pass_over_the_characters_for_all_partly_covered_texts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def draw(canvas: Canvas) -> None:
        for number in range(60):
            x, y = 72 + 80 * (number % 5), 600 - 20 * (number // 5)
            canvas.drawString(x, y, "open covered")
            canvas.rect(x + canvas.stringWidth("open ", "Times-Roman", 11) - 1, y - 4, 45, 14, fill=1)

    path = make(tmp_path, draw)
    asked: list[int] = []
    get = pdfium.raw.FPDFText_GetTextObject

    def counted(textpage: object, index: int) -> object:
        asked.append(index)
        return get(textpage, index)

    monkeypatch.setattr(pdfium.raw, "FPDFText_GetTextObject", counted)
    assert hidden(path) == [("covered", "hidden")] * 60
    assert len(asked) > 60 * len("covered")
    assert len(asked) == len(set(asked))
