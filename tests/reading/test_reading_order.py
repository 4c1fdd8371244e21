"""Reading order: hand-made layouts, the samples, and properties that hold for any boxes."""

from __future__ import annotations

import json
import math
import random

import pytest
from common import SAMPLES, cpu_seconds
from hypothesis import given, settings
from hypothesis import strategies as st

from mineru_accel.document import BBox, Region
from mineru_accel.reading.order.page import sort_regions
from mineru_accel.reading.order.xy_cut import order_boxes

PAGE = (600.0, 800.0)
T, H, F, FC = "plain text", "title", "figure", "figure_caption"
TB, TC, TN, EQ, NO, AB = "table", "table_caption", "table_footnote", "isolate_formula", "formula_caption", "abandon"

Item = tuple[str, float, float, float, float]
"""Label and box in points on a page of 600 by 800; lists of items are in reading order."""

LAYOUTS: dict[str, list[Item]] = {
    "empty": [],
    "single": [(T, 50, 50, 550, 90)],
    "one column": [(H, 50, 50, 300, 66), (T, 50, 80, 550, 140), (T, 50, 146, 550, 230), (T, 50, 236, 400, 250)],
    "one column, ragged lines that make no columns": [
        (T, 50, 50, 200, 62),
        (T, 400, 70, 550, 82),
        (T, 50, 90, 200, 102),
        (T, 420, 110, 550, 122),
        (T, 50, 140, 550, 300),
    ],
    "two columns": [
        (T, 50, 50, 290, 200),
        (T, 50, 206, 290, 500),
        (T, 50, 506, 290, 750),
        (T, 310, 50, 550, 300),
        (T, 310, 306, 550, 750),
    ],
    "two columns under an abstract that begins right of their first heading": [
        (H, 50, 50, 460, 90),
        (T, 175, 270, 550, 480),
        (T, 175, 490, 545, 510),
        (H, 50, 540, 150, 550),
        (T, 50, 558, 290, 720),
        (T, 310, 540, 550, 560),
        (T, 310, 566, 550, 720),
    ],
    "numbers of formulas make no column": [
        (T, 70, 100, 100, 112),
        (EQ, 120, 130, 490, 200),
        (T, 510, 170, 530, 182),
        (T, 90, 220, 380, 232),
        (EQ, 240, 260, 350, 290),
        (T, 510, 270, 530, 282),
        (T, 70, 310, 530, 340),
    ],
    "two columns with gaps in line": [
        (T, 50, 50, 290, 200),
        (T, 50, 212, 290, 400),
        (T, 50, 412, 290, 750),
        (T, 310, 50, 550, 200),
        (T, 310, 212, 550, 400),
        (T, 310, 412, 550, 750),
    ],
    "two columns, a narrow gutter, boxes that overlap a little": [
        (T, 50, 50, 303, 202),
        (T, 51, 199, 302, 401),
        (T, 49, 398, 303, 750),
        (T, 301, 50, 550, 302),
        (T, 302, 299, 551, 750),
    ],
    "title over two columns": [
        (H, 100, 40, 500, 70),
        (T, 220, 80, 380, 94),
        (H, 50, 120, 150, 134),
        (T, 50, 140, 290, 400),
        (T, 50, 406, 290, 750),
        (T, 310, 120, 550, 500),
        (T, 310, 506, 550, 750),
    ],
    "spanning heading in the middle": [
        (T, 50, 50, 290, 200),
        (T, 50, 206, 290, 380),
        (T, 310, 50, 550, 380),
        (H, 50, 400, 450, 420),
        (T, 50, 430, 290, 750),
        (T, 310, 430, 550, 600),
        (T, 310, 606, 550, 750),
    ],
    "short heading in the middle, spanning by the space beside it": [
        (T, 50, 50, 290, 200),
        (T, 50, 206, 290, 380),
        (T, 310, 50, 550, 380),
        (H, 50, 410, 180, 426),
        (T, 50, 434, 290, 750),
        (T, 310, 434, 550, 600),
        (T, 310, 606, 550, 750),
    ],
    "heading within the left column": [
        (T, 50, 50, 290, 200),
        (H, 50, 220, 180, 234),
        (T, 50, 242, 290, 750),
        (T, 310, 50, 550, 300),
        (T, 310, 306, 550, 750),
    ],
    "wide figure at the top": [
        (F, 50, 50, 550, 250),
        (FC, 50, 258, 550, 282),
        (T, 50, 300, 290, 750),
        (T, 310, 300, 550, 750),
    ],
    "wide figure in the middle": [
        (T, 50, 50, 290, 250),
        (T, 310, 50, 550, 240),
        (F, 50, 270, 550, 450),
        (FC, 120, 458, 480, 470),
        (T, 50, 490, 290, 750),
        (T, 310, 490, 550, 750),
    ],
    "wide table at the bottom": [
        (T, 50, 50, 290, 500),
        (T, 310, 50, 550, 480),
        (TC, 50, 520, 300, 532),
        (TB, 50, 538, 550, 700),
        (TN, 50, 704, 400, 714),
    ],
    "left column longer than the right": [
        (T, 50, 50, 290, 300),
        (T, 50, 306, 290, 500),
        (T, 50, 506, 290, 750),
        (T, 310, 50, 550, 300),
    ],
    "three columns": [
        (T, 40, 50, 200, 300),
        (T, 40, 306, 200, 750),
        (T, 215, 50, 375, 750),
        (T, 390, 50, 560, 400),
        (T, 390, 406, 560, 750),
    ],
    "three columns, a figure over the first two at the top": [
        (F, 40, 50, 375, 250),
        (FC, 40, 256, 375, 268),
        (T, 40, 280, 200, 750),
        (T, 215, 280, 375, 750),
        (T, 390, 50, 560, 400),
        (T, 390, 406, 560, 750),
    ],
    "three columns, a figure over the last two in the middle": [
        (T, 40, 50, 200, 400),
        (T, 40, 406, 200, 750),
        (T, 215, 50, 375, 240),
        (T, 390, 50, 560, 236),
        (F, 215, 256, 560, 450),
        (FC, 215, 456, 560, 468),
        (T, 215, 484, 375, 750),
        (T, 390, 484, 560, 750),
    ],
    "three columns, then two": [
        (H, 40, 40, 500, 60),
        (T, 40, 80, 200, 300),
        (T, 215, 80, 375, 290),
        (T, 390, 80, 560, 300),
        (T, 40, 330, 290, 600),
        (T, 310, 330, 560, 600),
    ],
    "four columns, then two that share the middle gutter": [
        (T, 40, 80, 160, 300),
        (T, 172, 80, 292, 300),
        (T, 304, 80, 424, 300),
        (T, 436, 80, 556, 300),
        (T, 40, 330, 292, 600),
        (T, 304, 330, 556, 600),
    ],
    "L: a paragraph around a figure": [
        (T, 50, 50, 550, 200),
        (T, 50, 210, 290, 450),
        (F, 310, 210, 550, 430),
        (FC, 310, 434, 550, 446),
        (T, 50, 460, 550, 600),
    ],
    "windmill: no straight cut at all": [
        (T, 50, 50, 380, 200),
        (T, 50, 215, 200, 600),
        (T, 215, 215, 380, 430),
        (T, 395, 50, 550, 430),
        (T, 215, 445, 550, 600),
    ],
    "sidebar on the right": [
        (H, 50, 40, 400, 60),
        (T, 50, 80, 400, 300),
        (T, 50, 306, 400, 500),
        (T, 50, 506, 400, 750),
        (H, 430, 80, 500, 94),
        (T, 430, 100, 550, 200),
        (T, 430, 206, 550, 260),
    ],
    "captions: figure above, figure below, table": [
        (F, 50, 50, 290, 200),
        (FC, 50, 206, 290, 218),
        (T, 50, 230, 290, 400),
        (TC, 50, 416, 200, 428),
        (TB, 50, 434, 290, 600),
        (TN, 50, 604, 250, 613),
        (T, 50, 630, 290, 750),
        (T, 310, 50, 550, 750),
    ],
    "captions above their figures come after them": [
        (F, 50, 70, 550, 200),
        (FC, 50, 54, 550, 64),
        (F, 50, 230, 550, 400),
        (FC, 50, 214, 550, 224),
        (T, 50, 420, 550, 500),
    ],
    "caption below its table comes after it": [
        (T, 50, 50, 550, 100),
        (TB, 50, 120, 550, 300),
        (TC, 50, 306, 400, 318),
        (T, 50, 340, 550, 500),
    ],
    "caption at the side of its figure": [
        (T, 50, 50, 550, 100),
        (F, 50, 120, 350, 320),
        (FC, 365, 200, 550, 260),
        (T, 50, 340, 550, 500),
    ],
    "two pictures with one caption": [
        (T, 50, 50, 550, 100),
        (F, 50, 120, 290, 300),
        (F, 310, 120, 550, 300),
        (FC, 150, 306, 450, 318),
        (T, 50, 340, 550, 500),
    ],
    "two figures side by side with a caption each": [
        (F, 50, 120, 290, 300),
        (FC, 50, 306, 290, 318),
        (F, 310, 120, 550, 300),
        (FC, 310, 306, 550, 318),
        (T, 50, 340, 550, 500),
    ],
    "formulas and their numbers": [
        (T, 50, 50, 290, 100),
        (EQ, 90, 110, 240, 130),
        (NO, 272, 115, 290, 126),
        (EQ, 90, 140, 240, 160),
        (NO, 272, 145, 290, 156),
        (T, 50, 170, 290, 400),
        (T, 310, 50, 550, 112),
        (EQ, 340, 120, 480, 140),
        (NO, 532, 125, 550, 136),
        (T, 310, 150, 550, 400),
    ],
    "number at the left of its formula": [(T, 50, 50, 550, 100), (EQ, 150, 110, 440, 130), (NO, 50, 115, 70, 126)],
    "furniture": [
        (AB, 50, 20, 200, 32),
        (AB, 500, 20, 550, 32),
        (T, 50, 50, 290, 750),
        (T, 310, 50, 550, 750),
        (AB, 50, 770, 200, 782),
        (AB, 290, 770, 310, 782),
    ],
    "rows of a form": [
        (T, 50, 50, 150, 110),
        (T, 350, 50, 470, 110),
        (T, 50, 140, 160, 190),
        (T, 350, 140, 480, 178),
        (T, 50, 220, 150, 232),
        (TB, 50, 260, 550, 500),
    ],
    "text inside a figure stays with it": [
        (T, 50, 50, 290, 300),
        (F, 50, 320, 290, 500),
        (T, 70, 340, 140, 352),
        (T, 70, 400, 140, 412),
        (FC, 50, 506, 290, 518),
        (T, 50, 530, 290, 750),
        (T, 310, 50, 550, 750),
    ],
    "date on the right above two columns": [
        (T, 470, 50, 550, 62),
        (T, 50, 90, 290, 400),
        (T, 310, 90, 550, 400),
    ],
}


