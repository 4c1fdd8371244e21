"""What annotations show becomes part of the page: fields of forms, text boxes, stamps. Text layers don't contain it.

Text is written as plain text of the page, without the boxes around it, which a detector would take for pictures; boxes
to be ticked become ``[x]`` and ``[ ]``. The rest is drawn as pdfium draws it. Nothing is saved: the open document
changes, not its bytes.
"""

from __future__ import annotations

import ctypes
import math
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from .text_pdf import Rect, TextRun, make_text_pdf, text_in_rect

CHECKED, UNCHECKED = "[x]", "[ ]"

_SHOW_NO_TEXT = frozenset(
    {
        *(pdfium_c.FPDF_ANNOT_LINK, pdfium_c.FPDF_ANNOT_TEXT, pdfium_c.FPDF_ANNOT_POPUP),
        *(pdfium_c.FPDF_ANNOT_HIGHLIGHT, pdfium_c.FPDF_ANNOT_UNDERLINE),
        *(pdfium_c.FPDF_ANNOT_SQUIGGLY, pdfium_c.FPDF_ANNOT_STRIKEOUT),
    }
)
"""Marks on text, icons, and notes that open on a click: pages that have no others stay as they are."""
_NOTES = (pdfium_c.FPDF_ANNOT_TEXT, pdfium_c.FPDF_ANNOT_POPUP)
_HIDDEN = pdfium_c.FPDF_ANNOT_FLAG_HIDDEN | pdfium_c.FPDF_ANNOT_FLAG_NOVIEW
_BOXES = (pdfium_c.FPDF_FORMFIELD_CHECKBOX, pdfium_c.FPDF_FORMFIELD_RADIOBUTTON)
_TEXT_FIELDS = (pdfium_c.FPDF_FORMFIELD_TEXTFIELD, pdfium_c.FPDF_FORMFIELD_COMBOBOX)
_PASSWORD, _COMB = 1 << 13, 1 << 24
"""Flags of text fields: the value is not shown; each character has a cell of its own."""
_STALE = re.compile(rb"/NeedAppearances\s+true")
"""Viewers are to draw the fields' values anew, since their appearances are old."""
_MAX_SAMPLES = 200
"""Characters by which the direction of a page's text is told."""
_LARGEST = 12.0
"""Font size in points of text in large rectangles that have none of their own: about that of the text beside it."""


@dataclass(slots=True)
class _Field:
    """An annotation that shows text."""

    rect: Rect
    value: str
    """The text that the file gives it."""
    options: list[tuple[str, bool]] = field(default_factory=list)
    """Of a list from which several lines are seen: each with whether it is chosen."""
    size: float = 0.0
    """Its font size in points; 0 where it has none of its own."""
    prefers_value: bool = False
    """Whether the value counts, rather than what the appearance shows."""

    def text(self, shown: str) -> str:
        """The text to be written in its place.

        Args:
            shown: what its appearance shows.
        """
        if self.options:
            lines = {line.strip() for line in shown.splitlines()}
            some = [(label, chosen) for label, chosen in self.options if chosen or label.strip() in lines]
            return "\n".join(f"{CHECKED if chosen else UNCHECKED} {label}" for label, chosen in some)
        part = "".join(shown.split()) in "".join(self.value.split())  # of a value that is longer than its field
        return self.value if self.value and (self.prefers_value or part) else shown


@dataclass(slots=True)
class _Shown:
    """What the annotations of a page are made into, besides what pdfium draws."""

    written: list[tuple[str, Rect, float]] = field(default_factory=list)
    """Text, its place, and the maximum font size."""
    fields: list[_Field] = field(default_factory=list)
    stamps: list[tuple[int, Rect]] = field(default_factory=list)
    """Numbers and places of what may show text upon the page's own."""
    links: list[tuple[str, list[Rect]]] = field(default_factory=list)
    """Targets on the web, which flattening takes away, and where they are."""


