"""The account of a page's words notices what is dropped, doubled, swapped and invented, and nothing else."""

from __future__ import annotations

import copy
import json
import random

import pytest
from common import SAMPLES
from golden_samples import NAMES, REGIONS
from read_regions import read_regions

from mineru_accel.document import Region, Source
from mineru_accel.pdf.docvortex.pages import TextLine, TextPages
from mineru_accel.pdf.types import Key, PageSource
from mineru_accel.reading.left_out import leave_out_marks
from mineru_accel.reading.page_end import account_for_words
from mineru_accel.reading.text.inline_styles import plain_text
from mineru_accel.reading.types import PageBlock, PageContent, SeenWord
from mineru_accel.reading.word_account import WordAccount, letters_of, match_words, seen_words

SIZE = (600.0, 800.0)


def line(text: str, x: float, y: float) -> TextLine:
    """Letters five points wide and ten high."""
    return TextLine([{"char": c, "bbox": (x + 5 * i, y, x + 5 * i + 5, y + 10)} for i, c in enumerate(text)])


def block(text: str, x0: float, y0: float, x1: float, y1: float, kind: str = "text", **fields: object) -> PageBlock:
    bbox = [x0 / SIZE[0], y0 / SIZE[1], x1 / SIZE[0], y1 / SIZE[1]]
    return PageBlock({"type": kind, "bbox": bbox, "content": text}, fields.pop("source", Source.TEXT_LAYER), **fields)


def account(lines: list[TextLine], *blocks: PageBlock) -> WordAccount:
    return match_words(seen_words(lines), blocks, SIZE)


@pytest.mark.parametrize(
    ("lines", "text"),
    [
        (["A hyphen at the end of a rou-", "tine line is mended"], "A hyphen at the end of a routine line is mended"),
        (["The oﬃce, naïve", "Mu¨ller"], "The office, naïve Müller"),
        (["H", "2", "O and x", "2"], "H2O and x2"),
        (["• one", "• two – three"], "- one - two – three"),
        (["Pa ge num ber"], "Page number"),
        (["Amount 12.50 EUR"], "<table><tr><td>Amount</td><td>12.50 EUR</td></tr></table>"),
    ],
)
def test_what_reading_does_to_words_is_no_loss(lines: list[str], text: str) -> None:
    found = account(
        [line(words, 50, 50 + 12 * i) for i, words in enumerate(lines)],
        block(text, 40, 40, 400, 100, "table" if text.startswith("<") else "text"),
    )
    assert not found.missing and not found.invented and found.written == found.seen > 0


def test_leader_dots_part_words() -> None:
    lines, _ = leave_out_marks([line("Harbour" + "." * 30 + str(12 + i), 50, 50 + 12 * i) for i in range(3)])
    found = account(lines, block("Harbour 12 Harbour 13 Harbour 14", 40, 40, 400, 100))
    assert found.seen == found.written == 6 and not found.missing and not found.invented


def test_words_of_other_places_do_not_count() -> None:
    lines = [line("alpha beta", 50, 50), line("gamma delta", 50, 500)]
    swapped = account(lines, block("gamma delta", 40, 40, 200, 70), block("alpha beta", 40, 490, 200, 520))
    assert [w.text for w in swapped.missing] == ["alpha", "beta", "gamma", "delta"]
    assert sorted(swapped.invented) == ["alpha", "beta", "delta", "gamma"]
    assert "alpha" in str(swapped.warning())


def test_every_word_has_its_reason() -> None:
    lines = [line("12", 300, 5), line("axis", 50, 100), line("old words", 50, 300), line("x y", 50, 400)]
    found = account(
        lines,
        block("12", 290, 0, 320, 20, "page_number"),
        block("", 40, 80, 200, 200, "image", source=Source.IMAGE),
        block("new words", 40, 290, 200, 320, source=Source.VLM),
        block("", 40, 390, 200, 420, "equation", source=Source.IMAGE, formula_text="x y"),
    )
    assert found.furniture == 1 and found.written == 3 and not found.missing and not found.invented
    assert [(w.text, str(reason)) for w, reason in found.left_out] == [
        ("axis", "inside a figure"),
        ("old", "replaced by the VLM"),
    ]
    report = found.as_dict(SIZE)
    assert report["left_out"] == {"inside a figure": 1, "replaced by the VLM": 1}
    assert report["words"][0] == {"text": "axis", "bbox": [0.0833, 0.125, 0.1167, 0.1375], "reason": "inside a figure"}