def _regions(items: list[Item]) -> list[Region]:
    return [Region(label, (x0 / 600, y0 / 800, x1 / 600, y1 / 800)) for label, x0, y0, x1, y1 in items]


def _pages() -> list[tuple[str, tuple[float, float], list[Region]]]:
    out = []
    for path in sorted(SAMPLES.glob("*.regions.json")):
        for page in json.loads(path.read_text(encoding="utf-8")):
            regions = [Region(r["label"], tuple(r["bbox"])) for r in page["regions"]]
            out.append((f"{path.name.split('.')[0]}-{page['page']}", tuple(page["size"]), regions))
    return out


def _check(want: list[Region], size: tuple[float, float], seed: int) -> None:
    mixed = want[:]
    random.Random(seed).shuffle(mixed)
    got = sort_regions(mixed, size)
    numbers = {id(region): number for number, region in enumerate(want)}
    assert [numbers[id(region)] for region in got] == list(range(len(want))), f"seed {seed}"


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", LAYOUTS)
def test_layout(name: str, seed: int) -> None:
    _check(_regions(LAYOUTS[name]), PAGE, seed)


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page[0])
def test_sample(page: tuple[str, tuple[float, float], list[Region]]) -> None:
    assert page[2]
    for seed in range(10):
        _check(page[2], page[1], seed)