class Annotations:
    """Draws the annotations of a document's pages.

    Args:
        document: with its form environment, if it has a form.
        data: the bytes that it was opened from.
    """

    def __init__(self, document: pdfium.PdfDocument, data: bytes) -> None:
        self._document = document
        self._form = document.formenv.raw if document.formenv else None
        self._stale = self._form is not None and _STALE.search(data) is not None

    def draw(self, index: int, page: pdfium.PdfPage) -> bool:
        """Make what a page's annotations show part of it.

        Args:
            index: 0-based number of the page.
            page: open; to be opened anew if it has changed.

        Returns:
            Whether the page has changed.
        """
        count = pdfium_c.FPDFPage_GetAnnotCount(page.raw)
        if count <= 0:
            return False
        kinds = {pdfium_c.FPDFAnnot_GetSubtype(annotation) for annotation in _annotations(page, count)}
        if kinds <= _SHOW_NO_TEXT:
            return False
        shown = _Shown()
        to_hide = [a for a in range(count) if self._sort(page, a, shown)]
        if shown.fields or shown.stamps:
            rects = [one.rect for one in shown.fields] + [rect for _, rect in shown.stamps]
            texts = _texts_with_and_without(self._document, index, page, rects)
            for one, (own, seen) in zip(shown.fields, texts, strict=False):
                if text := one.text("" if own.strip() else seen.strip()):
                    shown.written.append((text, one.rect, one.size or _LARGEST))
            stamps = zip(shown.stamps, texts[len(shown.fields) :], strict=True)
            to_hide += [number for (number, _), (own, seen) in stamps if _repeats(own, seen)]
        for number in to_hide:
            with _annotation(page, number) as annotation:
                flags = pdfium_c.FPDFAnnot_GetFlags(annotation)
                pdfium_c.FPDFAnnot_SetFlags(annotation, flags | pdfium_c.FPDF_ANNOT_FLAG_HIDDEN)
        pdfium_c.FPDFPage_Flatten(page.raw, pdfium_c.FLAT_NORMALDISPLAY)
        with _opened(self._document, index) as flat:
            _write(self._document, flat, shown.written)
            for target, rects in shown.links:
                _add_link(flat, target, rects)
        return True

    def _sort(self, page: pdfium.PdfPage, number: int, to: _Shown) -> bool:
        """Note what becomes of an annotation; whether it is to be hidden from pdfium."""
        with _annotation(page, number) as annotation:
            if annotation is None:
                return False
            kind = pdfium_c.FPDFAnnot_GetSubtype(annotation)
            hidden = kind in _NOTES or pdfium_c.FPDFAnnot_GetFlags(annotation) & _HIDDEN
            rect = _rect(annotation)
            if hidden or rect is None:
                return bool(hidden)
            if kind == pdfium_c.FPDF_ANNOT_LINK:
                if target := _target(self._document, annotation):
                    to.links.append((target, _quads(annotation) or [rect]))
                return False
            if kind == pdfium_c.FPDF_ANNOT_FREETEXT:
                to.fields.append(_Field(rect, _string(annotation, b"Contents").strip()))
                return True
            if kind == pdfium_c.FPDF_ANNOT_STAMP:
                to.stamps.append((number, rect))
            return kind == pdfium_c.FPDF_ANNOT_WIDGET and self._sort_field(annotation, rect, to)

    def _sort_field(self, annotation: pdfium_c.FPDF_ANNOTATION, rect: Rect, to: _Shown) -> bool:
        """As :meth:`_sort`, for a field of a form."""
        form = self._form
        kind = pdfium_c.FPDFAnnot_GetFormFieldType(form, annotation) if form else -1
        if kind in _BOXES or (kind <= 0 and pdfium_c.FPDFAnnot_HasKey(annotation, b"AS")):  # no part of the form
            to.written.append((CHECKED if _is_checked(form, annotation) else UNCHECKED, rect, _LARGEST))
            return True
        if kind == pdfium_c.FPDF_FORMFIELD_LISTBOX:
            to.fields.append(_Field(rect, "", _options(form, annotation), _font_size(form, annotation)))
            return True
        is_text = kind <= 0 and _string(annotation, b"FT") in ("Tx", "Ch")
        if not is_text and kind not in _TEXT_FIELDS:
            return False
        flags = pdfium_c.FPDFAnnot_GetFormFieldFlags(form, annotation) if form else 0
        if flags & _PASSWORD and kind == pdfium_c.FPDF_FORMFIELD_TEXTFIELD:
            return False
        chosen = [] if is_text else [label for label, chosen in _options(form, annotation) if chosen]
        value = "\n".join(chosen) or _value(form, annotation).strip()
        comb = bool(flags & _COMB) and kind == pdfium_c.FPDF_FORMFIELD_TEXTFIELD
        to.fields.append(_Field(rect, value, [], _font_size(form, annotation), prefers_value=self._stale or comb))
        return True


def _is_checked(form: object, annotation: pdfium_c.FPDF_ANNOTATION) -> bool:
    """Whether a box is ticked: by its state, else by its field's value."""
    if pdfium_c.FPDFAnnot_HasKey(annotation, b"AS"):
        return _string(annotation, b"AS") not in ("", "Off")
    value = _value(form, annotation)
    return value not in ("", "Off") and value == _wide(pdfium_c.FPDFAnnot_GetFormFieldExportValue, form, annotation)


def _value(form: object, annotation: pdfium_c.FPDF_ANNOTATION) -> str:
    """The value of a widget's field."""
    return _wide(pdfium_c.FPDFAnnot_GetFormFieldValue, form, annotation) if form else _string(annotation, b"V")


