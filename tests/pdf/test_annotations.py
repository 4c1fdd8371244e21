"""Fields of forms and other annotations become text of their page, at their place."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import pytest
from common import CASES
from pypdf import PdfReader, PdfWriter
from pypdf.generic import (
    ArrayObject,
    BooleanObject,
    DictionaryObject,
    FloatObject,
    NameObject,
    NumberObject,
    StreamObject,
    TextStringObject,
)
from reportlab.pdfgen import canvas

from mineru_accel import Pipeline
from mineru_accel.pdf.docvortex.documents import Document
from mineru_accel.pdf.docvortex.pages import TextPages
from mineru_accel.pdf.types import Key, PageSource

_RECT = (200.0, 600.0, 400.0, 620.0)


def _value(value: Any) -> Any:
    if isinstance(value, bool):
        return BooleanObject(value)
    if isinstance(value, str):
        return NameObject(value) if value.startswith("/") else TextStringObject(value)
    if isinstance(value, float):
        return FloatObject(value)
    if isinstance(value, int):
        return NumberObject(value)
    if isinstance(value, (tuple, list)):
        return ArrayObject([_value(item) for item in value])
    if isinstance(value, dict) and not isinstance(value, DictionaryObject):
        return DictionaryObject({NameObject(key): _value(item) for key, item in value.items()})
    return value


def _shows(text: str) -> StreamObject:
    """An appearance that shows a text."""
    stream = StreamObject()
    stream.set_data(f"BT /F 10 Tf 2 6 Td ({text}) Tj ET".encode())
    font = {"/Type": "/Font", "/Subtype": "/Type1", "/BaseFont": "/Helvetica"}
    entries = {
        "/Type": "/XObject",
        "/Subtype": "/Form",
        "/BBox": (0, 0, 200, 20),
        "/Resources": {"/Font": {"/F": font}},
    }
    stream.update(_value(entries))
    return stream


def pdf_with(
    *annotations: dict[str, Any], form: dict[str, Any] | None = None, rotation: int = 0, drawn: int = 0
) -> bytes:
    """A page with the word ``Label`` and some annotations, which are the fields of a form unless that is None.

    Args:
        rotation: of the page as displayed, clockwise in degrees.
        drawn: rotation of its text, counter-clockwise about the middle of the page.
    """
    out = io.BytesIO()
    page = canvas.Canvas(out, pagesize=(595, 842))
    page.translate(297.5, 421)
    page.rotate(drawn)
    page.drawString(72 - 297.5, 606 - 421, "Label")
    page.save()
    writer = PdfWriter(PdfReader(out))
    references = []
    for annotation in annotations:
        entries = {"/Type": "/Annot", "/Rect": _RECT, "/F": 4, **annotation}
        if "/AP" in entries:
            entries["/AP"] = {"/N": writer._add_object(entries["/AP"])}
        references.append(writer._add_object(_value(entries)))
    writer.pages[0][NameObject("/Annots")] = ArrayObject(references)
    if rotation:
        writer.pages[0].rotate(rotation)
    if form is not None:
        writer._root_object[NameObject("/AcroForm")] = _value({"/Fields": references, "/DA": "/Helv 0 Tf 0 g", **form})
    whole = io.BytesIO()
    writer.write(whole)
    return whole.getvalue()


def text_of(pdf: bytes) -> str:
    document = Document(pdf)
    try:
        with document.open_page(0) as page:
            return page.get_textpage().get_text_range()
    finally:
        document.close()


def field(kind: str, value: Any, **more: Any) -> dict[str, Any]:
    entries = {f"/{key}": item for key, item in more.items()}
    return {"/Subtype": "/Widget", "/FT": kind, "/T": "f", "/V": value, "/DA": "/Helv 10 Tf 0 g", **entries}


@pytest.mark.parametrize("name", ["form", "form_needap"])
def test_values_follow_their_labels(name: str, converted: dict[str, str]) -> None:
    words = converted[name].split()
    pairs = (
        *(("name", "Okafor"), ("name", "Amara"), ("birth", "1990-02-11"), ("City", "Aarhus")),
        *(("already", "[x] yes"), ("yes", "[ ] no")),
        *(("Country", "Denmark"), ("Remarks", "Needs")),
    )
    text = " ".join(words)
    places = [
        (text.index(value), text.index(value) - text.rindex(label, 0, text.index(value))) for label, value in pairs
    ]
    assert [place for place, _ in places] == sorted(place for place, _ in places)
    assert all(distance <= len("already [x]") for _, distance in places), text
    assert "![" not in converted[name]


@pytest.fixture(scope="module")
def converted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Text of both forms without markup."""
    out = tmp_path_factory.mktemp("out")
    with Pipeline(workers=1, formats="md") as pipeline:
        texts = {name: pipeline.convert(CASES / f"{name}.pdf", out).markdown for name in ("form", "form_needap")}
    return {name: re.sub(r"<[^>]*>", " ", text) for name, text in texts.items()}


def test_value_without_appearance() -> None:
    assert "Okafor" in text_of(pdf_with(field("/Tx", "Okafor"), form={"/NeedAppearances": True}))
    assert "Okafor" in text_of(pdf_with(field("/Tx", "Okafor"), form={}))
    assert "Okafor" in text_of(pdf_with(field("/Tx", "Okafor")))  # of a form that the document does not have