def test_samples_are_there() -> None:
    assert len({name.split("-")[0] for name, _, _ in _pages()}) >= 6


def _moved(regions: list[Region], size: tuple[float, float], seed: int, by: float) -> list[Region]:
    rng = random.Random(seed)
    scale = (size[0], size[1], size[0], size[1])
    return [
        Region(r.label, tuple(v + rng.uniform(-by, by) / s for v, s in zip(r.bbox, scale, strict=True)))
        for r in regions
    ]  # type: ignore[arg-type]


@pytest.mark.parametrize("page", _pages(), ids=lambda page: page[0])
def test_sample_with_noisy_boxes(page: tuple[str, tuple[float, float], list[Region]]) -> None:
    """A detector's edges are off by a point or two."""
    for seed in range(10):
        _check(_moved(page[2], page[1], seed, 2.0), page[1], seed)


@pytest.mark.parametrize("degrees", [-2.0, -1.0, 1.0, 2.0])
@pytest.mark.parametrize("page", _pages(), ids=lambda page: page[0])
def test_skewed_sample(page: tuple[str, tuple[float, float], list[Region]], degrees: float) -> None:
    """On a page rotated by up to two degrees, boxes of neighbours overlap and gutters are not straight."""
    name, (width, height), regions = page
    if name.startswith("scan"):
        pytest.skip("skewed already")
    cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turned = []
    for region in regions:
        x0, y0, x1, y1 = region.bbox
        corners = [((x - 0.5) * width, (y - 0.5) * height) for x in (x0, x1) for y in (y0, y1)]
        xs = [(x * cos - y * sin) / width + 0.5 for x, y in corners]
        ys = [(x * sin + y * cos) / height + 0.5 for x, y in corners]
        turned.append(Region(region.label, (min(xs), min(ys), max(xs), max(ys))))
    _check(turned, (width, height), 1)


