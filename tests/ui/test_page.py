"""The page in a real browser."""

from __future__ import annotations

import json
import subprocess
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pytest
from common import COMMAND, SAMPLES, MakePdf, wait_until

from mineru_accel.export.types import PageView, RegionView
from mineru_accel.ui.server import Server

OpenTab = Callable[..., Any]
"""The fixture ``open_tab``."""

_OF_THIS_RUN = ("source", "fingerprint", "seconds", "page_results")
"""What differs in the report between two runs on the same file."""


def _texts(folder: Path) -> dict[str, object]:
    found: dict[str, object] = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        name = path.relative_to(folder).as_posix()
        found[name] = path.read_bytes()
        if name.endswith("_report.json"):
            report = json.loads(path.read_text())
            pages = [{**page, "timings": sorted(page["timings"])} for page in report["page_results"]]
            found[name] = {k: v for k, v in report.items() if k not in _OF_THIS_RUN} | {"pages": pages}
    return found


def test_from_upload_to_zip(open_tab: OpenTab, tmp_path: Path) -> None:
    broken = tmp_path / "broken <b>.pdf"
    broken.write_bytes(b"%PDF-1.7 and nothing that follows from it")
    tab = open_tab()
    page = tab.page
    tab.convert(SAMPLES / "report.pdf", broken)
    page.wait_for_selector("#ma-zip:visible")
    assert tab.title() == "Done, with failures"
    assert page.locator(".ma-line span").inner_text() == "3 pages"

    files = tab.files()
    assert "3 / 3" in files["report.pdf"]
    assert any(name.startswith("broken") and "not a PDF, or damaged" in row for name, row in files.items())

    # Regions over the page, numbered, beside the Markdown
    numbers = page.locator(".ma-region > i").all_inner_texts()
    assert len(numbers) > 5 and numbers == [str(n) for n in range(1, len(numbers) + 1)]
    page.wait_for_selector("#ma-text .ma-part h1")
    assert "Annual Report 2023" in page.locator("#ma-text").inner_text()
    assert page.locator(".ma-sheet img").evaluate("img => img.naturalWidth") > 800

    # From a region to its text, and back
    region = page.locator(".ma-region.text").last
    number = region.get_attribute("data-part")
    region.click()
    part = page.locator(f"#ma-text .ma-part-{number}")
    assert "ma-on" in (part.get_attribute("class") or "")
    page.locator("#ma-text .ma-part").first.click()
    marked = page.locator(".ma-region.ma-on")
    assert marked.count() == 1 and "heading" in (marked.get_attribute("class") or "")

    # Another page, by its button and by the keyboard's way through the slider
    page.click(".ma-chip >> nth=1")
    page.wait_for_selector("#ma-text table")
    assert page.locator("#ma-text table td").count() > 10
    page.click("#ma-next")
    page.wait_for_function("() => document.querySelector('.ma-chip[aria-current=true]').textContent === '3'")

    # Tabs
    page.click("role=tab[name=Markdown]")
    page.wait_for_function(
        "() => document.querySelector('#ma-code .cm-content')?.innerText.includes('# Annual Report')"
    )
    page.click("role=tab[name=Regions]")
    assert "text layer" in page.locator("#ma-regions").inner_text()
    page.click("role=tab[name=Timings]")
    assert page.locator(".ma-bars > div").count() == 3
    page.click("role=tab[name=Files]")
    page.wait_for_function("() => document.querySelector('#ma-singles').innerText.includes('report_middle')")

    # The same as the command's
    with page.expect_download() as download:
        page.click("#ma-zip")
    archive = tmp_path / "got.zip"
    download.value.save_as(archive)
    zipfile.ZipFile(archive).extractall(tmp_path / "got")
    out = tmp_path / "out"
    command = [*COMMAND, str(SAMPLES / "report.pdf"), "-o", str(out), "-q"]
    subprocess.run(command, check=True, timeout=300)
    assert _texts(tmp_path / "got") == _texts(out)
    assert str(tmp_path) not in (tmp_path / "got" / "report" / "report_report.json").read_text()


