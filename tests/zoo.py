"""Bad input of many kinds, each with what has to be said of it."""

from __future__ import annotations

import io
import re
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

from common import FILLER
from PIL import Image
from pypdf import PdfReader, PdfWriter
from reportlab.pdfgen import canvas


def _pdf(pages: int = 1, size: tuple[float, float] = (595, 842), name: str = "the document") -> bytes:
    out = io.BytesIO()
    page = canvas.Canvas(out, pagesize=size, pageCompression=0, invariant=1)
    for i in range(pages):
        page.setFont("Helvetica", 12)
        lines = (f"This is the text of page number {i + 1} of {name}, in the middle of it,", *FILLER)
        for number, line in enumerate(lines):
            page.drawString(72, size[1] / 2 - 15 * number, line)
        page.showPage()
    page.save()
    return out.getvalue()


def text_pages(count: int, name: str) -> bytes:
    """Pages with a paragraph each that says which page of which document it is."""
    return _pdf(count, name=name)


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


def raw(objects: list[bytes], trailer: bytes = b"", header: bytes = b"%PDF-1.7\n") -> bytes:
    """A PDF of these objects, numbered from 1; the first is the catalogue."""
    out, offsets = bytearray(header), []
    for number, body in enumerate(objects, 1):
        offsets.append(len(out))
        out += b"%d 0 obj\n" % number + body + b"\nendobj\n"
    start = len(out)
    out += b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1)
    out += b"".join(b"%010d 00000 n \n" % offset for offset in offsets)
    out += b"trailer <</Size %d /Root 1 0 R %s>>\nstartxref\n%d\n%%%%EOF\n" % (len(objects) + 1, trailer, start)
    return bytes(out)


def stream(data: bytes, entries: bytes = b"") -> bytes:
    return b"<</Length %d %s>>\nstream\n" % (len(data), entries) + data + b"\nendstream"


_TEXT = b"BT /F1 12 Tf 72 400 Td (A page with a line of text that can be read by everybody here) Tj ET\n"
_FONT = b"<</Type/Font/Subtype/Type1/BaseFont/Helvetica>>"


def one_page(
    content: bytes = _TEXT,
    *,
    page: bytes = b"/MediaBox [0 0 595 842]",
    resources: bytes = b"",
    entries: bytes = b"",
    more: tuple[bytes, ...] = (),
    catalogue: bytes = b"",
) -> bytes:
    """A PDF of one page; what is given replaces or adds to its parts. Objects of ``more`` are numbered from 6."""
    return raw(
        [
            b"<</Type/Catalog/Pages 2 0 R %s>>" % catalogue,
            b"<</Type/Pages/Kids[3 0 R]/Count 1>>",
            b"<</Type/Page/Parent 2 0 R/Contents 4 0 R/Resources<</Font<</F1 5 0 R>> %s>> %s>>" % (resources, page),
            stream(content, entries),
            _FONT,
            *more,
        ]
    )


def _inflating(megabytes: int, times: int = 1) -> tuple[bytes, bytes]:
    """White space that was deflated, ``times`` over, and the filters that inflate it."""
    block = b" " * (1 << 20)
    packer = zlib.compressobj(9, wbits=-15)
    packed = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)  # may be repeated
    checksum = 1
    for _ in range(megabytes):
        checksum = zlib.adler32(block, checksum)
    data = b"\x78\xda" + packed * megabytes + b"\3\0" + struct.pack(">I", checksum)
    for _ in range(times - 1):
        data = zlib.compress(data, 9)
    return data, b"/Filter[" + b"/FlateDecode" * times + b"]"


def _inflating_page(megabytes: int, times: int) -> bytes:
    data, filters = _inflating(megabytes, times)
    return one_page(data, entries=filters)


def _huge_image(side: int, space: bytes, bits: int, megabytes: int) -> bytes:
    data, filters = _inflating(megabytes)
    image = stream(
        data,
        b"/Type/XObject/Subtype/Image/Width %d/Height %d/ColorSpace%s/BitsPerComponent %d %s"
        % (side, side, space, bits, filters),
    )
    return one_page(_TEXT + b"q 500 0 0 500 40 100 cm /X Do Q", resources=b"/XObject<</X 6 0 R>>", more=(image,))


