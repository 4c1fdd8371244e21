"""Formulas that are kept as pictures: their characters are written with the picture, and nothing of them is active."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from mineru_accel.document import Found
from mineru_accel.export import page_view
from mineru_accel.export.formula_text import alternative_text
from mineru_accel.export.parts import write_part
from mineru_accel.export.types import Part, PartJob, WriteJob, Writing
from mineru_accel.export.writer import write
from mineru_accel.options import Format, Images
from mineru_accel.pdf.types import Key
from mineru_accel.storage import page_store

CHARACTERS = r"E[x](javascript:alert(1)) = \[y] <script>alert(2)</script> *z* `c` $d$ ![p](q)"
BBOX = [0.1, 0.1, 0.9, 0.2]
FORMATS = (Format.MD, Format.CONTENT_LIST)


@pytest.fixture
def staging(tmp_path: Path, make_pdf) -> Path:
    """A spooled page with a formula kept as a picture, one with LaTeX, and one without a picture."""
    make_pdf("x.pdf", ["page"])
    picture = {"type": "equation", "bbox": BBOX, "angle": 0, "content": "", "image_path": "images/a.jpg"}
    latex = {"type": "equation", "bbox": BBOX, "angle": 0, "content": "a+b", "image_path": "images/b.jpg"}
    lost = {"type": "equation", "bbox": BBOX, "angle": 0, "content": ""}
    found = [Found("isolate_formula", 0.9, "image", text) for text in (CHARACTERS, "latex has them", "c = $d$ (3)")]
    page_store.write_page(tmp_path, 0, [picture, latex, lost], found)
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "a.jpg").write_bytes(b"\xff\xd8a")
    (tmp_path / "images" / "b.jpg").write_bytes(b"\xff\xd8b")
    return tmp_path


def writing(staging: Path, images: Images) -> Writing:
    return Writing(Key(str(staging / "x.pdf")), "x", str(staging), [0], True, images, "flash", "txt")


def files(staging: Path, images: Images) -> tuple[str, list[dict]]:
    assert write(WriteJob(writing(staging, images), FORMATS, 0)).failed_formats == {}
    return (staging / "x.md").read_text("utf-8"), json.loads((staging / "x_content_list.json").read_text("utf-8"))


def shown(markdown: str) -> str:
    return MarkdownIt("commonmark", {"html": True}).render(markdown)


def test_characters_stand_in_markdown_and_content_list(staging: Path) -> None:
    text, (picture, latex, lost) = files(staging, Images.FILE)
    assert picture["text"] == CHARACTERS and "text_format" not in picture
    assert latex["text"] == "a+b" and latex["text_format"] == "latex"
    assert lost["type"] == "text"
    assert text.count("](images/a.jpg)") == 1 and "latex has them" not in text and "c = " in text
    assert text.split("\n\n")[0] == f"![{alternative_text(CHARACTERS)}](images/a.jpg)"


def test_nothing_of_them_is_active(staging: Path) -> None:
    text, _ = files(staging, Images.FILE)
    html = shown(text.split("\n\n")[0])
    assert html.count("<img") == 1 and "<script" not in html and "<a " not in html and "<em" not in html
    assert 'src="images/a.jpg"' in html and "alert(1)" in html


def test_embedded_pictures_have_them_too(staging: Path) -> None:
    text, (picture, _, _) = files(staging, Images.EMBED)
    assert (
        text.startswith(f"![{alternative_text(CHARACTERS)}](data:image/jpeg;base64,") and picture["text"] == CHARACTERS
    )


def test_without_pictures_they_are_text(staging: Path) -> None:
    text, items = files(staging, Images.NONE)
    assert "alert(1)" in text and "<img" not in shown(text)
    assert [item["type"] for item in items] == ["text", "equation", "text"]


def test_parts_of_a_long_document_have_them(staging: Path) -> None:
    whole, items = files(staging, Images.FILE)
    write_part(PartJob(writing(staging, Images.FILE), Part(0, 0, 1, 0, 1), FORMATS, None))
    assert write(WriteJob(writing(staging, Images.FILE), FORMATS, 1)).failed_formats == {}
    assert (staging / "x.md").read_text("utf-8") == whole
    assert json.loads((staging / "x_content_list.json").read_text("utf-8")) == items


def test_preview_of_a_page_has_them(staging: Path) -> None:
    from PIL import Image

    Image.new("RGB", (4, 4)).save(staging / "images" / "a.jpg")
    passages = page_view.page(str(staging), 0).passages
    assert passages[0].startswith(f"![{alternative_text(CHARACTERS)}](data:")
