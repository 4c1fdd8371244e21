"""The ground truth of the samples agrees with the samples and with itself."""

from __future__ import annotations

import json
import re
import sys
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pypdfium2 as pdfium
import pytest
from common import SAMPLES
from metrics import (
    reading_order_exact,
    table_cells,
    text_similarity,
    truth_blocks,
)

NAMES = sorted(path.stem for path in SAMPLES.glob("*.pdf"))
BORN_DIGITAL = [name for name in NAMES if name != "scan"]
LABELS = {
    *("title", "plain text", "abandon", "figure", "figure_caption", "table"),
    *("table_caption", "table_footnote", "isolate_formula", "formula_caption"),
}


def _pages(name: str) -> list[dict[str, Any]]:
    pages: list[dict[str, Any]] = json.loads((SAMPLES / f"{name}.regions.json").read_text(encoding="utf-8"))
    return pages


def _markdown(name: str) -> str:
    return (SAMPLES / f"{name}.md").read_text(encoding="utf-8")


def _letters(text: str) -> str:
    """Text without what a text layer does not keep: white space, and the hyphens at line ends."""
    text = re.sub("[\ufffe\u0002\u00ad]|-(?=[\r\n])", "", text)
    return re.sub(r"\s+", "", unicodedata.normalize("NFKC", text))


# The samples


def test_there_are_enough_samples_and_they_are_small() -> None:
    assert len(NAMES) >= 6
    assert sum(path.stat().st_size for path in SAMPLES.glob("*.*")) < 2_500_000


@pytest.mark.parametrize("name", NAMES)
def test_pages_and_boxes(name: str) -> None:
    pages = _pages(name)
    with pdfium.PdfDocument(SAMPLES / f"{name}.pdf") as document:
        assert len(document) == len(pages)
        for page, truth in zip(document, pages, strict=True):
            assert page.get_size() == pytest.approx(truth["size"], abs=0.5)
            assert page.get_rotation() == truth["rotate"]
    for truth in pages:
        assert truth["regions"]
        for region in truth["regions"]:
            x0, y0, x1, y1 = region["bbox"]
            assert 0 <= x0 < x1 <= 1 and 0 <= y0 < y1 <= 1, region
            assert region["label"] in LABELS
            assert bool(region["text"]) == (region["label"] != "figure"), region


@pytest.mark.parametrize("name", BORN_DIGITAL)
def test_text_layer_within_the_boxes(name: str) -> None:
    """Within each box the text layer has the region's text, to the letter; tables: the same letters."""
    with pdfium.PdfDocument(SAMPLES / f"{name}.pdf") as document:
        for page, truth in zip(document, _pages(name), strict=True):
            width, height = page.get_size()
            layer = page.get_textpage()
            for region in truth["regions"]:
                if region["label"] in ("figure", "isolate_formula"):
                    continue
                x0, y0, x1, y1 = (v * s for v, s in zip(region["bbox"], (width, height) * 2, strict=True))
                # the text layer's coordinates are those of the page before it is turned
                box = (y0, x0, y1, x1) if truth["rotate"] == 90 else (x0, height - y1, x1, height - y0)
                found = layer.get_text_bounded(box[0] - 0.5, box[1] - 0.5, box[2] + 0.5, box[3] + 0.5)
                if region["label"] == "table":
                    assert sorted(_letters(found)) == sorted(_letters(region["text"]))
                else:
                    assert _letters(found) == _letters(region["text"])


def test_scan_has_no_text_layer_and_the_text_of_its_page() -> None:
    with pdfium.PdfDocument(SAMPLES / "scan.pdf") as document:
        assert document[0].get_textpage().get_text_range() == ""
    texts = [region["text"] for region in _pages("scan")[0]["regions"]]
    assert texts == [region["text"] for region in _pages("report")[0]["regions"]]