def _form(content: bytes, names: bytes) -> bytes:
    return stream(content, b"/Type/XObject/Subtype/Form/BBox[0 0 595 842]/Resources<</XObject<<%s>>>>" % names)


def _laughs(levels: int = 26) -> bytes:
    """Forms that each draw the next one twice."""
    forms = [_form(b"/X Do /X Do", b"/X %d 0 R" % (7 + i)) for i in range(levels)]
    last = stream(b"0 0 m 500 500 l S", b"/Type/XObject/Subtype/Form/BBox[0 0 595 842]")
    return one_page(_TEXT + b"/X Do", resources=b"/XObject<</X 6 0 R>>", more=(*forms, last))


def _type3(glyph: bytes) -> bytes:
    """A font whose only glyph is a content stream, which may show itself."""
    font = (
        b"<</Type/Font/Subtype/Type3/FontBBox[0 0 1000 1000]/FontMatrix[.001 0 0 .001 0 0]/FirstChar 97/LastChar 97"
        b"/Widths[1000]/Encoding<</Differences[97/a]>>/CharProcs<</a 7 0 R>>/Resources<</Font<</F1 6 0 R>>>>>>"
    )
    content = b"BT /F2 12 Tf 72 400 Td (aaaaaaaa) Tj ET"
    return one_page(_TEXT + content, resources=b"/Font<</F1 5 0 R/F2 6 0 R>>", more=(font, stream(glyph)))


def _pattern(content: bytes, side: bytes, step: bytes, resources: bytes = b"") -> bytes:
    """A page covered with tiles of ``side`` points, ``step`` points apart."""
    box = b"/BBox[0 0 %b %b]/XStep %b/YStep %b" % (side, side, step, step)
    tile = stream(
        content, b"/Type/Pattern/PatternType 1/PaintType 1/TilingType 1" + box + b"/Resources<<%b>>" % resources
    )
    page = b"/Pattern cs /P scn 0 0 595 842 re f " + _TEXT
    return one_page(page, resources=b"/Pattern<</P 6 0 R>>", more=(tile,))


def many_pages(count: int) -> bytes:
    """A flat tree of pages that share one content."""
    kids = b" ".join(b"%d 0 R" % (5 + i) for i in range(count))
    page = b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 595 842]/Contents 3 0 R/Resources<</Font<</F1 4 0 R>>>>>>"
    catalogue = b"<</Type/Catalog/Pages 2 0 R>>"
    return raw([catalogue, b"<</Type/Pages/Kids[%s]/Count %d>>" % (kids, count), stream(_TEXT), _FONT] + [page] * count)


def _deep_tree(depth: int) -> bytes:
    inner = [b"<</Type/Pages/Kids[%d 0 R]/Count 1/Parent %d 0 R>>" % (i + 3, i + 1) for i in range(depth)]
    page = b"<</Type/Page/MediaBox[0 0 595 842]/Parent %d 0 R>>" % (depth + 1)
    return raw([b"<</Type/Catalog/Pages 2 0 R>>", *inner, page])


def _tree(pages: bytes, *more: bytes) -> bytes:
    return raw([b"<</Type/Catalog/Pages 2 0 R>>", pages, *more])


