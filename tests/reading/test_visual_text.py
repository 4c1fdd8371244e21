"""No text is given up for a picture: tables that can't be recovered, figures that hold text, pieces of one table."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from common import ROOT
from read_regions import WITHOUT_VLM
from reportlab.lib.colors import lightgrey
from reportlab.pdfgen import canvas

from mineru_accel.document import Region
from mineru_accel.export.types import WriteJob, Writing
from mineru_accel.export.writer import write
from mineru_accel.layout.classes import Label
from mineru_accel.options import Format, Images, Method
from mineru_accel.pdf.jobs import read
from mineru_accel.pdf.types import Key, PageSource
from mineru_accel.reading import jobs
from mineru_accel.reading.types import PageSummary

CASES = ROOT / "tests" / "cases"
SIZE = (600.0, 800.0)
FULL = (50.0, 100.0, 550.0, 500.0)
"""A region of the pages made here, in points."""


def convert(path: Path, pages: list[list[Region]], staging: Path) -> tuple[str, list[PageSummary]]:
    """Markdown of a document's pages from given regions, and their summaries."""
    key, summaries = Key(str(path)), []
    for index, regions in enumerate(pages):
        seen = read(key, index, Method.AUTO, 200, None, 0, 0)
        source = PageSource(index, seen.ocr, seen.why_ocr)
        summaries += jobs.regions(key, source, regions, WITHOUT_VLM, str(staging), 72, True, index == 0)
    document = Writing(key, "x", str(staging), list(range(len(pages))), True, Images.FILE, "medium", "txt")
    assert write(WriteJob(document, (Format.MD,), 0)).failed_formats == {}
    return (staging / "x.md").read_text(encoding="utf-8"), summaries


def convert_case(name: str, staging: Path) -> tuple[str, list[PageSummary]]:
    """A case, with the regions that a detector found once."""
    pages = json.loads((CASES / f"{name}.regions.json").read_text(encoding="utf-8"))
    regions = [[Region(label, tuple(box), score) for label, box, score in page] for page in pages]
    return convert(CASES / f"{name}.pdf", regions, staging)


def words(summary: PageSummary) -> dict:
    """The account's counts of words that were not written."""
    assert summary.words is not None
    return {name: summary.words[name] for name in ("left_out", "missing", "invented")}


ALL_WRITTEN = {"left_out": {}, "missing": 0, "invented": 0}


def test_table_with_doubtful_cells_is_text(tmp_path: Path) -> None:
    text, (summary,) = convert_case("invoice_two_addr", tmp_path)
    assert "![" not in text and words(summary) == ALL_WRITTEN
    cells = text.replace("</td><td>", "|").replace("<td></td>", "")
    for row in ("4.10", "49.20", "Shaft seal 20x35x7", "14.10", "9.90", "73.20 EUR", "13.91 EUR", "87.11 EUR"):
        assert row in cells
    assert summary.status == "fallback" and any("cells" in warning for warning in summary.warnings)


def test_figure_that_is_a_ruled_table(tmp_path: Path) -> None:
    text, (summary,) = convert_case("rotheader", tmp_path)
    assert "| Name | Welding | Forklift licence | First aid | Crane | Electrics |" in text
    assert "| Bob |  | x | x |  | x |" in text
    assert "![" not in text and words(summary) == ALL_WRITTEN


def test_values_of_a_form_follow_their_labels(tmp_path: Path) -> None:
    text, (summary,) = convert_case("form", tmp_path)
    for field in ("Family name Okafor", "Given name Amara", "Date of birth 1990-02-11", "City Aarhus"):
        assert field in text.split("\n\n")
    assert "![" not in text and words(summary) == ALL_WRITTEN


@pytest.mark.parametrize(("name", "first", "last"), [("long30", 0, 29), ("xpage_table_nohead", 100, 139)])
def test_long_table_stands_once(tmp_path: Path, name: str, first: int, last: int) -> None:
    text, summaries = convert_case(name, tmp_path)
    numbers = [cell.strip() for line in text.splitlines() for cell in line.split("|") if cell.strip().startswith("A-")]
    assert numbers == [f"A-{number}" for number in range(first, last + 1)]
    assert "![" not in text and [words(s) for s in summaries] == [ALL_WRITTEN] * len(summaries)