def test_value_in_another_script() -> None:
    assert "Иванов 山田" in text_of(pdf_with(field("/Tx", "Иванов 山田"), form={}))


def test_value_as_its_appearance_formats_it() -> None:
    text = text_of(pdf_with(field("/Tx", "1234.5", AP=_shows("1,234.50 kr")), form={}))
    assert "1,234.50 kr" in text and "1234.5" not in text


def test_old_appearance() -> None:
    text = text_of(pdf_with(field("/Tx", "Okafor", AP=_shows("Smith")), form={"/NeedAppearances": True}))
    assert "Okafor" in text and "Smith" not in text


def test_value_in_cells() -> None:
    assert "123456" in text_of(
        pdf_with(field("/Tx", "123456", Ff=1 << 24, MaxLen=6, AP=_shows("1 2 3 4 5 6")), form={})
    )


def test_password_is_not_told() -> None:
    assert "secret" not in text_of(pdf_with(field("/Tx", "secret", Ff=1 << 13), form={}))


def test_chosen_options() -> None:
    options = [["dk", "Denmark"], ["no", "Norway"]]
    assert "Norway" in text_of(pdf_with(field("/Ch", "no", Ff=1 << 17, Opt=options), form={}))
    listed = text_of(pdf_with(field("/Ch", "no", Opt=options), form={}))
    assert "[x] Norway" in listed and "[x] Denmark" not in listed


@pytest.mark.parametrize("form", [{}, None])
@pytest.mark.parametrize("flags", [0, 1 << 15])  # a box, a radio button
def test_boxes(flags: int, form: dict[str, Any] | None) -> None:
    for state, written in (("/Yes", "[x]"), ("/Off", "[ ]")):
        assert written in text_of(pdf_with(field("/Btn", state, AS=state, Ff=flags), form=form))


def test_button_shows_its_caption() -> None:
    assert "Send" in text_of(pdf_with(field("/Btn", "/Off", Ff=1 << 16, AP=_shows("Send")), form={}))


def test_hidden_fields_stay_hidden() -> None:
    for flags in (2, 32):
        assert "Okafor" not in text_of(pdf_with(field("/Tx", "Okafor", F=flags, AP=_shows("Okafor")), form={}))


def test_text_boxes_stamps_and_notes() -> None:
    box = {"/Subtype": "/FreeText", "/Contents": "See the\rannex", "/DA": "/Helv 10 Tf 0 g"}
    assert "See the\r\nannex" in text_of(pdf_with(box))
    assert "See the old annex" in text_of(pdf_with({**box, "/AP": _shows("See the old annex")}))
    assert "APPROVED" in text_of(pdf_with({"/Subtype": "/Stamp", "/AP": _shows("APPROVED")}))
    note = {"/Subtype": "/Text", "/Contents": "Nobody sees me"}
    assert text_of(pdf_with(note, {**box, "/Rect": (72, 300, 200, 320)})).split() == ["Label", "See", "the", "annex"]


def test_magnifying_glass_doubles_nothing() -> None:
    again = {"/Subtype": "/Stamp", "/Rect": (70, 600, 270, 620), "/AP": _shows("Label")}
    assert text_of(pdf_with(again)).split() == ["Label"]


def test_links_survive() -> None:
    link = {"/Subtype": "/Link", "/Rect": (72, 600, 110, 620), "/A": {"/S": "/URI", "/URI": "https://example.org/a"}}
    document = Document(pdf_with(link, field("/Tx", "Okafor"), form={}))
    found = document.page(0).get_link_annotations()
    assert [one.target for one in found] == ["https://example.org/a"]
    document.close()


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("is_turned", [False, True])
def test_values_go_with_their_labels(tmp_path: Path, rotation: int, is_turned: bool) -> None:
    """On pages that are shown turned, with text that is upright then, or that is not."""
    rect = {0: (200, 600, 400, 620), 90: (98, 323, 119, 523), 180: (195, 222, 395, 242), 270: (476, 318, 497, 518)}
    drawn = rotation if is_turned else 0
    path = tmp_path / "turned.pdf"
    value = {**field("/Tx", "Okafor"), "/Rect": rect[drawn]}
    path.write_bytes(pdf_with(value, form={}, rotation=rotation, drawn=drawn))
    with TextPages(Key(str(path)), [PageSource(0)]) as pages:
        lines = [line.chars for line in pages.page(0).lines()]
    angles = {round(c["writing_angle"], 2) for line in lines for c in line if not c["char"].isspace()}
    words = " ".join("".join(c["char"] for c in line) for line in lines).split()
    assert sorted(words) == ["Label", "Okafor"]
    assert len(angles) == 1 and (not is_turned or angles == {0.0})


def test_page_is_changed_once_and_its_bytes_never() -> None:
    pdf = pdf_with(field("/Tx", "Okafor"), form={})
    document = Document(pdf)
    for _ in range(3):
        with document.open_page(0) as page:
            assert page.get_textpage().get_text_range().count("Okafor") == 1
    assert document.data == pdf
    document.close()
