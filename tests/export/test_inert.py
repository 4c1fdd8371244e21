"""Nothing of a document's text is active in what is written, and ordinary text stays as it is."""

from __future__ import annotations

import io
import re

import pytest
import zoo
from bs4 import BeautifulSoup
from markdown_it import MarkdownIt
from pypdf import PdfReader, PdfWriter

import mineru_accel.conversion.worker_imports  # noqa: F401
from mineru_accel.export import mineru
from mineru_accel.export.inactive_pdf import remove_active_content
from mineru_accel.export.inactive_text import clean_html, deactivate_blocks, escape_markdown

ATTACKS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<img src=x\nonerror=alert(1)\n>",
    "<img src=x <b> onerror=alert(1)>",
    "<iframe src=javascript:alert(1)",
    "<svg/onload=alert(1)//",
    "[x](javascript:alert(1))",
    "![x](data:text/html;base64,PHNjcmlwdD4=)",
    "[x](&#106;avascript:alert(1))",
    "[x]: javascript:alert(1)",
    "(javascript:alert(1)) after a bracket",
    "<javascript:alert(1)>",
    r"\<iframe src=javascript:alert(1)",
    r"\\\<svg/onload=alert(1)//",
    r"[x\](javascript:alert(1))",
    r"\[x](javascript:alert(1))",
    r"<a \<img src=x onerror=alert(1)//",
    "<!-- <img src=x onerror=alert(1)>",
]


def active(markup: str) -> list[str]:
    """What a browser would do something about in HTML."""
    found = []
    for tag in BeautifulSoup(markup, "html.parser").find_all(True):
        if tag.name in ("script", "img", "iframe", "svg", "object", "embed", "style", "form", "link", "base"):
            found.append(str(tag))
        for name, value in tag.attrs.items():
            link = name in ("href", "src") and not re.match(r"(?:https?:|mailto:|#)", str(value))
            if link or name.startswith("on") or name == "style":
                found.append(f"{name}={value}")
    return found


def active_markdown(text: str) -> list[str]:
    """The same for Markdown, as a renderer shows it that lets everything through."""
    renderer = MarkdownIt("commonmark", {"html": True}).enable("table")
    renderer.validateLink = lambda url: True  # type: ignore[method-assign]
    return active(renderer.render(text))


def test_the_measure_itself() -> None:
    for attack in ATTACKS[:2] + ATTACKS[6:8]:
        assert active_markdown(attack)
    assert active_markdown("[x]: javascript:1\n\n[x]") and not active_markdown("[x](https://a.b) <b>c</b>")


def _render(blocks: list[dict]) -> tuple[str, str, str]:
    """Markdown, content list and HTML of a page."""
    for block in blocks:
        block["bbox"] = (0.1, 0.1, 0.9, 0.9)
        if block["type"] == "text":
            block["lines"] = [{"bbox": (0.1, 0.1, 0.9, 0.9)}]
    middle = mineru.to_middle(mineru.build_model([deactivate_blocks(blocks)], None, "flash", "txt", b""))
    return mineru.markdown(middle), str(mineru.content_list(middle)), mineru.render_html(middle, document_title="t")


def test_backslash_before_another_span() -> None:
    bold, attack = {"type": "text", "content": "a\\", "styles": ["bold"]}, {"type": "text", "content": ATTACKS[4]}
    markdown, _, _ = _render([{"type": "text", "content": [{**bold, "styles": []}, bold, attack]}])
    assert active_markdown(markdown) == []


@pytest.mark.parametrize("attack", ATTACKS)
def test_text(attack: str) -> None:
    markdown, _, html = _render([{"type": "text", "content": attack}])
    assert active_markdown(markdown + "\n\n[x] [def]") == []
    assert active_markdown(f"{markdown}\n\n> a > b") == []
    assert "alert" in markdown or "PHN" in markdown  # said, not done
    body = html[html.index("<article") : html.index("</article>")]
    assert active(body) == []


