"""A copy of somebody's PDF runs no scripts, starts no programs and carries no attachments."""

from __future__ import annotations

import io
from typing import Any

from pypdf import PdfReader, PdfWriter
from pypdf.generic import ArrayObject, DictionaryObject, StreamObject

from .inactive_text import leads_to_the_web

_SIGNS = (
    *(b"/OpenAction", b"/AA", b"/JavaScript", b"/JS", b"/Launch", b"/SubmitForm", b"/ImportData", b"/EmbeddedFile"),
    *(b"/Rendition", b"/RichMedia", b"/XFA", b"/URI"),
)
"""pypdf, which wrote the copy, spells names in one way and packs no objects."""
_KEYS = ("/OpenAction", "/AA", "/JavaScript", "/JS", "/EmbeddedFiles", "/EF", "/AF", "/XFA")
_HARMLESS = ("/GoTo", "/Named")
_DANGEROUS = ("/JavaScript", "/Launch", "/SubmitForm", "/ImportData", "/Rendition", "/GoToR", "/GoToE")


def disarm(pdf: bytes) -> bytes:
    """The PDF, written by pypdf, without actions but links within it and to the web, and without attachments."""
    if not any(sign in pdf for sign in _SIGNS):
        return pdf
    writer = PdfWriter(clone_from=PdfReader(io.BytesIO(pdf)))
    for held in list(writer._objects):
        _strip(held, set())
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def _strip(value: Any, seen: set[int]) -> None:
    """Strip what is held directly; what is held by reference is an object of its own."""
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, DictionaryObject):
        for key in _KEYS:
            value.pop(key, None)
        action = value.get("/A")
        if isinstance(action, DictionaryObject) and not _harmless(action):
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


def _harmless(action: DictionaryObject) -> bool:
    kind = action.get("/S")
    return kind in _HARMLESS or (kind == "/URI" and leads_to_the_web(str(action.get("/URI", ""))))
