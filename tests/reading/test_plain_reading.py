"""A page that can't be analysed for one odd character or path is read in a plainer way."""

from __future__ import annotations

from pathlib import Path

import pytest
from common import CASES, MakePdf
from reportlab.pdfgen import canvas

from mineru_accel import PageStatus, Pipeline
from mineru_accel.errors import InputError
from mineru_accel.pdf.docvortex.pages import TextPages
from mineru_accel.pdf.plain_layer import char_of, plain_layer
from mineru_accel.pdf.types import Key, OcrLayer, PageSource
from mineru_accel.reading.plain_reading import read_again


def text_of(key: Key, layer: OcrLayer) -> str:
    with TextPages(key, [PageSource(0, layer)]) as pages:
        return "".join(c["char"] for line in pages.page(0).lines() for c in line.chars)


@pytest.mark.parametrize("layout", ["native", "doclayout-yolo"])
def test_odd_character(tmp_path: Path, layout: str) -> None:
    with Pipeline(workers=1, formats="md", layout=layout) as pipeline:
        result = pipeline.convert(CASES / "hostile" / "issue11768_reduced.pdf", tmp_path)
    (page,) = result.pages
    assert page.status is PageStatus.FALLBACK and "chr()" in page.warnings[0]
    assert "cm" in result.markdown


def test_page_without_area(tmp_path: Path) -> None:
    with Pipeline(workers=1, formats="md", layout="native") as pipeline:
        result = pipeline.convert(CASES / "hostile" / "boundingBox_invalid.pdf", tmp_path)
    assert [page.status for page in result.pages] == [PageStatus.OK] * 3
    assert "intersection" in result.markdown


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_plain_layer_has_the_text_at_its_place(tmp_path: Path, rotation: int) -> None:
    path = tmp_path / "page.pdf"
    page = canvas.Canvas(str(path), pagesize=(600, 600))
    page.setPageRotation(rotation)
    page.drawString(100, 300, "left part")
    page.drawString(400, 300, "right part")
    page.save()
    key = Key(str(path))
    layer = plain_layer(key, 0)
    assert sorted(text_of(key, layer).split()) == sorted("left part right part".split())
    with TextPages(key, [PageSource(0, layer)]) as layers, TextPages(key, [PageSource(0)]) as own:
        assert layers.page(0).size == own.page(0).size
        first = next(c for line in layers.page(0).lines() for c in line.chars if c["char"] == "l")
        same = next(c for line in own.page(0).lines() for c in line.chars if c["char"] == "l")
    assert all(abs(a - b) < 6 for a, b in zip(first["bbox"], same["bbox"], strict=True))
    assert abs(first["writing_angle"] - same["writing_angle"]) % 6.283 < 0.01


def test_characters() -> None:
    assert [char_of(code) for code in (65, 2, 0, 0x1B, 0xD800, 0x110000, 32)] == [
        "A",
        "-",
        "",
        "",
        "\ufffd",
        "\ufffd",
        " ",
    ]


def test_ways_are_tried_in_turn(make_pdf: MakePdf) -> None:
    key = Key(str(make_pdf("a.pdf", ["some plain words of text"])))
    tried: list[tuple[OcrLayer | None, list[str]]] = []

    def read(page: PageSource, warnings: list[str]) -> str:
        tried.append((page.ocr, warnings))
        if len(tried) < 3:
            raise ValueError(f"no {len(tried)}")
        assert page.ocr
        return text_of(key, page.ocr)

    assert "some plain words" in " ".join(read_again(key, PageSource(0), 200, read).split())
    assert [layer.source if layer else None for layer, _ in tried] == [None, "text-layer", "ocr"]
    assert "ValueError: no 1" in tried[2][1][0] and "OCR" in tried[2][1][0]


def test_errors_of_files_are_not_tried_again(make_pdf: MakePdf) -> None:
    def read(page: PageSource, warnings: list[str]) -> None:
        raise InputError("the page is damaged")

    with pytest.raises(InputError, match="damaged"):
        read_again(Key(str(make_pdf("a.pdf", ["text"]))), PageSource(0), 200, read)


def test_first_fault_is_told(make_pdf: MakePdf) -> None:
    faults = iter((ValueError("first"), ValueError("second"), ValueError("third")))

    def read(page: PageSource, warnings: list[str]) -> None:
        raise next(faults)

    with pytest.raises(ValueError, match="first"):
        read_again(Key(str(make_pdf("a.pdf", ["text"]))), PageSource(0), 200, read)