def test_cancelling_touches_nobody_else(open_tab: OpenTab, server: Server, tmp_path: Path) -> None:
    scan, many = pdfium.PdfDocument(SAMPLES / "scan.pdf"), pdfium.PdfDocument.new()
    for _ in range(2):
        many.import_pages(scan)
    for name in "abcde":  # far more than is done before Ann gives up, however slow the browser is
        many.save(tmp_path / f"{name}.pdf")
    ann, bob = open_tab(), open_tab()
    ann.convert(*(tmp_path / f"{name}.pdf" for name in "abcde"))
    ann.wait_for("converting")
    ann.page.wait_for_function("() => / of \\d+ pages/.test(document.querySelector('.ma-line').innerText)")
    bob.convert(SAMPLES / "invoice.pdf")
    bob.page.wait_for_selector(".ma-progress")
    assert list(bob.files()) == ["invoice.pdf"]
    ann.page.click("#ma-cancel")
    ann.wait_for("Cancelled")
    bob.wait_for("Done")
    bob.page.wait_for_selector("#ma-zip:visible")
    ann.page.wait_for_function("() => !document.querySelector('#ma-convert').disabled")  # and may go on
    assert any("cancelled" in row for row in ann.files().values())
    ann.page.close()  # which the server hears of, so that Ann's files can go
    sessions = server.conversions.sessions

    def left(name: str) -> list[bool]:
        return [s.left is not None for s in sessions.all() if s.shown and s.shown.files[0].name == name]

    assert wait_until(lambda: left("a.pdf")[-1])
    assert not left("invoice.pdf")[-1]


def test_on_a_phone_in_chinese_at_night(open_tab: OpenTab) -> None:
    tab = open_tab(width=390, height=844, locale="zh-CN", color_scheme="dark")
    page = tab.page
    assert page.locator("#ma-convert").inner_text() == "转换"
    page.wait_for_function("() => document.querySelector('#ma-picture').innerText.includes('页面将显示在这里')")
    assert page.evaluate("() => document.body.classList.contains('dark')")
    page.click("#ma-examples button >> text=invoice.pdf")
    page.wait_for_function("() => document.querySelector('#ma-files').innerText.includes('invoice')")
    page.click("#ma-convert")
    tab.wait_for("已完成")
    page.wait_for_selector(".ma-region")
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    assert "标题" in page.locator(".ma-legend").inner_text()
    page.click("#ma-theme")
    assert not page.evaluate("() => document.body.classList.contains('dark')")


def test_formulas_are_typeset_and_nothing_runs(open_tab: OpenTab, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = [
        "$$\n\\int_0^1 x^2\\,dx = \\frac13\n$$",
        "An inline $E = mc^2$ beside prices of \\$5 and \\$7.",
        '<table><tr><td>a</td><td onclick="window.evil=1">b <img src="http://192.0.2.1/x"></td></tr></table>',
        "<img src=data:image/png;base64,AAAA onerror='window.evil=1'><script>window.evil=1</script><b>bold</b>",
    ]
    regions = [
        RegionView(kind, "x", 0.9, source, (0.1, 0.1 + n / 5, 0.9, 0.2 + n / 5), n)
        for n, (kind, source) in enumerate([("equation", "vlm"), ("text", "ocr"), ("table", "vlm"), ("text", "vlm")])
    ]

    async def preview_page(*_: object) -> tuple[None, PageView]:
        return None, PageView(regions, parts)

    monkeypatch.setattr("mineru_accel.ui.updates.preview_page", preview_page)
    tab = open_tab()
    tab.convert(SAMPLES / "invoice.pdf")
    page = tab.page
    page.wait_for_selector("#ma-text .ma-part-0 .katex-display")
    page.wait_for_selector("#ma-text .ma-part-1 .katex")
    assert page.locator("#ma-text .ma-part-1 .katex").count() == 1
    assert "$5 and $7" in page.locator("#ma-text .ma-part-1").inner_text()
    assert page.locator("#ma-text .ma-part-2 td").count() == 2
    tab.wait_for("Done")
    assert page.evaluate("() => window.evil === undefined")
    assert page.evaluate("() => document.fonts.check('12px KaTeX_Main')")


def test_markdown_of_a_document_fetches_nothing(open_tab: OpenTab, make_pdf: MakePdf) -> None:
    path = make_pdf("evil.pdf", ["![](http://192.0.2.1/spy.png) <img src='http://192.0.2.1/spy.png'> $5 and $7"])
    tab = open_tab()
    tab.convert(path)
    tab.wait_for("Done")
    tab.page.wait_for_selector("#ma-text .ma-part")
    assert "$5 and $7" in tab.page.locator("#ma-text").inner_text()