def _font_size(form: object, annotation: pdfium_c.FPDF_ANNOTATION) -> float:
    """The font size of a field in points; 0 where it depends on the field's own size."""
    size = ctypes.c_float()
    found = form and pdfium_c.FPDFAnnot_GetFontSize(form, annotation, ctypes.byref(size))
    return size.value if found else 0.0


def _options(form: object, annotation: pdfium_c.FPDF_ANNOTATION) -> list[tuple[str, bool]]:
    """The options of a list, as they are shown, and whether each is chosen."""
    return [
        (
            _wide(pdfium_c.FPDFAnnot_GetOptionLabel, form, annotation, number),
            bool(pdfium_c.FPDFAnnot_IsOptionSelected(form, annotation, number)),
        )
        for number in range(pdfium_c.FPDFAnnot_GetOptionCount(form, annotation))
    ]


def _texts_with_and_without(
    document: pdfium.PdfDocument, index: int, page: pdfium.PdfPage, rects: list[Rect]
) -> list[tuple[str, str]]:
    """The page's own text in each of some rectangles, and the text there with what annotations show."""
    own = _texts_in(page, rects)
    copy = pdfium.PdfDocument.new()
    try:
        copy.import_pages(document, [index])
        with _opened(copy, 0) as flat:
            pdfium_c.FPDFPage_Flatten(flat.raw, pdfium_c.FLAT_NORMALDISPLAY)
        with _opened(copy, 0) as flat:
            return list(zip(own, _texts_in(flat, rects), strict=True))
    except pdfium.PdfiumError:
        return [(text, text) for text in own]
    finally:
        copy.close()


def _repeats(own: str, seen: str) -> bool:
    """Whether a stamp says nothing but what the page says beneath it, as a magnifying glass does."""
    added = Counter(seen.split()) - Counter(own.split())
    return bool(added) and all(word in own for word in added)  # stamps cut words


def _texts_in(page: pdfium.PdfPage, rects: list[Rect]) -> list[str]:
    text = page.get_textpage()
    try:
        return [text.get_text_bounded(*rect) for rect in rects]
    finally:
        text.close()


def _write(document: pdfium.PdfDocument, page: pdfium.PdfPage, texts: list[tuple[str, Rect, float]]) -> None:
    """Write text into rectangles of a page."""
    turn = _turn_of_text(page)
    foreign: list[TextRun] = []
    font = None
    for text, rect, largest in texts:
        for run in text_in_rect(text, rect, turn, largest=largest):
            if not _is_latin(run.text):
                foreign.append(run)
                continue
            font = font or pdfium_c.FPDFText_LoadStandardFont(document.raw, b"Helvetica")
            pdfium_c.FPDFPage_InsertObject(page.raw, _text_object(document, font, run))
    if foreign:
        _insert_overlay(document, page, make_text_pdf(foreign, page.get_mediabox()))
    if font:
        pdfium_c.FPDFFont_Close(font)
    if font or foreign:
        pdfium_c.FPDFPage_GenerateContent(page.raw)


