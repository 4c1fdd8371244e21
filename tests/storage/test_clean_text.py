"""What can't be text never reaches a written file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mineru_accel.export.inactive_text import clean_html
from mineru_accel.storage import page_store
from mineru_accel.storage.clean_text import clean, clean_values, dump
from mineru_accel.storage.report import read_report, write_report

BAD = "a\0b\x1b[31mc\u202ed\u2066e\ud800f\ufffeg\U0001fffeh\ufdd0i\x7fj\x9bk"
GOOD = "ab[31mcde\ufffdfghijk"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BAD, GOOD),
        ("a\tb\nc\r\nd", "a\tb\nc\r\nd"),
        ("one\x0ctwo\x0bthree\x85four", "one two three four"),
        ("\ud835\udc00 is a letter", "\U0001d400 is a letter"),
        ("é 中 \u200f\u200e \u00a0 \ue000 👩\u200d💻", "é 中 \u200f\u200e \u00a0 \ue000 👩\u200d💻"),
        (r"\begin \frac \u001b", r"\begin \frac \u001b"),
    ],
)
def test_clean(text: str, expected: str) -> None:
    assert clean(text) == expected
    assert json.loads(dump([text])) == [expected]
    assert json.loads(dump({text: {"b": (text,)}}, indent=2)) == {expected: {"b": [expected]}}
    assert clean_values([text, 1, None]) == [expected, 1, None]


def test_references_in_tables() -> None:
    table = "<table><tr><td>a&#1;&#x1B;&#x202e;&#8238;b &#65; &#x27; &lt;</td></tr></table>"
    assert clean_html(table) == "<table><tr><td>ab &#65; &#x27; &lt;</td></tr></table>"
    assert "202e" not in clean_html("<table><tr><td><eq>x&amp;#x202e;y</eq></td></tr></table>")


def test_pages_and_reports(tmp_path: Path) -> None:
    block: dict[str, Any] = {"type": "text", "bbox": [0, 0, 1, 1], "content": [{"type": "text", "content": BAD}]}
    page_store.write_page(tmp_path, 0, [block])
    assert page_store.read_page(tmp_path, 0)[0]["content"] == [{"type": "text", "content": GOOD}]
    (tmp_path / "a").mkdir()
    report = {"source": "/in/\u202efdp.pdf", "plan": BAD}
    path = write_report(tmp_path / "a", "a", report, [{"page_idx": 0, "warnings": [BAD], "words": {BAD: 1}}])
    assert clean(path.read_text(encoding="utf-8")) == path.read_text(encoding="utf-8")
    again = read_report(tmp_path, "a")
    assert again is not None
    assert again["source"] == report["source"]  # a file is known again by its name
    assert again["page_results"] == [{"page_idx": 0, "warnings": [GOOD], "words": {GOOD: 1}}]
