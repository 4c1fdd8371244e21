"""Whether a page's text layer is sound. Decided page by page, since documents mix scans and typeset pages."""

from __future__ import annotations

import re
import unicodedata
from string import ascii_lowercase

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

# The limits are those of docvortex (document/pdf/classify.py), which classifies documents by ten sampled pages.
MAX_MAP_ERRORS = 0.04
"""Maximum share of characters within words whose font maps them to no Unicode character."""
MAX_ABNORMAL = 0.03
"""Maximum share of replacement, private-use and control characters."""
_MIN_CHARS = 10
"""Visible characters; with fewer there is at most a page number."""
_SCAN_COVERAGE = 0.8
"""Share of a page; an image that covers more is a scan of the page."""
_LARGE_IMAGE = 0.5
"""The same for a page with few characters, which is a title slide if its images are smaller."""
_MAX_STAMP_CHARS = 250
"""Visible characters; fewer on a scan are a stamp, a header or a page number."""
_MAX_SAMPLES = 400
"""Characters of a page that are examined one by one, since each takes a call of pdfium."""
_MIN_ABNORMAL_TEXT = 30
"""Visible characters; in shorter texts one abnormal character would already be too many."""
_MIN_SCRAMBLED_TEXT = 200
"""ASCII letters; shorter texts don't have the usual frequencies."""

_ABNORMAL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffd\ufffe\uffff\ue000-\uf8e4\uf8ff]")
"""Characters that are no text. Adobe's U+F8E5 to F8FE, pieces of tall brackets, are not among them: they are known."""


def why_ocr(page: pdfium.PdfPage, loaded: pdfium.PdfTextPage | None = None) -> str | None:
    """The reason why a page must be read by OCR; None if its text layer is sound, or the page is blank.

    Args:
        loaded: the page's text layer, if the caller has it open.
    """
    textpage = loaded or page.get_textpage()
    try:
        count = textpage.count_chars()
        text = textpage.get_text_range() if count > 0 else ""
        visible = [c for c in text if not c.isspace()]
        has_ink = any(True for _ in page.get_objects(max_depth=1))
        if len(visible) < _MIN_CHARS:
            # A page number on a scan is not its text; that of a title slide is short.
            if visible and _image_coverage(page) < _LARGE_IMAGE:
                return None
            return "no text layer" if has_ink else None
        step = max(1, count // _MAX_SAMPLES)
        sampled = range(0, count, step)
        errors = sum(_is_unmapped(textpage, i, count) for i in sampled)
        if errors > MAX_MAP_ERRORS * len(sampled):
            return f"the text layer's fonts map {errors / len(sampled):.0%} of the characters to nothing"
        abnormal = _count_abnormal_in_words(text)
        if len(visible) >= _MIN_ABNORMAL_TEXT and abnormal > MAX_ABNORMAL * len(visible):
            return f"{abnormal / len(visible):.0%} of the text layer is not text"
        if _image_coverage(page) >= _SCAN_COVERAGE:
            if len(visible) < _MAX_STAMP_CHARS:
                return "the text layer is but a stamp on a scan"
            if _is_mostly_invisible(textpage, sampled):
                return "the text layer is somebody's invisible OCR"
        if is_scrambled("".join(visible)):
            return "the text layer is scrambled"
        return None
    finally:
        if loaded is None:
            textpage.close()


def _is_unmapped(textpage: pdfium.PdfTextPage, index: int, count: int) -> bool:
    """Whether a character within a word is one that its font maps to nothing.

    Signs between words don't count: pages of formulas and plots have many unmapped ones, while their prose is sound.
    """

    def unmapped(i: int) -> bool:
        return pdfium_c.FPDFText_HasUnicodeMapError(textpage, i) == 1 and not char(i).isdigit()

    def char(i: int) -> str:
        code = pdfium_c.FPDFText_GetUnicode(textpage, i)
        return chr(code) if code < 0x110000 else "\ufffd"

    return (
        0 < index < count - 1
        and unmapped(index)
        and all(char(i).isalpha() or unmapped(i) for i in (index - 1, index + 1))
    )


def _count_abnormal_in_words(text: str) -> int:
    """Number of abnormal characters within words."""
    signs = {c for c in set(text) if _ABNORMAL.match(c) or unicodedata.category(c) == "Cn"}
    if not signs:
        return 0
    abnormal = [c in signs for c in text]
    in_word = [bad or c.isalpha() for bad, c in zip(abnormal, text, strict=True)]
    neighbours = zip(in_word, abnormal[1:], in_word[2:], strict=False)
    return sum(bad and before and after for before, bad, after in neighbours)


def is_scrambled(text: str) -> bool:
    """Whether a text comes from fonts that map letters to other letters.

    In languages that use ASCII letters, e, a, o, i, n, t, r and s are more than half of these, and on 1026 pages of
    arXiv papers with formulas at least 30 %. Finds clear cases only: a font may also map frequent letters to frequent
    ones, or to another script.
    """
    plain = unicodedata.normalize("NFKD", text).lower()
    letters = sum(map(plain.count, ascii_lowercase))
    return letters >= _MIN_SCRAMBLED_TEXT and sum(map(plain.count, "eaointrs")) < 0.25 * letters


def abnormal_share(text: str) -> float:
    """Share of a text's visible characters that are replacement, private-use or control characters, 0..1."""
    visible = "".join(text.split())
    return len(_ABNORMAL.findall(visible)) / len(visible) if visible else 0.0


def _image_coverage(page: pdfium.PdfPage) -> float:
    """Share of the page that its largest image covers."""
    x0, y0, x1, y1 = page.get_bbox()
    area = max((x1 - x0) * (y1 - y0), 1.0)
    best = 0.0
    for image in page.get_objects(filter=[pdfium_c.FPDF_PAGEOBJ_IMAGE], max_depth=3):
        left, bottom, right, top = image.get_bounds()
        width, height = min(right, x1) - max(left, x0), min(top, y1) - max(bottom, y0)
        best = max(best, max(width, 0) * max(height, 0) / area)
    return best


def _is_mostly_invisible(textpage: pdfium.PdfTextPage, sampled: range) -> bool:
    """Whether most of the sampled characters are drawn in render mode 3 (invisible)."""
    hidden = seen = 0
    for index in sampled:
        textobject = pdfium_c.FPDFText_GetTextObject(textpage, index)
        if textobject:
            seen += 1
            hidden += pdfium_c.FPDFTextObj_GetTextRenderMode(textobject) == pdfium_c.FPDF_TEXTRENDERMODE_INVISIBLE
    return seen > 0 and hidden > 0.5 * seen
