"""What is shown of documents that nobody vouches for."""

from __future__ import annotations

import pytest
from common import cpu_seconds

from mineru_accel.document import PageStatus
from mineru_accel.events import PageDone
from mineru_accel.export.types import PageView, RegionView
from mineru_accel.ui import html


@pytest.mark.parametrize(
    ("part", "shown"),
    [
        ("costs \\$5, then \\$7", "costs <span>&#36;</span>5, then <span>&#36;</span>7"),
        ("$a$ costs \\$5 $b \\$ c$", "$a$ costs <span>&#36;</span>5 $b \\$ c$"),
        ("$$\na \\$ b\n$$ \\$3", "$$\na \\$ b\n$$ <span>&#36;</span>3"),
        ("![a](http://x/y.png)", "&#33;[a](http://x/y.png)"),
        ("![a][ref]", "&#33;[a][ref]"),
        ("![a](data:image/png;base64,xx)", "![a](data:image/png;base64,xx)"),
        ('<IMG alt="" src=//x/y>', '&lt;IMG alt="" src=//x/y>'),
        ('<img alt="" src="data:image/png;base64,x">', '<img alt="" src="data:image/png;base64,x">'),
    ],
)
def test_markdown_is_tamed(part: str, shown: str) -> None:
    assert html.markdown(PageView(passages=[part])) == f'<div class="ma-part ma-part-0">\n\n{shown}\n\n</div>'


@pytest.mark.parametrize("piece", ["![", "<img ", "$", "\\$", "$$a", "![a]("])
def test_no_document_takes_long(piece: str) -> None:
    assert cpu_seconds(lambda: html.markdown(PageView(passages=[piece * 20_000])), 1) < 3


def test_everything_else_is_escaped() -> None:
    evil = "<b onclick='x()'>\"&"
    region = RegionView(evil, evil, 0.5, "ocr", (-1.0, 0.0, 2.0, 1.0), 0)
    page = PageDone(0, 0, PageStatus.FALLBACK, None, 1.0, [evil], {})
    shown = html.page_picture(page, 0, b"x", PageView([region], ["a"]), "en") + html.regions(PageView([region]), "zh")
    shown += html.problem(evil) + html.page_picture(
        PageDone(0, 0, PageStatus.FAILED, evil, 1.0), 0, None, PageView(), "zh"
    )
    assert "<b" not in shown.replace("<button", "").replace("<banner", "") and "&lt;b onclick" in shown
    assert "left:0.000%" in shown and "width:100.000%" in shown
