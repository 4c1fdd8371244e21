"""Markdown of the samples from their true regions: independent of the detector."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from common import SAMPLES
from metrics import reading_order_exact, table_cells, tables_match, text_similarity, truth_blocks
from read_regions import WITHOUT_VLM, read_regions
from reportlab.pdfgen import canvas

from mineru_accel.document import PageStatus, Region
from mineru_accel.export.types import WriteJob, Writing
from mineru_accel.export.writer import write
from mineru_accel.options import Format, Images, Method
from mineru_accel.pdf.jobs import read
from mineru_accel.pdf.types import Key, PageSource
from mineru_accel.reading import jobs, region_ocr
from mineru_accel.reading.geometry import undo_deskew
from mineru_accel.reading.text.inline_styles import plain_text

SEED = 7
"""Of the jitter and the order of regions."""
NAMES = ["paper", "report", "slides", "scan", "chinese", "invoice", "newsletter"]


def convert(name: str, staging: Path, jitter: float = 0.0) -> str:
    """A sample's Markdown from its true regions in random order, each side moved by up to ``jitter`` points."""
    key = Key(str(SAMPLES / f"{name}.pdf"))
    pages = json.loads((SAMPLES / f"{name}.regions.json").read_text(encoding="utf-8"))
    rng = random.Random(SEED)
    for index, page in enumerate(pages):
        seen = read(key, index, Method.AUTO, 200, None, 0, 0)
        width, height = seen.size
        regions = []
        for region in page["regions"]:
            box = region["bbox"]
            if seen.ocr:
                box = undo_deskew(box, -seen.ocr.angle, seen.size)
            x0, y0, x1, y1 = box
            dx, dy = jitter / width, jitter / height
            moved = (
                x0 + rng.uniform(-dx, dx),
                y0 + rng.uniform(-dy, dy),
                x1 + rng.uniform(-dx, dx),
                y1 + rng.uniform(-dy, dy),
            )
            regions.append(Region(region["label"], moved))
        rng.shuffle(regions)
        (summary,) = jobs.regions(
            key, PageSource(index, seen.ocr), regions, WITHOUT_VLM, str(staging), 100, True, index == 0
        )
        assert summary.status in (PageStatus.OK, PageStatus.FALLBACK)
    document = Writing(key, name, str(staging), list(range(len(pages))), True, Images.FILE, "medium", "txt")
    assert write(WriteJob(document, (Format.MD,), 0)).failed_formats == {}
    return (staging / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("jitter", [0.0, 2.0])
@pytest.mark.parametrize("name", NAMES)
def test_true_regions_give_the_true_markdown(tmp_path: Path, name: str, jitter: float) -> None:
    if name == "scan" and jitter:
        pytest.skip("one OCR is enough")
    markdown, truth = convert(name, tmp_path, jitter), (SAMPLES / f"{name}.md").read_text(encoding="utf-8")
    assert text_similarity(markdown, truth, formulas=False) >= 0.995, f"seed {SEED}"
    assert reading_order_exact(markdown, truth_blocks(SAMPLES / f"{name}.regions.json")), f"seed {SEED}"
    assert tables_match(table_cells(markdown), table_cells(truth)), f"seed {SEED}"


@pytest.mark.parametrize("name", ["paper", "newsletter"])
def test_text_in_no_region_is_kept(tmp_path: Path, name: str) -> None:
    """Without any region every line still comes out, as paragraphs of its own."""
    key = Key(str(SAMPLES / f"{name}.pdf"))
    seen = read(key, 0, Method.AUTO, 200, None, 0, 0)
    (summary,) = jobs.regions(key, PageSource(0, seen.ocr), [], WITHOUT_VLM, str(tmp_path), 100, False, True)
    assert summary.blocks > 5
    pages = json.loads((SAMPLES / f"{name}.regions.json").read_text(encoding="utf-8"))
    blocks = json.loads((tmp_path / "pages" / "000000.json").read_text(encoding="utf-8"))
    out = json.dumps(blocks, ensure_ascii=False)
    words = {w for r in pages[0]["regions"] if r["label"] == "plain text" for w in r["text"].split() if w.isalpha()}
    assert sum(w in out for w in words) > 0.97 * len(words)


def test_table_printed_sideways_is_read_though_no_region_has_it(tmp_path: Path) -> None:
    pdf = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=(595, 842))
    pdf.rotate(90)
    for row in range(6):
        for column in range(5):
            pdf.drawString(200 + 90 * column, -250 - 20 * row, f"c{row}{column}")
    pdf.save()
    (block,) = read_regions(Key(str(tmp_path / "a.pdf")), []).raws
    assert block["type"] == "table"
    assert all(f"<td>c{row}{column}</td>" in block["content"] for row in range(6) for column in range(5))


def test_sparse_region_is_read_by_ocr_only_where_more_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[object] = []
    monkeypatch.setattr(region_ocr, "read_lines", lambda pixels: read.append(pixels) or ["as drawn, with more letters"])
    pdf = canvas.Canvas(str(tmp_path / "a.pdf"), pagesize=(595, 842))
    for page in range(2):
        pdf.drawString(60, 800, "one line of text")
        if page:
            pdf.rect(60, 400, 300, 40, fill=1)
        pdf.showPage()
    pdf.save()
    region = Region("plain text", (0.05, 0.02, 0.95, 0.6), 0.9)
    texts = [plain_text(read_regions(Key(str(tmp_path / "a.pdf")), [region], page).raws[0]) for page in range(2)]
    assert texts == ["one line of text", "as drawn, with more letters"] and len(read) == 1
