"""The characters of a page's text objects, found in one pass over the page's text.

pdfium's own ``FPDFTextObj_GetText`` goes through the whole page for each object.
"""

from __future__ import annotations

import ctypes
from collections import defaultdict
from collections.abc import Iterator

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c

from ..document import BBox
from .page_objects import PageObject


class PageLetters:
    """The characters of an open text page by the objects that they belong to; grouped when first asked for."""

    def __init__(self, textpage: pdfium.PdfTextPage) -> None:
        self._raw = textpage.raw
        self._count = textpage.count_chars()
        self._groups: dict[int, list[int]] | None = None
        self._codes: list[int] = []
        self._not_spaces = [0]
        """For each character, how many before it are no spaces."""

    def of(self, item: PageObject) -> Iterator[tuple[str, BBox]]:
        """The characters of a text object with their boxes in the page's space; white space has none, and is left out.

        The first call goes through the whole page's text, the others only through the object's.
        """
        edges = [ctypes.c_double() for _ in range(4)]
        left, right, bottom, top = edges
        references = tuple(map(ctypes.byref, edges))
        for index in self._characters(item):
            letter = chr(min(self._codes[index], 0x10FFFF))
            if not letter.isspace() and pdfium_c.FPDFText_GetCharBox(self._raw, index, *references):
                yield letter, (left.value, bottom.value, right.value, top.value)

    def text(self, item: PageObject) -> str:
        """The text of a text object, as pdfium's ``FPDFTextObj_GetText`` puts it together.

        A space that follows a piece of it is part of it; pieces on other lines are put on lines of their own.
        """
        parts: list[str] = []
        end, line = 0, 0.0
        x, y = ctypes.c_double(), ctypes.c_double()
        for index in self._characters(item):
            if index > end:
                parts += self._space_at(end)
                pdfium_c.FPDFText_GetCharOrigin(self._raw, index, ctypes.byref(x), ctypes.byref(y))
                if y.value != line and self._not_spaces[index] > self._not_spaces[end]:
                    line = y.value
                    parts += ["\r\n"] if parts else []
            if code := self._codes[index]:
                parts.append(chr(min(code, 0x10FFFF)))
            end = index + 1
        parts += self._space_at(end)
        return "".join(parts).encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")

    def _space_at(self, index: int) -> list[str]:
        return [" "] if 0 < index < self._count and self._codes[index] == ord(" ") else []

    def _characters(self, item: PageObject) -> list[int]:
        """The numbers of an object's characters, in their order."""
        if self._groups is None:
            self._groups = self._read()
        return self._groups.get(item.address, [])

    def _read(self) -> dict[int, list[int]]:
        """The numbers of a page's characters by the address of their text object; notes the characters, too."""
        groups: defaultdict[int, list[int]] = defaultdict(list)
        for index in range(self._count):
            code = pdfium_c.FPDFText_GetUnicode(self._raw, index)
            self._codes.append(code)
            self._not_spaces.append(self._not_spaces[-1] + (code != ord(" ")))
            owner = pdfium_c.FPDFText_GetTextObject(self._raw, index)
            address = ctypes.cast(owner, ctypes.c_void_p).value if owner else None
            if address:
                groups[address].append(index)
        return groups