def test_duplicates_stay_together() -> None:
    items = LAYOUTS["two columns"]
    regions = _regions(items)
    twins = [Region(r.label, tuple(v + 0.001 for v in r.bbox), 0.4) for r in regions]  # type: ignore[arg-type]
    got = sort_regions([*twins, *regions], PAGE)
    order = [
        next(n for n, r in enumerate(regions) if abs(r.bbox[0] - g.bbox[0]) + abs(r.bbox[1] - g.bbox[1]) < 0.01)
        for g in got
    ]
    assert order == sorted(order)
    assert len(got) == 2 * len(items)


def test_page_without_a_size() -> None:
    regions = _regions(LAYOUTS["two columns"])
    assert sort_regions(regions[::-1], (0.0, 0.0)) == regions


def test_order_boxes_of_text_lines() -> None:
    """Lines as OCR finds them, two columns of them."""
    lines = [(x, 50 + 14 * n, x + 240 - 11 * (n % 5), 61 + 14 * n) for x in (50, 310) for n in range(40)]
    mixed = list(range(len(lines)))
    random.Random(4).shuffle(mixed)
    got = order_boxes([lines[i] for i in mixed])
    assert [mixed[i] for i in got] == list(range(len(lines)))


@pytest.mark.parametrize("columns", [1, 2, 5])
def test_five_hundred_regions_are_fast(columns: int) -> None:
    rows = 500 // columns
    width, step = 0.9 / columns, 0.9 / rows
    regions = [
        Region(T, (0.05 + c * width, 0.05 + r * step, 0.03 + (c + 1) * width, 0.05 + (r + 0.8) * step))
        for c in range(columns)
        for r in range(rows)
    ]
    mixed = regions[:]
    random.Random(0).shuffle(mixed)
    assert sort_regions(mixed, PAGE) == regions
    assert cpu_seconds(lambda: sort_regions(mixed, PAGE), 5) < 0.06  # 15 ms where it was written


SIDE = st.floats(0, 1, allow_nan=False, width=32) | st.integers(0, 8).map(lambda n: n / 8)
BOX = st.tuples(SIDE, SIDE, SIDE, SIDE).map(
    lambda b: (min(b[0], b[2]), min(b[1], b[3]), max(b[0], b[2]), max(b[1], b[3]))
)


LABELS = st.sampled_from([T, H, F, FC, TB, TC, TN, EQ, NO, AB, "unheard of"])


@settings(max_examples=200)
@given(st.lists(st.tuples(LABELS, BOX), max_size=40), st.randoms())
def test_any_regions(items: list[tuple[str, BBox]], rng: random.Random) -> None:
    """Every region is in the result once, in an order that does not depend on that of the input."""
    regions = [Region(label, bbox) for label, bbox in items]
    got = sort_regions(regions, PAGE)
    assert sorted(map(id, got)) == sorted(map(id, regions))
    mixed = regions[:]
    rng.shuffle(mixed)
    assert sort_regions(mixed, PAGE) == got


@settings(max_examples=200)
@given(st.lists(BOX, max_size=30))
def test_any_boxes(boxes: list[BBox]) -> None:
    got = order_boxes(boxes)
    assert sorted(got) == list(range(len(boxes)))
    assert order_boxes(boxes) == got
    ordered = [boxes[i] for i in got]
    assert [ordered[i] for i in order_boxes(ordered)] == ordered