def test_photograph_with_a_stray_letter_is_a_picture(tmp_path: Path) -> None:
    text, _ = convert_case("img_full", tmp_path)
    assert text.strip() == "![](images/page_0_image_0.jpg)"


PROSE = [
    "The committee reviewed the quarterly figures and noted",
    "that deliveries had improved in most of the regions,",
    "although two warehouses still reported some delays",
    "caused by late customs papers of three suppliers.",
]


def page(path: Path, label: Label, draw: object) -> tuple[Path, list[Region]]:
    """A page with a paragraph below a region of this label that ``draw(canvas)`` fills."""
    out = canvas.Canvas(str(path), pagesize=SIZE, invariant=1)
    draw(out)  # type: ignore[operator]
    for i in range(4):
        out.drawString(60, 200 - 14 * i, f"Line {i} of a paragraph that stands below it all on this page here.")
    out.showPage()
    out.save()
    box = (FULL[0] / SIZE[0], FULL[1] / SIZE[1], FULL[2] / SIZE[0], FULL[3] / SIZE[1])
    return path, [Region(label, box, 0.8)]


def test_prose_in_a_figure_stands_beside_its_picture(tmp_path: Path) -> None:
    def draw(out: canvas.Canvas) -> None:
        out.circle(120, 400, 40, fill=1)
        for i, line in enumerate(PROSE):
            out.drawString(200, 600 - 14 * i, line)

    path, regions = page(tmp_path / "a.pdf", Label.FIGURE, draw)
    text, (summary,) = convert(path, [regions], tmp_path)
    picture, prose = text.split("\n\n")[:2]
    assert picture.startswith("![](images/") and prose == " ".join(PROSE)
    assert words(summary) == ALL_WRITTEN and any("figure" in warning for warning in summary.warnings)


def test_large_type_alone_is_text_without_a_picture(tmp_path: Path) -> None:
    def draw(out: canvas.Canvas) -> None:
        out.setFont("Helvetica", 40)
        out.drawString(80, 560, "1250 members")
        out.setFont("Helvetica", 12)
        out.drawString(80, 500, "joined this year")

    path, regions = page(tmp_path / "a.pdf", Label.FIGURE, draw)
    text, (summary,) = convert(path, [regions], tmp_path)
    assert "![" not in text and "1250 members" in text and "joined this year" in text
    assert words(summary) == ALL_WRITTEN and any("figure" in warning for warning in summary.warnings)


def test_form_in_a_figure_is_text_without_a_picture(tmp_path: Path) -> None:
    fields = {"Surname": "Okafor", "Forename": "Amara", "City": "Aarhus", "Country": "Denmark"}

    def draw(out: canvas.Canvas) -> None:
        for i, (label, value) in enumerate(fields.items()):
            out.setFillColor(lightgrey)
            out.rect(155, 592 - 40 * i, 200, 20, fill=1)
            out.setFillColor("black")
            out.drawString(80, 598 - 40 * i, f"{label}:")
            out.drawString(160, 598 - 40 * i, value)

    path, regions = page(tmp_path / "a.pdf", Label.FIGURE, draw)
    text, (summary,) = convert(path, [regions], tmp_path)
    places = [text.index(word) for pair in fields.items() for word in pair]
    assert "![" not in text and places == sorted(places) and words(summary) == ALL_WRITTEN


