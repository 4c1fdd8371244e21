"""From regions to blocks: each source by the policy and the quality of the text layer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image, ImageDraw
from reportlab.lib.utils import ImageReader
from reportlab.pdfgen import canvas

from mineru_accel.document import BBox, Region, Source
from mineru_accel.layout.classes import Label
from mineru_accel.options import Backend
from mineru_accel.pdf.docvortex.spans import plain_text_of_spans
from mineru_accel.pdf.types import Key, PageSource
from mineru_accel.reading import blocks
from mineru_accel.reading.blocks import build_draft
from mineru_accel.reading.source_policy import SourcePolicy, make_source_policy
from mineru_accel.reading.tables.recover import UNREADABLE
from mineru_accel.reading.types import PageBlock

SIZE = (500, 700)
PIPELINE, HYBRID, VLM = (make_source_policy(b, None, False) for b in (Backend.PIPELINE, Backend.HYBRID, Backend.VLM))
HYBRID = replace(HYBRID, compares_with_pixels=False)
LAYER = {
    Label.TITLE: (50, 40, 450, 60),
    Label.PLAIN_TEXT: (50, 80, 450, 130),
    Label.ISOLATE_FORMULA: (150, 150, 350, 180),
    Label.TABLE: (50, 200, 250, 260),
}
"""Places of what has a text layer; in points, from the top."""
FIGURE, PICTURE_OF_TEXT = (300, 300, 450, 400), (50, 560, 450, 600)
"""Places of what has none."""


def region(label: Label, box: tuple[float, float, float, float]) -> Region:
    x, y = SIZE
    return Region(label, (box[0] / x, box[1] / y, box[2] / x, box[3] / y), 0.9)


@pytest.fixture
def key(tmp_path: Path) -> Key:
    """A page with a heading, a paragraph, a formula, a ruled table, and pictures of a landscape and of words."""
    pdf = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=SIZE, invariant=1)
    pdf.setFont("Helvetica-Bold", 16)
    pdf.drawString(52, 645, "An ordinary heading")
    pdf.setFont("Helvetica", 11)
    for line in range(4):
        pdf.drawString(52, 610 - 12 * line, f"line {line} of a paragraph with words enough for all to see them")
    pdf.drawString(200, 532, "x = y + z")
    pdf.grid([50, 150, 250], [440, 470, 500])
    for row in range(2):
        for column in range(2):
            pdf.drawString(60 + 100 * column, 480 - 30 * row, f"c{row}{column}")
    for x0, y0, x1, y1 in (FIGURE, PICTURE_OF_TEXT):
        picture = Image.new("RGB", (x1 - x0, y1 - y0), "white")
        ImageDraw.Draw(picture).rectangle((9, 9, x1 - x0 - 9, y1 - y0 - 9), fill="black")
        pdf.drawImage(ImageReader(picture), x0, SIZE[1] - y1)
    pdf.save()
    return Key(str(tmp_path / "a.pdf"))


@pytest.fixture(autouse=True)
def ocr(monkeypatch: pytest.MonkeyPatch) -> list[BBox]:
    """Regions that OCR was asked about; it reads the same everywhere."""
    asked: list[BBox] = []

    def read(key: Key, index: int, bbox: BBox, dpi: int, known: Sequence[BBox] = ()) -> str:
        asked.append(bbox)
        return "as OCR reads it"

    monkeypatch.setattr(blocks, "read_region", read)
    return asked


def draft(key: Key, policy: SourcePolicy, places: dict[Any, Any], why_ocr: str | None = None) -> dict[str, PageBlock]:
    """The blocks of these regions by label; text of the page that none of them holds is left out."""
    regions = [region(*place) for place in places.items()]
    found = build_draft(key, PageSource(0, why_ocr=why_ocr), regions, policy, 72, False)
    return {block.region.label: block for block in found.blocks if block.region and block.region.score}


def test_sound_layer_without_a_vlm(key: Key, ocr: list[BBox]) -> None:
    found = draft(key, PIPELINE, LAYER)
    assert {label: (block.source, block.reason, block.task) for label, block in found.items()} == {
        Label.TITLE: (Source.TEXT_LAYER, "", None),
        Label.PLAIN_TEXT: (Source.TEXT_LAYER, "", None),
        Label.ISOLATE_FORMULA: (Source.IMAGE, "", None),
        Label.TABLE: (Source.TEXT_LAYER, "", None),
    }
    assert "line 3 of a paragraph" in str(found[Label.PLAIN_TEXT].raw["content"])
    assert found[Label.ISOLATE_FORMULA].formula_text == "x = y + z"
    assert all(f"c{row}{column}</td>" in found[Label.TABLE].raw["content"] for row in range(2) for column in range(2))
    assert not ocr


@pytest.mark.parametrize(
    ("policy", "asked"),
    [
        (HYBRID, {Label.ISOLATE_FORMULA: "equation", Label.TABLE: "table"}),
        (
            VLM,
            {
                Label.TITLE: "title",
                Label.PLAIN_TEXT: "text",
                Label.ISOLATE_FORMULA: "equation",
                Label.TABLE: "table",
            },
        ),
    ],
)
def test_what_the_vlm_is_asked(key: Key, ocr: list[BBox], policy: SourcePolicy, asked: dict[str, str]) -> None:
    """What the policy leaves to it; a sound text layer stands by."""
    found = draft(key, policy, LAYER | {Label.FIGURE: FIGURE})
    tasks = {label: block.task for label, block in found.items() if block.task}
    assert {label: task.kind for label, task in tasks.items()} == asked
    assert all(found[label].raw["content"] == "" and found[label].source is Source.VLM for label in tasks)
    assert found[Label.FIGURE].source is Source.IMAGE
    formula = tasks[Label.ISOLATE_FORMULA]
    assert formula.text_layer == "x = y + z" and formula.is_sound
    picture = draft(key, policy, {Label.PLAIN_TEXT: PICTURE_OF_TEXT})[Label.PLAIN_TEXT]
    assert picture.source is Source.VLM and picture.task
    assert picture.task.kind == "text" and picture.task.text_layer == "" and not picture.task.is_sound
    assert picture.reason == ("no text layer here" if policy is HYBRID else "")
    assert not ocr


def test_unsound_layer_is_not_looked_at(key: Key, ocr: list[BBox]) -> None:
    found = draft(key, PIPELINE, LAYER, why_ocr="scrambled")
    assert {label: (block.source, block.reason) for label, block in found.items()} == {
        Label.TITLE: (Source.OCR, "scrambled"),
        Label.PLAIN_TEXT: (Source.OCR, "scrambled"),
        Label.ISOLATE_FORMULA: (Source.IMAGE, ""),
        Label.TABLE: (Source.IMAGE, "scrambled"),
    }
    assert found[Label.PLAIN_TEXT].raw["content"] == "as OCR reads it" and len(ocr) == 2
    assert found[Label.TITLE].raw["type"] == "paragraph_title"  # on a page without a layer a heading is one
    assert found[Label.TABLE].raw["content"] == "" and found[Label.ISOLATE_FORMULA].formula_text == ""
    read_by_vlm = draft(key, HYBRID, LAYER, why_ocr="scrambled")
    assert all(block.task and not block.task.text_layer for block in read_by_vlm.values())


def test_table_without_a_layer_is_warned_of(key: Key) -> None:
    page = PageSource(0, why_ocr="scrambled")
    found = build_draft(key, page, [region(Label.TABLE, LAYER[Label.TABLE])], PIPELINE, 72, False)
    assert found.warnings == [UNREADABLE]


def test_pictures_of_text_are_read_by_ocr(key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    text = draft(key, PIPELINE, {Label.PLAIN_TEXT: PICTURE_OF_TEXT})[Label.PLAIN_TEXT]
    assert (text.source, text.reason, text.raw["content"]) == (Source.OCR, "no text layer here", "as OCR reads it")
    logo = draft(key, PIPELINE, {Label.TITLE: PICTURE_OF_TEXT})[Label.TITLE]
    assert (logo.source, logo.raw["type"]) == (Source.OCR, "text")  # no heading
    monkeypatch.setattr(blocks, "read_region", lambda *_: "")
    assert not draft(key, PIPELINE, {Label.PLAIN_TEXT: PICTURE_OF_TEXT})  # no text, no block


@pytest.mark.parametrize(
    ("said", "counts"),
    [("AN ORDINARY HEADING, and far more than its layer has", True), ("An 0rdinary", False), ("", False)],
)
def test_ocr_counts_where_it_says_more(key: Key, monkeypatch: pytest.MonkeyPatch, said: str, counts: bool) -> None:
    """A region with less text than it has room for."""
    monkeypatch.setattr(blocks, "read_region", lambda *_: said)
    found = draft(key, PIPELINE, {Label.TITLE: (50, 0, 450, 75)})[Label.TITLE]
    content = found.raw["content"]
    assert (content if counts else plain_text_of_spans(content)) == (said if counts else "An ordinary heading")
    assert found.source is (Source.OCR if counts else Source.TEXT_LAYER)
    assert found.reason == ("the text layer has less text than the region" if counts else "")
    assert found.raw["type"] == "paragraph_title"


def test_boxes_end_with_the_page(key: Key) -> None:
    places = {Label.PLAIN_TEXT: (-40, 75, 560, 135), Label.FIGURE: (280, 290, 520, 720)}
    wanted = [0.0, 0.1071, 1.0, 0.1929]
    for policy in (PIPELINE, VLM):
        found = draft(key, policy, places)
        text = found[Label.PLAIN_TEXT]
        assert text.raw["bbox"] == wanted and found[Label.FIGURE].raw["bbox"] == [0.56, 0.4143, 1.0, 1.0]
        lines = [line["bbox"] for line in text.raw["lines"]]
        assert len(lines) == 4 and all(0 <= value <= 1 for line in lines for value in line)
        assert text.task is None if policy is PIPELINE else text.task and text.task.bbox == wanted