@pytest.mark.parametrize("name", NAMES)
def test_ink_is_within_the_boxes(name: str) -> None:
    """Every box has ink, and what is dark and outside all boxes is little: rules and backgrounds."""
    with pdfium.PdfDocument(SAMPLES / f"{name}.pdf") as document:
        for page, truth in zip(document, _pages(name), strict=True):
            grey = np.asarray(page.render(scale=1).to_pil().convert("L"), dtype=int)
            ink = np.abs(grey - np.median(grey)) > 90
            total = max(int(ink.sum()), 1)
            outside = ink.copy()
            for region in truth["regions"]:
                x0, y0, x1, y1 = (
                    round(v * s) for v, s in zip(region["bbox"], (grey.shape[1], grey.shape[0]) * 2, strict=True)
                )
                if region["label"] != "abandon":
                    assert ink[y0 : y1 + 1, x0 : x1 + 1].any(), region
                outside[max(y0 - 2, 0) : y1 + 3, max(x0 - 2, 0) : x1 + 3] = False
            if name != "slides":  # a bar of colour down the side
                assert outside.sum() < 0.06 * total, truth["page"]


@pytest.mark.parametrize("name", NAMES)
def test_markdown_agrees_with_the_regions(name: str) -> None:
    markdown, pages = _markdown(name), _pages(name)
    assert not reading_order_exact(markdown, truth_blocks(SAMPLES / f"{name}.regions.json")).problems
    furniture = [r["text"] for page in pages for r in page["regions"] if r["label"] == "abandon" and len(r["text"]) > 3]
    assert not [text for text in furniture if f"\n{text}\n" in markdown]
    regions = [r for page in pages for r in page["regions"]]
    assert markdown.count("![](") == sum(r["label"] == "figure" for r in regions)
    assert len(table_cells(markdown)) == sum(r["label"] == "table" for r in regions)
    assert markdown.count("\\tag{") == sum(r["label"] == "isolate_formula" for r in regions)
    assert len(re.findall(r"(?m)^# ", markdown)) == 1
    assert len(re.findall(r"(?m)^#{1,2} ", markdown)) == sum(r["label"] == "title" for r in regions)
    skip = ("abandon", "formula_caption", "isolate_formula")
    text = "\n\n".join(r["text"] for r in regions if r["label"] not in skip)
    assert text_similarity(markdown, text, formulas=False) > 0.99


def test_samples_show_what_they_promise() -> None:
    with pdfium.PdfDocument(SAMPLES / "paper.pdf") as document:
        raw = document[0].get_textpage().get_text_range()
    assert "\ufffe" in raw or "-\r\n" in raw  # words broken at line ends
    report = table_cells(_markdown("report"))
    assert [len(table[0]) for table in report] == [4, 5, 7]
    assert report[1][0] == ["Item", "Planned (£)", "Planned (£)", "Actual (£)", "Actual (£)"]
    assert _pages("report")[2]["rotate"] == 90
    assert "<sup>" in _markdown("paper")
    assert "](https://" in _markdown("newsletter")


def test_regenerated_samples_are_the_same(tmp_path: Path) -> None:
    """Twice the same bytes; and the same pages, boxes and Markdown as those in the repository."""
    for module in ("reportlab", "ziamath", "fontTools"):
        pytest.importorskip(module, reason=f"making samples needs {module}")
    sys.path.insert(0, str(SAMPLES))
    try:
        from make import fonts  # type: ignore[import-not-found]
        from make_samples import make_all  # type: ignore[import-not-found]
    finally:
        sys.path.remove(str(SAMPLES))
    if missing := fonts.missing():
        pytest.skip(f"fonts not installed: {', '.join(missing)}")
    assert make_all(tmp_path / "one") == make_all(tmp_path / "two")
    assert sorted(path.stem for path in (tmp_path / "one").glob("*.pdf")) == NAMES
    for path in sorted((tmp_path / "one").iterdir()):
        assert path.read_bytes() == (tmp_path / "two" / path.name).read_bytes(), path.name
        if path.suffix != ".pdf":
            assert path.read_bytes() == (SAMPLES / path.name).read_bytes(), path.name
            continue
        # the bytes of a PDF may differ with the versions of zlib and libjpeg, its pages may not
        with pdfium.PdfDocument(path) as new, pdfium.PdfDocument(SAMPLES / path.name) as old:
            assert len(new) == len(old)
            for one, two in zip(new, old, strict=True):
                assert one.get_textpage().get_text_range() == two.get_textpage().get_text_range()
                a, b = (np.asarray(page.render(scale=0.5).to_pil().convert("L"), dtype=int) for page in (one, two))
                assert a.shape == b.shape
                assert np.abs(a - b).mean() < 1.0
