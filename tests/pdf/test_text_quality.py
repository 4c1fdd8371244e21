"""Sound and unsound text layers: unmapped characters in words count, unmapped signs of formulas and plots don't."""

from __future__ import annotations

import io

import pypdfium2 as pdfium
from common import SAMPLES
from pypdf import PdfWriter
from pypdf.generic import ArrayObject, DecodedStreamObject, DictionaryObject, NameObject, NumberObject

from mineru_accel.pdf.text_quality import abnormal_share, is_scrambled, why_ocr

PROSE = "(The library lent many items last year and most of them came back in time) Tj T* " * 12


def page(content: str) -> pdfium.PdfPage:
    """A page with two fonts: /A is sound, /B has glyphs with unknown names, which map to no Unicode."""
    names = [NameObject(f"/glyph{code}x") for code in range(33, 127)]
    encoding = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Encoding"),
            NameObject("/Differences"): ArrayObject([NumberObject(33), *names]),
        }
    )
    fonts = DictionaryObject()
    for name in ("/A", "/B"):
        fonts[NameObject(name)] = DictionaryObject(
            {
                NameObject("/Type"): NameObject("/Font"),
                NameObject("/Subtype"): NameObject("/Type1"),
                NameObject("/BaseFont"): NameObject("/Helvetica"),
                **({NameObject("/Encoding"): encoding} if name == "/B" else {}),
            }
        )
    writer = PdfWriter()
    added = writer.add_blank_page(595, 842)
    added[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    stream = DecodedStreamObject()
    stream.set_data(f"BT 14 TL 60 780 Td {content} ET".encode())
    added[NameObject("/Contents")] = writer._add_object(stream)
    out = io.BytesIO()
    writer.write(out)
    return pdfium.PdfDocument(out.getvalue())[0]


def test_sound_prose_is_read_from_the_text_layer() -> None:
    assert why_ocr(page("/A 11 Tf " + PROSE)) is None


def test_prose_in_a_font_without_unicode_is_read_by_ocr() -> None:
    assert "map" in str(why_ocr(page("/B 11 Tf " + PROSE)))
    assert "map" in str(why_ocr(page("/A 11 Tf " + PROSE[: len(PROSE) // 3] + "/B 11 Tf " + PROSE)))


def test_signs_of_formulas_and_numbers_of_plots_are_no_reason_for_ocr() -> None:
    signs = "/A 11 Tf (a = ) Tj /B 11 Tf (\\050) Tj /A 11 Tf (x + y) Tj /B 11 Tf (\\051) Tj T* (0.25) Tj T* " * 12
    assert why_ocr(page("/A 11 Tf " + PROSE + signs)) is None


def test_scrambled_text_is_recognised() -> None:
    text = (SAMPLES / "report.md").read_text(encoding="utf-8")
    assert is_scrambled(text.lower().translate(str.maketrans("eaointrsbcdfghjk", "bcdfghjkeaointrs")))
    for name in ("report", "paper", "newsletter", "invoice", "chinese"):
        assert not is_scrambled((SAMPLES / f"{name}.md").read_text(encoding="utf-8"))
    assert not is_scrambled("x = [a_i * b_j for i in range(n)]\nreturn x\n" * 20)


def test_abnormal_share() -> None:
    assert abnormal_share("plain text, all of it") == 0
    assert abnormal_share("") == 0
    assert abnormal_share("ab\ue000\ufffd") == 0.5