@pytest.mark.parametrize("attack", ATTACKS)
@pytest.mark.parametrize("cell", ["{}", "<eq>{}</eq>", "<eq>&lt;script&gt;{}</eq>", "<a href='javascript:1'>{}</a>"])
@pytest.mark.parametrize("span", ["", " colspan='2' onclick='alert(1)'"])
def test_tables(attack: str, cell: str, span: str) -> None:
    table = f"<table><tr><td{span}>{cell.format(attack)}</td><td>b</td></tr><tr><td>c</td></tr></table>"
    markdown, _, _ = _render([{"type": "table", "content": table}])
    assert active_markdown(markdown) == []


@pytest.mark.parametrize("latex", ["<img src=x onerror=alert(1)>", "a<b", r"x \lt y <script>"])
def test_formulas(latex: str) -> None:
    text = {"type": "text", "content": f"so ${latex}$ holds"}
    markdown, _, _ = _render([{"type": "equation", "content": latex}, text])
    assert active_markdown(markdown) == []


def test_links_lead_to_the_web_only() -> None:
    def link(url: str) -> dict:
        return {"type": "hyperlink", "url": url, "content": [{"type": "text", "content": "here"}]}

    for url in ("javascript:alert(1)", " JavaScript:alert(1)", "data:text/html,x", "file:///etc/passwd", "vbscript:x"):
        markdown, flat, html = _render([{"type": "text", "content": [{"type": "text", "content": "go "}, link(url)]}])
        assert "go here" in markdown and url.strip() not in markdown + flat + html
    markdown, _, _ = _render([{"type": "text", "content": [link("https://example.org/a")]}])
    assert markdown == "[here](https://example.org/a)"


@pytest.mark.parametrize(
    "text",
    [
        "a < b and c > d",
        "see [12] and [13][14]",
        "f(x) (see: below)",
        "C:\\new",
        "1 <2",
        "[a] (b)",
        "x -> y <- z",
        "a&b",
    ],
)
def test_ordinary_text_stays(text: str) -> None:
    assert escape_markdown(text) == text


@pytest.mark.parametrize(
    "table",
    [
        "<table><tr><td colspan=2>a &lt; b</td></tr></table>",
        '<table><thead><tr><th rowspan="2">x<br/>y</th></tr></thead><tr><td><eq>a &lt; b</eq></td></tr></table>',
    ],
)
def test_ordinary_tables_stay(table: str) -> None:
    assert clean_html(table) == table


def test_layout_pdf_has_no_active_content() -> None:
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(zoo.active())))
    out = io.BytesIO()
    writer.write(out)
    safe = remove_active_content(out.getvalue())
    for word in (b"/JavaScript", b"/JS", b"/Launch", b"/OpenAction", b"/AA", b"/EmbeddedFile", b"evil"):
        assert word in out.getvalue() and word not in safe, word
    assert len(PdfReader(io.BytesIO(safe)).pages) == 1
    plain = PdfWriter()
    plain.add_blank_page(100, 100)
    plain.write(out := io.BytesIO())
    assert remove_active_content(out.getvalue()) is not None and remove_active_content(out.getvalue()) == out.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        "> not a quotation",
        "#",
        "+",
        r"C:\new\table\* and \\server\share",
        r"\[y\] and [a\](b)",
        r"a <b *and* c_d_e> f",
        "~~a~~ <b> `c` $d$",
    ],
)
def test_text_looks_as_it_did(text: str) -> None:
    markdown, _, _ = _render([{"type": "text", "content": [{"type": "text", "content": text}]}])
    rendered = MarkdownIt("commonmark", {"html": True}).enable("table").render(markdown)
    assert BeautifulSoup(rendered, "html.parser").get_text().strip() == text
    assert [tag.name for tag in BeautifulSoup(rendered, "html.parser").find_all(True)] == ["p"]
