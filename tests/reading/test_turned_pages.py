"""Sideways and upside-down pages are read upright; everything that is written about places is of the page as shown."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pypdfium2 as pdfium
import pytest
from common import CASES, SAMPLES
from PIL import Image
from pypdf import PdfReader, PdfWriter

from mineru_accel import DocumentResult, Pipeline
from mineru_accel.options import Method
from mineru_accel.pdf.jobs import read
from mineru_accel.pdf.opening import open_page
from mineru_accel.pdf.plain_text import text_in_box
from mineru_accel.pdf.types import Key
from mineru_accel.reading.geometry import to_displayed
from mineru_accel.reading.vlm_requests import page_image

MINUTES = "The committee reviewed the quarterly figures and noted that deliveries had improved in most regions"


@pytest.fixture(scope="module")
def pipeline() -> Iterator[Pipeline]:
    with Pipeline(workers=1, formats="md,content_list,model") as pipeline:
        yield pipeline


def blocks(result: DocumentResult) -> list[dict]:
    return json.loads(result.files["content_list"].read_text(encoding="utf-8"))


def turned_copy(name: str, target: Path, turns: list[int]) -> Path:
    """A sample whose pages have been rotated clockwise."""
    writer = PdfWriter()
    for page, turn in zip(PdfReader(SAMPLES / f"{name}.pdf").pages, turns, strict=False):
        writer.add_page(page)
        writer.pages[-1].rotate(turn)
    writer.write(target)
    return target


@pytest.mark.parametrize("layout", ["doclayout-yolo", "native"])
def test_case_rotate90(tmp_path: Path, layout: str) -> None:
    with Pipeline(workers=1, formats="md,content_list", layout=layout) as pipeline:
        result = pipeline.convert(CASES / "rotate90.pdf", tmp_path)
    lines = [line for line in result.markdown.splitlines() if line]
    assert lines[0].lstrip("# ") == "Minutes of the meeting"
    assert lines[1].startswith(MINUTES)
    assert "![](" not in result.markdown
    assert result.pages[0].turned == 90
    assert not result.pages[0].warnings
    x0, y0, x1, y1 = blocks(result)[0]["bbox"]
    assert 850 < x0 < x1 < 950, "the title is a narrow column at the right of the page as displayed"
    assert 100 < y0 < y1 < 500
    assert y1 - y0 > 5 * (x1 - x0)
    report = json.loads((result.output_dir / f"{result.name}_report.json").read_text(encoding="utf-8"))
    assert report["page_results"][0]["turned"] == 90


def test_case_tx_sideways(pipeline: Pipeline, tmp_path: Path) -> None:
    result = pipeline.convert(CASES / "tx_sideways.pdf", tmp_path)
    assert result.pages[0].turned == 0
    assert "| North | 1200 | 1310 | 1250 | 1400 | 1390 | 1500 |" in result.markdown


def test_mixed_pages_give_the_same_markdown(pipeline: Pipeline, tmp_path: Path) -> None:
    """One page upside down, one sideways, one as it was: the same text, tables and order; pictures upright."""
    upright = pipeline.convert(turned_copy("report", tmp_path / "report.pdf", [0, 0, 0]), tmp_path / "a")
    (tmp_path / "t").mkdir()
    mixed = pipeline.convert(turned_copy("report", tmp_path / "t" / "report.pdf", [180, 90, 0]), tmp_path / "b")
    assert [page.turned for page in mixed.pages] == [180, 90, 0]
    assert mixed.markdown == upright.markdown
    pictures = sorted(path.name for path in (upright.output_dir / "images").iterdir())
    assert pictures == sorted(path.name for path in (mixed.output_dir / "images").iterdir())
    for name in pictures:
        a, b = (Image.open(result.output_dir / "images" / name).size for result in (upright, mixed))
        assert abs(a[0] - b[0]) <= 2
        assert abs(a[1] - b[1]) <= 2
    for a, b in zip(blocks(upright), blocks(mixed), strict=True):
        turn = mixed.pages[b["page_idx"]].turned
        moved = to_displayed([v / 1000 for v in a["bbox"]], turn, 0.0, (1, 1))
        assert b["bbox"] == pytest.approx([1000 * v for v in moved], abs=3)


@pytest.mark.parametrize("turn", [90, 180, 270])
def test_hidden_text_of_turned_pages_stays_out(pipeline: Pipeline, tmp_path: Path, turn: int) -> None:
    """Text that is not seen is found at its place on the upright page."""
    writer = PdfWriter(clone_from=CASES / "hidden.pdf")
    for page in writer.pages:
        page.rotate(turn)
    writer.write(tmp_path / "hidden.pdf")
    upright = pipeline.convert(CASES / "hidden.pdf", tmp_path / "a")
    turned = pipeline.convert(tmp_path / "hidden.pdf", tmp_path / "b")
    assert {page.turned for page in turned.pages} == {turn}
    assert turned.markdown == upright.markdown
    assert turned.pages[0].words["left_out"] == upright.pages[0].words["left_out"]


@pytest.mark.parametrize(("degrees", "skew"), [(90, 0), (180, 2), (270, -2)])
def test_turned_scans(pipeline: Pipeline, tmp_path: Path, degrees: int, skew: float) -> None:
    page = pdfium.PdfDocument(SAMPLES / "report.pdf")[0].render(scale=150 / 72).to_pil().convert("L")
    page.rotate(skew, fillcolor=255).rotate(-degrees, expand=True).save(tmp_path / "scan.png", dpi=(150, 150))
    result = pipeline.convert(tmp_path / "scan.png", tmp_path / "out")
    assert result.pages[0].turned == degrees
    assert "The library lent 48,310 items" in result.markdown
    assert not result.pages[0].words["missing"]
    first = blocks(result)[0]["bbox"]
    centre = {90: first[2] > 800, 180: first[3] > 800, 270: first[0] < 200}
    assert centre[degrees], "the top of the page lies where it is displayed"


def test_a_turned_key_shows_the_page_upright(tmp_path: Path) -> None:
    key = Key(str(turned_copy("report", tmp_path / "report.pdf", [90, 0])))
    seen = read(key, 0, Method.AUTO, 100, None, 0, 0)
    assert seen.turn == 90
    turned = key.with_turns([(0, seen.turn), (1, 0)])
    assert turned.turns == ((0, 90),)
    with open_page(key, 0) as page, open_page(turned, 0) as upright, open_page(turned, 1) as other:
        assert page.get_size() == pytest.approx(upright.get_size()[::-1])
        assert other.get_size() == pytest.approx(upright.get_size())
    width, height = page_image(turned, 0).size
    assert width < height, "the VLM's crops are cut from the upright page"


def test_a_scan_that_the_vlm_reads_is_turned_too(tmp_path: Path) -> None:
    page = pdfium.PdfDocument(SAMPLES / "report.pdf")[0].render(scale=100 / 72).to_pil().convert("L")
    page.rotate(180).save(tmp_path / "scan.png", dpi=(100, 100))
    seen = read(Key(str(tmp_path / "scan.png")), 0, Method.AUTO, 100, None, 0, 0, ocr=False)
    assert (seen.turn, seen.ocr, seen.why_ocr) == (180, None, "no text layer")


@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
def test_text_in_a_box_of_a_turned_page(tmp_path: Path, rotation: int) -> None:
    """Running heads are recognised by the same place of the neighbouring pages, as they are read."""
    key = Key(str(turned_copy("report", tmp_path / "report.pdf", [rotation])))
    text = text_in_box(key, 0, (0, 0, 595, 60), turn=rotation)
    assert text == text_in_box(Key(str(SAMPLES / "report.pdf")), 0, (0, 0, 595, 60))
    assert "Library" in text


@pytest.mark.parametrize("turn", [0, 90, 180, 270])
def test_places_come_back(turn: int) -> None:
    """A box in the upper left corner of the page as read, twice as wide as high, on the page as displayed."""
    expected = {0: (0, 0, 0.2, 0.1), 90: (0.9, 0, 1, 0.2), 180: (0.8, 0.9, 1, 1), 270: (0, 0.8, 0.1, 1)}
    assert to_displayed([0, 0, 0.2, 0.1], turn, 0.0, (1, 1)) == pytest.approx(expected[turn])