def test_letters() -> None:
    assert [letters_of(text) for text in ("Don't", "ﬁne", "Å", "–", "½", "ˆ", "ıt")] == [
        "dont",
        "fine",
        "a",
        "",
        "12",
        "",
        "it",
    ]


def _pages() -> list[tuple[str, int]]:
    found = json.loads(REGIONS.read_text(encoding="utf-8"))
    return [(name, index) for name in NAMES if name != "scan" for index in range(len(found[name]))]


def read(name: str, index: int) -> tuple[list[SeenWord], PageContent, tuple[float, float]]:
    """The words of a sample's page, and the page as it is read."""
    key = Key(str(SAMPLES / f"{name}.pdf"))
    with TextPages(key, [PageSource(index)]) as pages:
        page = pages.page(0)
        seen, size = seen_words(page.lines()), page.size
    regions = json.loads(REGIONS.read_text(encoding="utf-8"))[name][index]
    return seen, read_regions(key, [Region(label, tuple(bbox), score) for label, bbox, score in regions], index), size


@pytest.mark.parametrize(("name", "index"), _pages())
def test_mutations_of_samples_are_noticed(name: str, index: int, seed: int = 7) -> None:
    """Blocks dropped, doubled, and pairs with their contents swapped; the page as it is has no difference."""
    seen, content, size = read(name, index)
    found = match_words(seen, content.blocks, size)
    assert not found.missing and not found.invented
    spoken = [i for i, b in enumerate(content.blocks) if any(map(letters_of, str(b.raw.get("content") or "").split()))]
    spoken = [i for i in spoken if content.blocks[i].raw["type"] != "list"]
    rng = random.Random(seed)
    for i in rng.sample(spoken, min(6, len(spoken))):
        dropped = content.blocks[:i] + content.blocks[i + 1 :]
        assert match_words(seen, dropped, size).missing, (seed, "dropped", i)
        doubled = [*content.blocks, copy.deepcopy(content.blocks[i])]
        assert match_words(seen, doubled, size).invented, (seed, "doubled", i)
    for _ in range(6 if len(spoken) > 1 else 0):
        i, j = rng.sample(spoken, 2)
        swapped = copy.deepcopy(content.blocks)
        one, other = swapped[i].raw, swapped[j].raw
        if one["content"] == other["content"]:
            continue
        one["content"], other["content"] = other["content"], one["content"]
        assert match_words(seen, swapped, size).missing, (seed, "swapped", i, j)


def test_lost_words_become_paragraphs_at_their_place() -> None:
    lines = [
        line("above", 50, 50),
        line("lost words of one line", 50, 100),
        line("and its second", 50, 112),
        line("below", 50, 200),
        line("cell", 50, 300),
        line("left", 90, 310),
    ]
    table = block("<table><tr><td>cell</td></tr></table>", 40, 295, 200, 330, "table")
    content = PageContent(0, [block("above", 40, 45, 200, 65), block("below", 40, 195, 200, 215), table])
    account_for_words(content, seen_words(lines), SIZE)
    assert [plain_text(raw) for raw in content.raws[:3]] == ["above", "lost words of one line and its second", "below"]
    assert {plain_text(raw) for raw in content.raws if raw["type"] == "text"} >= {"left"}
    assert content.words and content.words["missing"] == content.words["invented"] == 0
    assert content.warnings == ["2 paragraph(s) of words that no block held were added"]


def test_words_that_a_block_has_in_another_form_are_not_added() -> None:
    content = PageContent(0, [block("duals of indivi a firm", 40, 45, 300, 65)])
    account_for_words(content, seen_words([line("individuals of a firm", 50, 50)]), SIZE)
    assert len(content.blocks) == 1 and content.words and content.words["missing"] == 1
    assert any("individuals" in warning for warning in content.warnings)


def test_words_beyond_the_edge_of_the_page() -> None:
    found = account(
        [line("inside and", 540, 50), line("beyond", 610, 50)], block("inside and beyond", 530, 45, 600, 65)
    )
    assert not found.missing and not found.invented and found.written == 3