def _turn_of_text(page: pdfium.PdfPage) -> int:
    """Direction of most of a page's text, counter-clockwise in degrees: what is written in fields goes with labels."""
    text = page.get_textpage()
    try:
        count = text.count_chars()
        some = range(0, count, max(1, count // _MAX_SAMPLES))
        seen = [number for number in some if not pdfium_c.FPDFText_IsGenerated(text, number)]
        turns = Counter(round(-math.degrees(pdfium_c.FPDFText_GetCharAngle(text, number)) / 90) % 4 for number in seen)
    finally:
        text.close()
    return turns.most_common(1)[0][0] * 90 if turns else page.get_rotation()


def _text_object(document: pdfium.PdfDocument, font: object, run: TextRun) -> object:
    """A text object of the page itself: docvortex's model-free analysis takes text of an overlay for a picture's."""
    made = pdfium_c.FPDFPageObj_CreateTextObj(document.raw, font, run.size)
    encoded = ctypes.create_string_buffer(run.text.encode("utf-16-le") + b"\0\0")
    pdfium_c.FPDFText_SetText(made, ctypes.cast(encoded, ctypes.POINTER(pdfium_c.FPDF_WCHAR)))
    cos, sin = run.direction
    pdfium_c.FPDFPageObj_Transform(made, cos, sin, -sin, cos, run.x, run.y)
    return made


def _insert_overlay(document: pdfium.PdfDocument, page: pdfium.PdfPage, pdf: bytes) -> None:
    """Put the page of a PDF upon a page."""
    overlay = pdfium.PdfDocument(pdf)
    try:
        xobject = pdfium_c.FPDF_NewXObjectFromPage(document.raw, overlay.raw, 0)
        if xobject:
            pdfium_c.FPDFPage_InsertObject(page.raw, pdfium_c.FPDF_NewFormObjectFromXObject(xobject))
            pdfium_c.FPDF_CloseXObject(xobject)
    finally:
        overlay.close()


def _is_latin(text: str) -> bool:
    """Whether the standard fonts have a text's characters."""
    try:
        text.encode("cp1252")
    except UnicodeEncodeError:
        return False
    return True


def _add_link(page: pdfium.PdfPage, target: str, rects: list[Rect]) -> None:
    annotation = pdfium_c.FPDFPage_CreateAnnot(page.raw, pdfium_c.FPDF_ANNOT_LINK)
    if not annotation:
        return
    try:
        whole = (min(r[0] for r in rects), min(r[1] for r in rects), max(r[2] for r in rects), max(r[3] for r in rects))
        box = pdfium_c.FS_RECTF(whole[0], whole[3], whole[2], whole[1])
        pdfium_c.FPDFAnnot_SetRect(annotation, ctypes.byref(box))
        for x0, y0, x1, y1 in rects if len(rects) > 1 else ():
            quad = pdfium_c.FS_QUADPOINTSF(x0, y1, x1, y1, x0, y0, x1, y0)
            pdfium_c.FPDFAnnot_AppendAttachmentPoints(annotation, ctypes.byref(quad))
        pdfium_c.FPDFAnnot_SetURI(annotation, target.encode("latin-1", "replace"))
    finally:
        pdfium_c.FPDFPage_CloseAnnot(annotation)


# Reading annotations


def _annotations(page: pdfium.PdfPage, count: int) -> Iterator[pdfium_c.FPDF_ANNOTATION]:
    for number in range(count):
        with _annotation(page, number) as annotation:
            if annotation is not None:
                yield annotation


@contextmanager
def _annotation(page: pdfium.PdfPage, number: int) -> Iterator[pdfium_c.FPDF_ANNOTATION | None]:
    annotation = pdfium_c.FPDFPage_GetAnnot(page.raw, number)
    try:
        yield annotation or None
    finally:
        if annotation:
            pdfium_c.FPDFPage_CloseAnnot(annotation)


def _rect(annotation: pdfium_c.FPDF_ANNOTATION) -> Rect | None:
    """An annotation's rectangle; None where it has none or an empty one."""
    box = pdfium_c.FS_RECTF()
    if not pdfium_c.FPDFAnnot_GetRect(annotation, ctypes.byref(box)):
        return None
    x0, x1 = sorted((box.left, box.right))
    y0, y1 = sorted((box.bottom, box.top))
    return (x0, y0, x1, y1) if x1 > x0 and y1 > y0 else None


def _quads(annotation: pdfium_c.FPDF_ANNOTATION) -> list[Rect]:
    rects = []
    for number in range(pdfium_c.FPDFAnnot_CountAttachmentPoints(annotation)):
        q = pdfium_c.FS_QUADPOINTSF()
        if pdfium_c.FPDFAnnot_GetAttachmentPoints(annotation, number, ctypes.byref(q)):
            xs, ys = (q.x1, q.x2, q.x3, q.x4), (q.y1, q.y2, q.y3, q.y4)
            rects.append((min(xs), min(ys), max(xs), max(ys)))
    return rects


def _target(document: pdfium.PdfDocument, annotation: pdfium_c.FPDF_ANNOTATION) -> str | None:
    """The address that a link leads to; None where it leads to a place in the document or starts something."""
    link = pdfium_c.FPDFAnnot_GetLink(annotation)
    action = pdfium_c.FPDFLink_GetAction(link) if link else None
    if not action or pdfium_c.FPDFAction_GetType(action) != pdfium_c.PDFACTION_URI:
        return None
    length = pdfium_c.FPDFAction_GetURIPath(document.raw, action, None, 0)
    buffer = ctypes.create_string_buffer(length)
    pdfium_c.FPDFAction_GetURIPath(document.raw, action, buffer, length)
    return buffer.value.decode("latin-1") or None


def _string(annotation: pdfium_c.FPDF_ANNOTATION, key: bytes) -> str:
    return _wide(lambda buffer, length: pdfium_c.FPDFAnnot_GetStringValue(annotation, key, buffer, length))


def _wide(function: object, *arguments: object) -> str:
    """The string of a pdfium function that fills a buffer with UTF-16."""
    length = function(*arguments, None, 0)  # type: ignore[operator]
    if length <= 2:
        return ""
    buffer = ctypes.create_string_buffer(length)
    function(*arguments, ctypes.cast(buffer, ctypes.POINTER(pdfium_c.FPDF_WCHAR)), length)  # type: ignore[operator]
    return buffer.raw.decode("utf-16-le", "ignore").rstrip("\0")


@contextmanager
def _opened(document: pdfium.PdfDocument, index: int) -> Iterator[pdfium.PdfPage]:
    page = document[index]
    try:
        yield page
    finally:
        page.close()