def active() -> bytes:
    """Scripts, attachments, launches and links to scripts, and text that would be any of them in Markdown or HTML."""
    lines = [
        b"<script>alert(1)</script> and [a link](javascript:alert(2)) stand in the text of this page",
        b"<img src=x onerror=alert(3) and ![a picture](data:text/html,alert) stand here in the text",
        b"[def]: javascript:alert(4) is how a definition of a link looks if it comes first in a line",
    ]
    text = b"".join(
        b"BT /F1 11 Tf 60 %d Td (%s) Tj ET\n" % (600 - 90 * i, line.replace(b"(", b"\\(").replace(b")", b"\\)"))
        for i, line in enumerate(lines)
    )
    return one_page(
        text,
        page=b"/MediaBox[0 0 595 842]/Annots[6 0 R 7 0 R]/AA<</O 8 0 R>>",
        more=(
            b"<</Type/Annot/Subtype/Link/Rect[50 590 500 615]/A<</S/URI/URI(javascript:alert\\(5\\))>>>>",
            b"<</Type/Annot/Subtype/Link/Rect[50 500 500 525]/A<</S/Launch/F(/bin/sh)>>>>",
            b"<</S/JavaScript/JS(app.alert\\(6\\))>>",
            b"<</Type/Filespec/F(../../evil.sh)/EF<</F 10 0 R>>>>",
            stream(b"#!/bin/sh\necho evil\n", b"/Type/EmbeddedFile"),
        ),
        catalogue=b"/OpenAction 8 0 R/Names<</JavaScript<</Names[(a) 8 0 R]>>/EmbeddedFiles<</Names[(x) 9 0 R]>>>>",
    )


def _gif(frames: int) -> bytes:
    out = io.BytesIO()
    images = [Image.new("RGB", (8, 8), (i % 256, 90, 7)) for i in range(frames)]
    images[0].save(out, "GIF", save_all=True, append_images=images[1:])
    return out.getvalue()


