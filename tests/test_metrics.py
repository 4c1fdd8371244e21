"""The metrics of the samples' tests see what is wrong."""

from __future__ import annotations

import random

import pytest
from common import SAMPLES
from metrics import reading_order_exact, table_cells, tables_match, truth_blocks

NAMES = sorted(path.stem for path in SAMPLES.glob("*.pdf"))


BLOCKS = [
    "The library lent many books.",
    "Visits rose more slowly.",
    "The roof was not repaired.",
    "Total",
    "Staff went home",
]


def test_reading_order() -> None:
    good = "\n\n".join(BLOCKS)
    assert reading_order_exact(good, BLOCKS)
    assert reading_order_exact(good.replace("Visits rose", "Visi1s r0se"), BLOCKS)
    swapped = "\n\n".join([BLOCKS[1], BLOCKS[0], *BLOCKS[2:]])
    verdict = reading_order_exact(swapped, BLOCKS)
    assert not verdict
    assert len(verdict.problems) == 1 and "out of order" in verdict.problems[0]
    verdict = reading_order_exact("\n\n".join(BLOCKS[:2] + BLOCKS[3:]), BLOCKS)
    assert verdict.problems == ["missing: 'The roof was not repaired.'"]
    last_first = "\n\n".join([BLOCKS[4], *BLOCKS[:4]])
    assert reading_order_exact(last_first, BLOCKS).problems == ["out of order: 'Staff went home'"]
    assert len(reading_order_exact("\n\n".join(BLOCKS[::-1]), BLOCKS).problems) == len(BLOCKS) - 1
    assert not reading_order_exact("", BLOCKS)


def test_reading_order_with_the_same_words_twice() -> None:
    blocks = ["Income", "Fees came in.", "Income", "Gifts came in."]
    assert reading_order_exact("\n\n".join(blocks), blocks)
    assert not reading_order_exact("Income\n\nFees came in.\n\nGifts came in.", blocks)


@pytest.mark.parametrize("name", NAMES)
def test_reading_order_of_a_shuffled_sample(name: str) -> None:
    blocks = truth_blocks(SAMPLES / f"{name}.regions.json")
    mixed = blocks[:]
    random.Random(1).shuffle(mixed)
    assert not reading_order_exact("\n\n".join(mixed), blocks), "seed 1"


SPANS = (
    "<table><tr><td rowspan=2>Item</td><td colspan=2>Sum</td></tr><tr><td>in</td><td>out</td></tr>"
    "<tr><td>a&nbsp;b</td><td></td><td>3</td></tr></table>"
)


def test_tables_match() -> None:
    want = table_cells(SPANS)
    assert tables_match(want, want)
    assert tables_match([], [])
    assert not tables_match([], want)
    assert not tables_match(want * 2, want)
    assert not tables_match(table_cells(SPANS.replace("out", "cut")), want)
    assert tables_match(table_cells(SPANS.replace("a&nbsp;b", "ab")), want, min_similarity=0.9)
    assert not tables_match(table_cells(SPANS.replace("<tr><td>in", "<tr><td></td><td>in")), want)
    moved = table_cells(SPANS.replace("<td></td><td>3</td>", "<td>3</td><td></td>"))
    assert not tables_match(moved, want)
    unmerged = table_cells(SPANS.replace(" colspan=2", "").replace("Sum</td>", "Sum</td><td></td>"))
    assert not tables_match(unmerged, want)
    assert tables_match(unmerged, want, strict=False)
    assert not tables_match(table_cells(SPANS.replace("Sum", "Som")), want, strict=False)
    assert not tables_match([want[0][:2]], want, strict=False)
