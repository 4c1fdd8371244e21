"""Which regions the VLM is asked about, and what becomes of what it says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import stand_in as server
import vlm_checkpoints as tiny
from common import SAMPLES, MakePdf
from stand_in import read

from mineru_accel import PageStatus
from mineru_accel.document import Region

LOOP = "and so on " * 60


def test_pictures_are_described(serve: Any) -> None:
    """A page with a photograph, and the layout model that comes with the package."""
    said = {"text": "words", "image": "<|caption_start|>A quay by a calm river.<|caption_end|>"}
    one = serve(lambda n: said[one.kind(n)])
    result = read(SAMPLES / "newsletter.pdf", {"workers": 1}, one, describe_images=True)
    assert result.ok and one.kinds.count("image") == 1 and "text" in one.kinds
    assert "A quay by a calm river." in result.markdown and "](images/" in result.markdown
    assert "image" not in result.pages[0].sources


@pytest.mark.parametrize("vlm_for", [("table",), ("equation", "text")])
def test_vlm_reads_the_kinds_it_is_for(vlm_for: tuple[str, ...], serve: Any, pages: Path, vlm_options: Any) -> None:
    one = serve(lambda n: server.GOOD)
    result = read(pages, vlm_options, one, backend="hybrid", vlm_for=vlm_for)
    assert result.ok
    asked = {"table": {"table"}, "equation": {"formula"}, "text": {"text"}}
    assert set(one.kinds) == set().union(*(asked[kind] for kind in vlm_for))
    title, paragraph, caption, *table = result.pages[0].sources
    equation = result.pages[1].sources[1]
    assert title == caption == "text-layer"
    assert paragraph == ("vlm" if "text" in vlm_for else "text-layer")  # doubtful, but OCR reads no more
    assert table == (["vlm"] if "table" in vlm_for else ["image", "vlm"])  # no cells there: a line of text
    assert equation == ("vlm" if "equation" in vlm_for else "image")


@pytest.mark.parametrize("text_layer", [True, False])
def test_loops_end_as_other_text(text_layer: bool, serve: Any, tmp_path: Path, vlm_options: Any) -> None:
    """An answer that repeats itself whatever the temperature: the text layer speaks, or OCR where there is none."""
    path = tmp_path / "pages.pdf"
    path.write_bytes(tiny.pages_pdf(text_layer))

    def behave(n: int) -> str:
        return f"{n} {LOOP}" if one.kind(n) == "text" else server.GOOD

    one = serve(behave)
    result = read(path, vlm_options, one)
    assert result.ok and {p.status for p in result.pages} == {PageStatus.FALLBACK}
    assert "and so on" not in result.markdown
    reason = result.pages[1].reasons[0]
    assert result.pages[1].sources[0] == "fallback" and "repeats itself" in reason
    assert ("from the text layer" if text_layer else "by OCR") in reason
    assert "Energy and mass are one" in result.markdown
    heat = [b["temperature"] for n, b in enumerate(one.bodies) if one.kind(n) == "text"]
    assert heat.count(0.0) == heat.count(0.3) == heat.count(0.7) == 6


def test_empty_answers_where_there_is_ink(serve: Any, tmp_path: Path, vlm_options: Any) -> None:
    path = tmp_path / "pages.pdf"
    path.write_bytes(tiny.pages_pdf(text_layer=False))
    one = serve(lambda n: "" if one.kind(n) == "text" else server.GOOD)
    result = read(path, vlm_options, one)
    assert result.ok and {p.status for p in result.pages} == {PageStatus.FALLBACK}
    assert "Energy and mass are one" in result.markdown
    assert result.pages[1].sources[0] == "fallback"
    assert result.pages[1].reasons[0] == "the VLM's answer is empty; by OCR"


class SeesTables:
    """A table at the foot of the first page and at the head of the second."""

    name = "stub"
    imgsz = 640
    max_batch = 32

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Region]]:
        return [
            [Region("table", (0.1, 0.6, 0.9, 0.95) if self._low(i) else (0.1, 0.05, 0.9, 0.36), 0.9)] for i in images
        ]

    def close(self) -> None:
        pass

    def _low(self, image: np.ndarray) -> bool:
        half = image.shape[0] // 2
        return bool(image[half:].std() > image[:half].std())


@pytest.mark.parametrize("back_end", ["vlm", "hybrid"])
def test_tables_go_on_over_pages(
    back_end: str, serve: Any, tmp_path: Path, vlm_options: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from reportlab.pdfgen import canvas

    path = tmp_path / "table.pdf"
    pdf = canvas.Canvas(str(path), pagesize=(400, 600))
    for top, rows in ((240, ["Year Births", "2019 11", "2020 12"]), (570, ["Year Births", "2021 13", "2022 14"])):
        for row, text in enumerate(rows):
            for column, word in enumerate(text.split()):
                pdf.rect(40 + 160 * column, top - 60 * (row + 1), 160, 60)
                pdf.drawString(50 + 160 * column, top - 60 * (row + 1) + 25, word)
        pdf.showPage()
    pdf.save()
    monkeypatch.setattr("mineru_accel.layout.load_detector", lambda *a, **k: SeesTables())
    said = ["<fcel>Year<fcel>Births<nl><fcel>2019<fcel>11<nl><fcel>2020<fcel>12<nl>"]
    said += ["<fcel>Year<fcel>Births<nl><fcel>2021<fcel>13<nl><fcel>2022<fcel>14<nl>"]
    one = serve(lambda n: said[is_second(n)])

    def is_second(n: int) -> bool:
        """Requests of one moment come in any order; the second page's picture is the flatter one."""
        width, height = one.picture(n).size
        return width / height > 1.62

    result = read(path, vlm_options, one, backend=back_end)
    assert result.ok and one.kinds == ["table", "table"]
    assert result.markdown.count("Births") == 1
    years = [result.markdown.index(year) for year in ("2019", "2020", "2021", "2022")]
    assert years == sorted(years)


def test_vlm_is_not_asked_where_every_page_is_sound(serve: Any, make_pdf: MakePdf) -> None:
    one = serve(lambda n: server.GOOD)
    path = make_pdf("a.pdf", ["the first page", "the second page"])
    result = read(path, {"workers": 1, "imgsz": 320}, one, backend="hybrid")
    assert result.ok and one.asked == 0
    assert [page.status for page in result.pages] == [PageStatus.OK] * 2
    assert {source for page in result.pages for source in page.sources} == {"text-layer"}
    assert "the first page" in result.markdown and "the second page" in result.markdown


def test_pages_on_which_the_vlm_sees_nothing(serve: Any, make_pdf: MakePdf) -> None:
    """Its layout has no region: nothing more is asked, and the report says so."""
    one = serve(lambda n: "")
    result = read(make_pdf("a.pdf", ["the first page"]), {"workers": 1, "layout": "vlm"}, one)
    assert set(one.kinds) == {"layout"} and result.ok
    (page,) = result.pages
    assert (page.status, page.regions) == (PageStatus.FALLBACK, 0)
    assert "the VLM found nothing on this page" in page.warnings