def _png_bomb(side: int) -> bytes:
    """A picture of ``side`` squared one-bit pixels in a few kilobytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    packer = zlib.compressobj(9)
    row = b"\0" * (1 + side // 8)
    data = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    head = struct.pack(">IIBBBBB", side, side, 1, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def _looping_tiff() -> bytes:
    """A TIFF whose directory is followed by itself."""
    entries = [(256, 3, 1, 4), (257, 3, 1, 4), (258, 3, 1, 8), (262, 3, 1, 1), (273, 4, 1, 8), (279, 4, 1, 16)]
    start = 8 + 16
    directory = struct.pack("<H", len(entries)) + b"".join(struct.pack("<HHII", *e) for e in entries)
    return b"II*\0" + struct.pack("<I", start) + b"\x80" * 16 + directory + struct.pack("<I", start)


HOSTILE: dict[str, Callable[[], bytes]] = {
    "inflates_once.pdf": lambda: _inflating_page(300, 1),
    "inflates_twice.pdf": lambda: _inflating_page(600, 2),
    "huge_image.pdf": lambda: _huge_image(50_000, b"/DeviceGray", 1, 200),
    "huge_colour_image.pdf": lambda: _huge_image(30_000, b"/DeviceRGB", 8, 64),
    "form_draws_itself.pdf": lambda: one_page(
        _TEXT + b"/X Do", resources=b"/XObject<</X 6 0 R>>", more=(_form(b"/X Do", b"/X 6 0 R"),)
    ),
    "forms_draw_each_other.pdf": lambda: one_page(
        _TEXT + b"/X Do",
        resources=b"/XObject<</X 6 0 R>>",
        more=(_form(b"/Y Do /Y Do", b"/Y 7 0 R"), _form(b"/X Do /X Do", b"/X 6 0 R")),
    ),
    "billion_laughs.pdf": _laughs,
    "pattern_of_itself.pdf": lambda: _pattern(
        b"/Pattern cs /P scn 0 0 9 9 re f", side=b"9", step=b"9", resources=b"/Pattern<</P 6 0 R>>"
    ),
    "tiny_pattern.pdf": lambda: _pattern(b"0 0 1 1 re f", side=b"1", step=b".001"),
    "glyph_shows_itself.pdf": lambda: _type3(b"1000 0 d0 BT /F1 1 Tf (aaaa) Tj ET"),
    "page_tree_loops.pdf": lambda: _tree(b"<</Type/Pages/Kids[2 0 R 2 0 R]/Count 2/Parent 2 0 R>>"),
    "deep_page_tree.pdf": lambda: _deep_tree(20_000),
    "count_lies.pdf": lambda: one_page().replace(b"/Count 1>>", b"/Count 2147483647>>"),
    "count_is_negative.pdf": lambda: one_page().replace(b"/Count 1>>", b"/Count -5>>"),
    "kids_are_no_pages.pdf": lambda: _tree(b"<</Type/Pages/Kids[null 7 (x) 99 0 R 1 0 R]/Count 5>>"),
    "no_contents.pdf": lambda: one_page().replace(b"/Contents 4 0 R", b"/Contents(nothing)"),
    "media_box_of_nothing.pdf": lambda: one_page(page=b"/MediaBox[0 0 0 0]"),
    "media_box_inverted.pdf": lambda: one_page(page=b"/MediaBox[595 842 0 0]"),
    "media_box_endless.pdf": lambda: one_page(page=b"/MediaBox[0 0 1e30 1e30]"),
    "media_box_far_away.pdf": lambda: one_page(page=b"/MediaBox[-1e9 -1e9 -999999405 -999999158]"),
    "user_unit.pdf": lambda: one_page(page=b"/MediaBox[0 0 595 842]/UserUnit 75000"),
    "rotated_by_45.pdf": lambda: one_page(page=b"/MediaBox[0 0 595 842]/Rotate 45"),
    "needle.pdf": lambda: one_page(page=b"/MediaBox[0 0 1 20000]"),
    "nested_arrays.pdf": lambda: one_page(_TEXT + b"[" * 200_000 + b"]" * 200_000 + b" TJ"),
    "nested_dictionaries.pdf": lambda: one_page(more=(b"<</A " * 100_000 + b"1" + b">>" * 100_000,)),
    "nested_states.pdf": lambda: one_page(b"q " * 500_000 + _TEXT),
    "garbage_content.pdf": lambda: one_page(bytes(range(256)) * 400),
    "endless_inline_image.pdf": lambda: one_page(b"BI /W 100000 /H 100000 /BPC 8 /CS /G ID " + b"x" * 1000),
    "length_of_itself.pdf": lambda: one_page(more=(b"<</Length 6 0 R>>\nstream\nx\nendstream",), resources=b"/X 6 0 R"),
    "font_of_garbage.pdf": lambda: one_page(
        _TEXT + b"BT /F2 12 Tf 72 300 Td (garbled) Tj ET",
        resources=b"/Font<</F1 5 0 R/F2 6 0 R>>",
        more=(
            b"<</Type/Font/Subtype/TrueType/BaseFont/G/FirstChar 0/LastChar 255/FontDescriptor 7 0 R/ToUnicode 8 0 R>>",
            b"<</Type/FontDescriptor/FontName/G/Flags 4/FontFile2 9 0 R/FontBBox[0 0 1 1]>>",
            stream(b"1 beginbfrange <0000> <FFFFFFFF> <0041> endbfrange " * 2000),
            stream(b"\0\1\0\0" + b"\xff" * 5000),
        ),
    ),
    "xref_loops.pdf": lambda: one_page().replace(b"trailer <<", b"trailer <</Prev 9 ").replace(b"/Prev 9", b"/Prev 15"),
    "unknown_encryption.pdf": lambda: one_page().replace(
        b"/Root 1 0 R", b"/Root 1 0 R/Encrypt<</Filter/Mine/V 9/R 9>>"
    ),
    "behind_a_megabyte.pdf": lambda: b"<html>" + b"x" * 1_000_000 + one_page(),
    "before_a_megabyte.pdf": lambda: one_page() + b"\0" * 1_000_000,
    "carriage_returns.pdf": lambda: one_page().replace(b"\n", b"\r"),
    "cut_in_half.pdf": lambda: _pdf(6)[: len(_pdf(6)) // 2],
    "many_frames.gif": lambda: _gif(200),
    "bomb.png": lambda: _png_bomb(30_000),
    "loop.tiff": _looping_tiff,
    "active.pdf": active,
}
"""Made to hurt. What becomes of them is open, but every page is accounted for, in bounded time and memory."""


def write(folder: Path, name: str, data: bytes) -> Path:
    """Put one animal into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(data)
    return path
