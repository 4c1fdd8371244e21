"""The samples, converted as a user would, against their ground truth."""

from __future__ import annotations

from pathlib import Path

import pytest
from common import SAMPLES
from metrics import reading_order_exact, table_cells, tables_match, text_similarity, truth_blocks

from mineru_accel import DocumentResult, Pipeline

BORN_DIGITAL = ["paper", "report", "slides", "chinese", "invoice", "newsletter"]
SCANS = ["scan"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, DocumentResult]:
    out = tmp_path_factory.mktemp("samples")
    with Pipeline() as pipeline:
        return {r.name: r for r in pipeline.convert_batch([SAMPLES / "*.pdf"], out)}


def truth(name: str) -> str:
    return (SAMPLES / f"{name}.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", BORN_DIGITAL + SCANS)
def test_text_similarity(results: dict[str, DocumentResult], name: str) -> None:
    result = results[name]
    assert result.ok, result.error
    # Display formulas are pictures without a VLM: the report says so, and their LaTeX can't be compared.
    similarity = text_similarity(result.markdown, truth(name), formulas=False)
    assert similarity >= (0.95 if name in BORN_DIGITAL else 0.90)


@pytest.mark.parametrize("name", BORN_DIGITAL + SCANS)
def test_reading_order(results: dict[str, DocumentResult], name: str) -> None:
    assert reading_order_exact(results[name].markdown, truth_blocks(SAMPLES / f"{name}.regions.json"))


@pytest.mark.parametrize("name", [n for n in BORN_DIGITAL + SCANS if "<table" in (SAMPLES / f"{n}.md").read_text()])
def test_every_table_has_its_cells(results: dict[str, DocumentResult], name: str) -> None:
    assert tables_match(table_cells(results[name].markdown), table_cells(truth(name)))


def test_formulas_are_marked_honestly(results: dict[str, DocumentResult]) -> None:
    warnings = [w for p in results["paper"].pages for w in p.warnings]
    assert any("formula" in w and "VLM" in w for w in warnings)
    assert any("its characters" in w and "=" in w for w in warnings)
    assert "$$" not in results["paper"].markdown


def test_sources_are_told(results: dict[str, DocumentResult]) -> None:
    assert {s for p in results["scan"].pages for s in p.sources} <= {"ocr", "image"}
    assert "text-layer" in results["report"].pages[0].sources


def test_pictures_exist(results: dict[str, DocumentResult]) -> None:
    for result in results.values():
        assert result.output_dir is not None
        for part in result.markdown.split("](")[1:]:
            target = part.split(")")[0]
            if target.startswith("images/"):
                assert (Path(result.output_dir) / target).stat().st_size > 200
