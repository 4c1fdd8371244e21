"""Removing scripts, actions and attachments from a copy of a user's PDF, with pypdf."""

from __future__ import annotations

import io
from typing import Any

from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, StreamObject

from .inactive_text import is_web_link

_SIGNS = (
    *(b"/OpenAction", b"/AA", b"/JavaScript", b"/JS", b"/Launch", b"/SubmitForm", b"/ImportData", b"/EmbeddedFile"),
    *(b"/Rendition", b"/RichMedia", b"/XFA", b"/URI"),
)
"""Searched for in the bytes: pypdf, which wrote the copy, spells names in one way and compresses no objects."""
_KEYS = ("/OpenAction", "/AA", "/JavaScript", "/JS", "/EmbeddedFiles", "/EF", "/AF", "/XFA")
_HARMLESS = ("/GoTo", "/Named")
_DANGEROUS = ("/JavaScript", "/Launch", "/SubmitForm", "/ImportData", "/Rendition", "/GoToR", "/GoToE")


def remove_active_content(pdf: bytes) -> bytes:
    """The PDF, written by pypdf, without attachments and without actions, except links within it and to the web."""
    if not any(sign in pdf for sign in _SIGNS):
        return pdf
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf)))
    for value in list(writer._objects):  # private: pypdf has no other list of all objects
        _strip(value, set())
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _strip(value: Any, seen: set[int]) -> None:
    """Strip a value and those directly in it; values by reference are objects of their own."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, DictionaryObject):
        for key in _KEYS:
            value.pop(key, None)
        action = value.get("/A")
        if isinstance(action, DictionaryObject) and not _is_harmless(action):
            del value["/A"]
        if value.get("/S") in _DANGEROUS or value.get("/Type") in ("/Filespec", "/F", "/EmbeddedFile"):
            value.clear()
            if isinstance(value, StreamObject):
                value.set_data(b"")
        for inner in value.values():
            _strip(inner, seen)
    elif isinstance(value, ArrayObject):
        for inner in value:
            _strip(inner, seen)


def _is_harmless(action: DictionaryObject) -> bool:
    kind = action.get("/S")
    return kind in _HARMLESS or (kind == "/URI" and is_web_link(str(action.get("/URI", ""))))
