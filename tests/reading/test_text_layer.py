"""The text of characters: accents, spaces, literal LaTeX."""

from __future__ import annotations

import math
from random import Random
from typing import Any

import pytest
from characters import Box, character, font
from docvortex.analyzers.native.pdf.inline.types import PDFTextStyleLine, PDFTextStyleRange

from mineru_accel.document import Block
from mineru_accel.pdf.docvortex.characters import is_word_gap
from mineru_accel.pdf.docvortex.pages import TextLine
from mineru_accel.reading.text.accents import compose_evidence_line
from mineru_accel.reading.text.inline_styles import make_literal_spans
from mineru_accel.reading.text.lines import assign_to_regions, has_tight_word_gap, join_chars, to_lines


def char(letter: str, box: Box) -> dict[str, Any]:
    """A character whose ink is unknown."""
    return {k: v for k, v in character(letter, box).items() if k not in ("tight_bbox", "char_idx")}


@pytest.mark.parametrize(
    ("pair", "boxes", "said"),
    [
        ("´n", ((5, 0, 10, 9), (4.7, 0, 10.2, 9)), "ń"),
        ("ˇs", ((5, 0, 10, 9), (5.5, 0, 9.5, 9)), "š"),
        ("¨ı", ((5, 0, 10, 9), (6, 0, 9, 9)), "ï"),
        ("¸c", ((5, 0, 10, 9), (5, 0, 10, 9)), "ç"),
        ("A˚", ((5, 0, 12, 9), (6, 0, 11, 9)), "Å"),
        ("´n", ((5, 0, 10, 9), (10, 0, 15, 9)), "´n"),  # side by side
        ("˜q", ((5, 0, 10, 9), (5, 0, 10, 9)), "˜q"),  # no such letter
    ],
)
def test_accent_over_a_letter_is_one_letter(pair: str, boxes: tuple[Box, Box], said: str) -> None:
    chars = [char("z", (0, 0, 5, 9)), *(char(c, box) for c, box in zip(pair, boxes, strict=True))]
    assert join_chars(chars) == "z" + said


def test_accent_that_stands_at_the_end_of_the_line() -> None:
    space = {**char(" ", (0, 9, 0, 9)), "is_generated": True}
    chars = [char("W", (0, 0, 8, 9)), char("a", (8, 0, 13, 9)), char("s", (13, 0, 17, 9))]
    accent, other = char("¨", (8.5, 0, 12.5, 9)), char("o", (20, 0, 25, 9))
    assert join_chars([*chars, space, accent, space, other]) == "Wäs o"
    assert join_chars([*chars, accent, space, char("t", (17, 0, 20, 9))]) == "Wäst"
    assert join_chars([*chars, space, char("¨", (60, 0, 64, 9))]) == "Was ¨"


def test_ranges_of_styles_follow_the_composed_letters() -> None:
    ranges = (PDFTextStyleRange(0, 2, ("bold",)), PDFTextStyleRange(5, 8, ("superscript",)))
    line = PDFTextStyleLine((0, 0, 1, 1), "M´esz´ar1", ranges, 0)
    composed = compose_evidence_line(line, "style_ranges")
    assert composed.text == "Mészár1"
    assert [(composed.text[r.start : r.end]) for r in composed.style_ranges] == ["M", "ár"]


def test_no_space_where_a_line_is_only_broken_by_a_superscript() -> None:
    def line(words: str, x: float, top: float, bottom: float) -> TextLine:
        return TextLine([char(c, (x + 5 * i, top, x + 5 * i + 5, bottom)) for i, c in enumerate(words)])

    lines = [line("X-ray6", 0, 1, 11), line(", of", 30.5, 3, 11), line("them", 54, 3, 11)]
    inside, _ = assign_to_regions(lines, [(0, 0, 100, 20)])
    assert [each.text for each in to_lines(inside[0])] == ["X-ray6, of them"]


def test_latex_that_a_page_prints_is_text() -> None:
    blocks: list[Block] = [
        {"type": "text", "content": r"write \(x\)"},
        {"type": "text", "content": [{"type": "equation_inline", "content": "x"}, {"type": "text", "content": " is"}]},
        {"type": "table", "content": "<table></table>"},
    ]
    make_literal_spans(blocks)
    assert [b["content"] for b in blocks] == [
        [{"type": "text", "content": r"write \(x\)"}],
        [{"type": "text", "content": r"\(x\) is"}],
        "<table></table>",
    ]


def test_quick_tests_for_word_gaps_agree_with_docvortex() -> None:
    seed = 0
    random, gaps = Random(seed), 0
    for _ in range(20_000):
        size = random.choice([1.0, 9.0, 10.0])
        angle = random.choice([0.0, 0.0, math.pi / 2, math.pi, 0.3])
        width, height, gap = random.uniform(0.5, 9), random.uniform(0.5, 12), random.uniform(-1, 6)
        boxes = [(0.0, 0.0, width, height), (width + gap, 0.0, width + gap + 5, height)]
        left, right = (
            char(letter, box) | {"tight_bbox": box, "char_idx": i, "writing_angle": angle, "font": font(size)}
            for i, (letter, box) in enumerate(zip("ab", boxes, strict=True))
        )
        expected = is_word_gap(left, right)
        assert has_tight_word_gap(left, right) is expected, f"seed {seed}: {left}, {right}"
        gaps += expected
    assert gaps > 1000
