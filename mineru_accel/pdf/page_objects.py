"""The objects of a page in the order in which they are painted, those in form XObjects included."""

from __future__ import annotations

import ctypes
import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, TypeAlias

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from ..document import BBox

Matrix: TypeAlias = tuple[float, float, float, float, float, float]
Path: TypeAlias = tuple[int, ...]
"""Place of an object: its number on the page, or that of a form, then its number in the form, and so on."""
Colour: TypeAlias = tuple[int, int, int, int]
"""Red, green, blue and opacity, 0..255 each."""

_IDENTITY: Matrix = (1.0, 0.0, 0.0, 1.0, 0.0, 0.0)
_MAX_DEPTH = 8
"""Forms in forms; deeper ones are not looked into."""

_left, _bottom, _right, _top = (ctypes.c_float() for _ in range(4))
_bounds = tuple(map(ctypes.byref, (_left, _bottom, _right, _top)))
_ints = [ctypes.c_uint() for _ in range(4)]
_colour = tuple(map(ctypes.byref, _ints))
_matrix = pdfium_c.FS_MATRIX()


@dataclass(slots=True)
class PageObject:
    """One object; only valid while its page is open."""

    raw: Any
    kind: int
    """``FPDF_PAGEOBJ_TEXT`` and so on."""
    path: Path
    parent: Matrix
    """From the space that the object lies in to that of the page."""
    forms: tuple[Any, ...] = ()
    """The forms that it lies in, from the outermost on."""

    @property
    def address(self) -> int:
        """pdfium's address of it, which other libraries name it by."""
        return ctypes.cast(self.raw, ctypes.c_void_p).value or 0

    def bounds(self) -> BBox | None:
        """Left, bottom, right and top in the page's space; None if it has none."""
        if not pdfium_c.FPDFPageObj_GetBounds(self.raw, *_bounds):
            return None
        x0, y0, x1, y1 = _left.value, _bottom.value, _right.value, _top.value
        if self.parent is not _IDENTITY:
            a, b, c, d, e, f = self.parent
            xs = [a * x + c * y + e for x in (x0, x1) for y in (y0, y1)]
            ys = [b * x + d * y + f for x in (x0, x1) for y in (y0, y1)]
            x0, y0, x1, y1 = min(xs), min(ys), max(xs), max(ys)
        return (x0, y0, x1, y1) if math.isfinite(x0 + y0 + x1 + y1) else None

    def fill_colour(self) -> Colour | None:
        """The colour of its fill; None if that is a pattern or unknown."""
        if not pdfium_c.FPDFPageObj_GetFillColor(self.raw, *_colour):
            return None
        red, green, blue, alpha = _ints
        return red.value, green.value, blue.value, alpha.value

    def is_filled(self) -> bool:
        """Whether a path is filled, not only stroked."""
        mode, stroke = ctypes.c_int(), ctypes.c_int()
        known = pdfium_c.FPDFPath_GetDrawMode(self.raw, ctypes.byref(mode), ctypes.byref(stroke))
        return bool(known and mode.value)

    def matrix(self) -> Matrix:
        """From the object's own space to that of the page."""
        return _product(_matrix_of(self.raw), self.parent)

    def font_size(self) -> float:
        """Size of a text object's type in points of the page, 0 if unknown."""
        size = ctypes.c_float()
        if not pdfium_c.FPDFTextObj_GetFontSize(self.raw, ctypes.byref(size)):
            return 0.0
        a, b, c, d, _, _ = self.matrix()
        return abs(size.value) * math.sqrt(abs(a * d - b * c))

    def marks(self) -> Iterator[tuple[str, str]]:
        """Name and ``Subtype`` of the marked content that it or a form around it belongs to."""
        for raw in (self.raw, *self.forms):
            for number in range(max(pdfium_c.FPDFPageObj_CountMarks(raw), 0)):
                mark = pdfium_c.FPDFPageObj_GetMark(raw, number)
                yield _string(pdfium_c.FPDFPageObjMark_GetName, mark), _subtype(mark)


def objects_of(page: pdfium.PdfPage, limit: int) -> list[PageObject]:
    """All objects of a page but forms, in the order in which they are painted; the first ``limit`` of them."""
    found: list[PageObject] = []
    _add_objects(found, limit, page.raw, False, (), _IDENTITY, ())
    return found


def deactivate(page: pdfium.PdfPage, paths: Iterable[Path], away: bool = True) -> None:
    """Take objects off an open page, or put them back: without them it is shown, and its text is read."""
    for path in paths:
        raw = pdfium_c.FPDFPage_GetObject(page.raw, path[0])
        for number in path[1:]:
            raw = raw and pdfium_c.FPDFFormObj_GetObject(raw, number)
        if raw:
            pdfium_c.FPDFPageObj_SetIsActive(raw, not away)


def _add_objects(
    found: list[PageObject],
    limit: int,
    container: Any,
    is_form: bool,
    path: Path,
    parent: Matrix,
    forms: tuple[Any, ...],
) -> None:
    count = pdfium_c.FPDFFormObj_CountObjects if is_form else pdfium_c.FPDFPage_CountObjects
    get = pdfium_c.FPDFFormObj_GetObject if is_form else pdfium_c.FPDFPage_GetObject
    for number in range(max(count(container), 0)):
        if len(found) >= limit:
            return
        raw = get(container, number)
        kind = pdfium_c.FPDFPageObj_GetType(raw)
        if kind != pdfium_c.FPDF_PAGEOBJ_FORM:
            found.append(PageObject(raw, kind, (*path, number), parent, forms))
        elif len(path) < _MAX_DEPTH:
            inner = _product(_matrix_of(raw), parent)
            _add_objects(found, limit, raw, True, (*path, number), inner, (*forms, raw))


def _matrix_of(raw: Any) -> Matrix:
    if not pdfium_c.FPDFPageObj_GetMatrix(raw, ctypes.byref(_matrix)):
        return _IDENTITY
    return _matrix.a, _matrix.b, _matrix.c, _matrix.d, _matrix.e, _matrix.f


def _product(inner: Matrix, outer: Matrix) -> Matrix:
    """First the inner, then the outer transformation."""
    if outer is _IDENTITY:
        return inner
    a, b, c, d, e, f = inner
    p, q, r, s, t, u = outer
    return a * p + b * r, a * q + b * s, c * p + d * r, c * q + d * s, e * p + f * r + t, e * q + f * s + u


def _string(reader: Any, *handles: Any) -> str:
    """A string of a mark that pdfium writes as UTF-16 into a buffer."""
    size = ctypes.c_ulong()
    reader(*handles, None, 0, ctypes.byref(size))
    length = size.value
    buffer = ctypes.create_string_buffer(length)
    reader(*handles, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), length, ctypes.byref(size))
    return buffer.raw[: max(length - 2, 0)].decode("utf-16-le", "replace")


def _subtype(mark: Any) -> str:
    def read(handle: Any, *rest: Any) -> Any:
        return pdfium_c.FPDFPageObjMark_GetParamStringValue(handle, b"Subtype", *rest)

    return _string(read, mark)
