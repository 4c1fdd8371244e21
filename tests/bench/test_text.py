"""Texts and tables as the benchmarks compare them."""

from __future__ import annotations

import random
import re

import pytest
from common import SAMPLES, cpu_seconds

from mineru_accel.bench.quality.text import levenshtein, normalize, table_cells, text_similarity


def _slow_levenshtein(one: str, two: str) -> int:
    before = list(range(len(two) + 1))
    for i, a in enumerate(one, 1):
        row = [i]
        for j, b in enumerate(two, 1):
            row.append(min(before[j] + 1, row[-1] + 1, before[j - 1] + (a != b)))
        before = row
    return before[-1]


def test_levenshtein() -> None:
    assert levenshtein("kitten", "sitting") == 3
    assert levenshtein("", "abc") == levenshtein("abc", "") == 3
    assert levenshtein("", "") == 0
    rng = random.Random(1)
    for _ in range(500):
        one, two = ("".join(rng.choice("abc") for _ in range(rng.randint(0, 90))) for _ in range(2))
        assert levenshtein(one, two) == _slow_levenshtein(one, two), (one, two)


def test_levenshtein_is_fast() -> None:
    rng = random.Random(2)
    one, two = ("".join(rng.choice("abcdefgh ") for _ in range(10_000)) for _ in range(2))
    assert cpu_seconds(lambda: levenshtein(one, two)) < 2.0


@pytest.mark.parametrize(
    ("markdown", "text"),
    [
        ("# Title\n\nSome **bold** and *slanted* text.", "Title Some bold and slanted text."),
        ("- one\n- two\n* three", "one two three"),
        ("![alt](images/a.jpg)\n\nCaption", "Caption"),
        ("![](a.jpg)\n\n<details>\n<summary>image content</summary>\n\n12 h\n</details>\n\nFigure 1", "Figure 1"),
        ("See [the site](https://example.org/a_b) now", "See the site now"),
        ("x<sup>2</sup> and $x_{i}^{2}$ and $\\alpha$", "x2 and xi2 and α"),
        ("$$\nE = m \\, c^{2} \\tag{1}\n$$", "E=mc2(1)"),
        ("<table><tr><td>a</td><td>b &amp; c</td></tr></table>", "a b & c"),
        ("| a | b |\n|---|---|\n| c | d |", "a b c d"),
        ("ﬁne — “quoted”, it’s −5", 'fine - "quoted", it\'s -5'),
        ("中文 测试 ，和 Latin 字", "中文测试,和Latin字"),
        ("It costs $5 or $6 today", "It costs $5 or $6 today"),
        ("5 \\* 6 \\$ and 3 < 4 > 2", "5 * 6 $ and 3 < 4 > 2"),
        ("2022 > 2021", "2022 > 2021"),
    ],
)
def test_normalize(markdown: str, text: str) -> None:
    assert normalize(markdown) == text


def test_text_similarity() -> None:
    truth = (SAMPLES / "paper.md").read_text(encoding="utf-8")
    assert text_similarity(truth, truth) == 1.0
    assert text_similarity("", "") == 1.0
    assert text_similarity("", truth) == 0.0
    blocks = truth.split("\n\n")
    half = "\n\n".join(blocks[: len(blocks) // 2])
    assert text_similarity(half, truth) < 0.7
    swapped = "\n\n".join(blocks[len(blocks) // 2 :] + blocks[: len(blocks) // 2])
    assert text_similarity(swapped, truth) < 0.6
    without = "\n\n".join(b for b in blocks if b != max(blocks, key=len))
    assert text_similarity(without, truth) < 0.97
    assert text_similarity(truth.replace("$$", ""), truth) > 0.9
    assert text_similarity(re.sub(r"\$\$.+?\$\$", "", truth, flags=re.S), truth, formulas=False) == 1.0


SPANS = (
    "<table><tr><td rowspan=2>Item</td><td colspan=2>Sum</td></tr><tr><td>in</td><td>out</td></tr>"
    "<tr><td>a&nbsp;b</td><td></td><td>3</td></tr></table>"
)


def test_table_cells() -> None:
    grid = [["Item", "Sum", "Sum"], ["Item", "in", "out"], ["a b", "", "3"]]
    assert table_cells(SPANS) == [grid]
    assert table_cells(SPANS.replace("</td>", "").replace("</tr>", "")) == [grid]
    assert table_cells("x\n\n| a | b |\n|---|:-:|\n| c \\| d | e |\n\ny " + SPANS) == [
        [["a", "b"], ["c | d", "e"]],
        grid,
    ]
    assert table_cells("no table, only a | b") == []