@pytest.mark.parametrize("label", [Label.FIGURE, Label.TABLE])
def test_labels_of_a_chart_stay_in_it(tmp_path: Path, label: Label) -> None:
    def draw(out: canvas.Canvas) -> None:
        out.lines([(100, 350, 500, 350), (100, 350, 100, 650)])
        for i in range(6):
            out.drawString(100 + 75 * i, 335, str(10 * i))
            out.drawRightString(95, 350 + 50 * i, f"{0.2 * i:.1f}")
        curve = out.beginPath()
        curve.moveTo(100, 350)
        curve.curveTo(200, 600, 300, 300, 500, 640)
        out.drawPath(curve)
        out.drawString(250, 315, "Time in seconds")

    path, regions = page(tmp_path / "a.pdf", label, draw)
    text, (summary,) = convert(path, [regions], tmp_path)
    assert text.startswith("![](images/") and "Time in seconds" not in text
    assert words(summary)["left_out"] == {"inside a figure": 15} and summary.warnings == []


def test_columns_of_prose_taken_for_a_table_are_text_beside_its_picture(tmp_path: Path) -> None:
    def draw(out: canvas.Canvas) -> None:
        out.setFont("Helvetica", 8)
        for i, line in enumerate(PROSE):
            out.drawString(60, 600 - 10 * i, line)
            out.drawString(320, 600 - 10 * i, line.upper()[:44])

    path, regions = page(tmp_path / "a.pdf", Label.TABLE, draw)
    text, (summary,) = convert(path, [regions], tmp_path)
    assert " ".join(PROSE) in text and text.startswith("![](images/")
    assert words(summary) == ALL_WRITTEN and any("lines are written" in warning for warning in summary.warnings)


def test_sideways_labels_are_read_forwards(tmp_path: Path) -> None:
    def draw(out: canvas.Canvas) -> None:
        out.rotate(90)
        out.drawString(400, -100, "Sideways heading of it")
        out.rotate(-90)

    path, regions = page(tmp_path / "a.pdf", Label.PLAIN_TEXT, draw)
    text, _ = convert(path, [regions], tmp_path)
    assert "Sideways heading of it" in text


def ruled_table(out: canvas.Canvas) -> None:
    """Three columns and five rows of numbers between ruled lines."""
    for row in range(6):
        out.line(100, 600 - 30 * row, 400, 600 - 30 * row)
    for column in range(4):
        out.line(100 + 100 * column, 600, 100 + 100 * column, 450)
    for row in range(5):
        for column in range(3):
            out.drawString(110 + 100 * column, 580 - 30 * row, f"r{row}c{column}")


@pytest.mark.parametrize(("box", "where"), [((90, 570, 410, 640), "Stock of the year"), ((105, 500, 300, 545), "")])
def test_text_of_overlapping_regions_is_read_once(
    tmp_path: Path, box: tuple[float, float, float, float], where: str
) -> None:
    def draw(out: canvas.Canvas) -> None:
        ruled_table(out)
        out.drawString(100, 625, "Stock of the year")

    path, _ = page(tmp_path / "a.pdf", Label.TABLE, draw)

    def region(label: Label, x0: float, y0: float, x1: float, y1: float) -> Region:
        """From points with the origin at the bottom left."""
        return Region(label, (x0 / 600, 1 - y1 / 800, x1 / 600, 1 - y0 / 800), 0.8)

    regions = [region(Label.TABLE, 95, 445, 405, 605), region(Label.TITLE, *box)]
    text, (summary,) = convert(path, [regions], tmp_path)
    assert where in text and words(summary) == ALL_WRITTEN
    assert [text.count(f"r{row}c{column}") for row in range(5) for column in range(3)] == [1] * 15


def test_bar_chart_stays_a_picture(tmp_path: Path) -> None:
    def draw(out: canvas.Canvas) -> None:
        for i, (name, value) in enumerate([("Gull Pass", 212), ("Oster Saddle", 174), ("Low Gap", 96), ("Col", 61)]):
            out.drawRightString(150, 610 - 50 * i, name)
            out.rect(156, 600 - 50 * i, value, 30, fill=1)
            out.drawString(160 + value, 610 - 50 * i, f"{value} h")

    path, regions = page(tmp_path / "a.pdf", Label.FIGURE, draw)
    text, (summary,) = convert(path, [regions], tmp_path)
    assert text.startswith("![](images/") and "212 h" not in text and summary.warnings == []
