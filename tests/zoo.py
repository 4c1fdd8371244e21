"""Bad input of many kinds, each with what has to be said of it."""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from pathlib import Path

from common import FILLER
from PIL import Image
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen import canvas


def _pdf(pages: int = 1, size: tuple[float, float] = (595, 842)) -> bytes:
    out = io.BytesIO()
    page = canvas.Canvas(out, pagesize=size, pageCompression=0, invariant=1)
    for i in range(pages):
        page.setFont("Helvetica", 12)
        lines = (f"This is the text of page number {i + 1} of the document, in the middle of it,", *FILLER)
        for number, line in enumerate(lines):
            page.drawString(72, size[1] / 2 - 15 * number, line)
        page.showPage()
    page.save()
    return out.getvalue()


def encrypted(password: str, owner: str = "owner") -> bytes:
    """A PDF that opens with ``password`` only."""
    writer = PdfWriter(PdfReader(io.BytesIO(_pdf(2))))
    writer.encrypt(password, owner, algorithm="AES-256")
    out = io.BytesIO()
    writer.write(out)
    return out.getvalue()


def damaged_page() -> bytes:
    """Three pages; the second is no page object any more (same length, so the other offsets hold)."""
    data = _pdf(3)
    starts = [m.start() for m in re.finditer(rb"/Type /Page\b(?!s)", data)]
    assert len(starts) == 3
    begin = data.rindex(b"obj", 0, starts[1]) + 3
    end = data.index(b"endobj", starts[1])
    return data[:begin] + b" 7 ".ljust(end - begin) + data[end:]


def _no_pages() -> bytes:
    return re.sub(rb"/Count 1 /Kids \[ [^\]]*\]", lambda m: b"/Count 0 /Kids [ ]".ljust(len(m[0])), _pdf())


def _zero_sized_png() -> bytes:
    return b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + b"\0" * 8 + b"\x08\x02\0\0\0" + b"\0" * 4


def _jpeg() -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (400, 300), "white").save(out, "JPEG")
    return out.getvalue()


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "empty.pdf": (lambda: b"", "empty file"),
    "empty.png": (lambda: b"", "empty file"),
    "text.pdf": (lambda: b"hello world\n" * 50, "not a PDF"),
    "header.pdf": (lambda: b"%PDF-1.7\n", "not a PDF"),
    "truncated.pdf": (lambda: _pdf()[:300], "not a PDF"),
    "encrypted.pdf": (lambda: encrypted("secret"), "--password"),
    "no_pages.pdf": (_no_pages, ""),
    "noise.png": (lambda: bytes(range(256)) * 4, "not an image"),
    "zero.png": (_zero_sized_png, "image"),
    "truncated.jpg": (lambda: _jpeg()[:200], "image"),
    "archive.zip": (lambda: b"PK\x03\x04" + b"\0" * 100, "neither a PDF nor an image"),
}
"""Name -> (bytes, part of the error)."""


def _image(mode: str, size: tuple[int, int], suffix: str, **kwargs: object) -> bytes:
    out = io.BytesIO()
    Image.new(mode, size, "white" if mode in ("RGB", "L") else 0).save(out, suffix, **kwargs)
    return out.getvalue()


ODD: dict[str, tuple[Callable[[], bytes], int]] = {
    "ten_metres.pdf": (lambda: _pdf(1, (28346, 28346)), 1),
    "tiny.pdf": (lambda: _pdf(1, (3, 3)), 1),
    "owner_password.pdf": (lambda: encrypted(""), 2),
    "junk_before_header.pdf": (lambda: b"\0" * 100 + _pdf(), 1),
    "pixel.png": (lambda: _image("RGB", (1, 1), "PNG"), 1),
    "alpha.webp": (lambda: _image("RGBA", (300, 200), "WEBP"), 1),
    "sixteen_bit.png": (lambda: _image("I;16", (300, 200), "PNG"), 1),
    "cmyk.tiff": (lambda: _image("CMYK", (300, 200), "TIFF"), 1),
    "strip.png": (lambda: _image("RGB", (9000, 20), "PNG"), 1),
}
"""Odd but sound: name -> (bytes, pages)."""


def write(folder: Path, name: str, data: bytes) -> Path:
    """Put one animal into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return path
