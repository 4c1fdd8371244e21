"""Opening documents: bytes of a PDF that pdfium can read, or one clear line on why not. Worker processes only."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image, ImageOps, ImageSequence, UnidentifiedImageError

from ..errors import InputError
from ..storage.inputs import IMAGE_SUFFIXES, input_sha256, why_unreadable
from .docvortex.documents import Document
from .types import DocumentInfo, Key

MAX_IMAGE_PIXELS = 200_000_000
"""Images above this are refused: 600 MB of pixels, far above any scanned page."""
_MAX_FRAMES = 5000
_MAX_FILE = 2 << 30

_PDFIUM_ERRORS = {
    pdfium_c.FPDF_ERR_FILE: "can't be read",
    pdfium_c.FPDF_ERR_FORMAT: "not a PDF, or damaged beyond repair",
    pdfium_c.FPDF_ERR_SECURITY: "encrypted in a way pdfium does not know",
}


_State = tuple[int, int, int]
_open: dict[Key, tuple[Document, int, _State | None]] = {}
"""Open documents with how often they were asked for and the state of their file; the last used last."""
_held: list[Key] = []
_MAX_USES = 200  # pdfium keeps what it parsed until a document is closed, which adds up over a thousand pages
_MAX_OPEN = 2  # a worker sees pages of few documents at a time; each holds its file's bytes


def open_document(key: Key) -> Document:
    """The document of a key, opened once and kept while this worker works on it.

    Raises:
        InputError: one line with the cause.
    """
    document, uses, opened = _open.pop(key, (None, 0, None))
    state = _state(key.path)
    stale = uses >= _MAX_USES or (state is not None and state != opened)
    if document is not None and stale and key not in _held:
        document.close()
        document, uses = None, 0
    if document is None:
        while len(_open) >= _MAX_OPEN:
            _open.pop(next(iter(_open)))[0].close()
        document, opened = Document(_load(key)), state
    _open[key] = (document, uses + 1, opened)
    return document


def hold(key: Key) -> Callable[[], None]:
    """Keep a document open, come what may, until the function that is returned is called: its pages are in use."""
    _held.append(key)
    return lambda: _held.remove(key)


def _state(path: str) -> _State | None:
    """What changes when a file is replaced; None for a file that is gone, of which what was read is still good."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def close_documents() -> None:
    """Close what :func:`open_document` keeps."""
    while _open:
        _open.popitem()[1][0].close()


@contextmanager
def open_page(key: Key, index: int) -> Iterator[pdfium.PdfPage]:
    """A page of a document.

    Raises:
        InputError: if it can't be loaded.
    """
    try:
        opened = open_document(key).open_page(index)
        page = opened.__enter__()
    except pdfium.PdfiumError as error:
        raise InputError("the page is damaged") from error
    try:
        yield page
    finally:
        opened.__exit__(None, None, None)


def inspect(path: str, password: str | None = None) -> DocumentInfo:
    """Page sizes of a file. Pages whose size can't be read get A4.

    Raises:
        InputError: if it can't be opened or has no page.
    """
    key = Key(path, password)
    document = open_document(key)
    sizes = []
    for index in range(document.page_count):
        try:
            width, height = document.page_size(index)
        except pdfium.PdfiumError:
            width, height = 595.0, 842.0
        sizes.append((width, height))
    if not sizes:
        raise InputError("has no pages")
    return DocumentInfo(sizes, input_sha256(path))


def _load(key: Key) -> bytes:
    try:
        size = os.path.getsize(key.path)
        if size == 0:
            raise InputError("empty file")
        if size > _MAX_FILE:
            raise InputError(f"larger than {_MAX_FILE >> 30} GB")
        with open(key.path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise InputError(why_unreadable(error)) from error
    if _looks_like_image(key.path, data):
        return _image_to_pdf(data)
    if b"%PDF-" not in data[:1024] and Path(key.path).suffix.lower() != ".pdf":
        raise InputError("neither a PDF nor an image of a known kind")
    return _readable_pdf(data, key.password)


def _looks_like_image(path: str, data: bytes) -> bool:
    if b"%PDF-" in data[:1024]:
        return False
    magic = (b"\x89PNG", b"\xff\xd8\xff", b"II*\x00", b"MM\x00*", b"RIFF", b"BM", b"GIF8", b"\x00\x00\x00\x0cjP  ")
    return data.startswith(magic) or Path(path).suffix.lower() in IMAGE_SUFFIXES


def _image_to_pdf(data: bytes) -> bytes:
    """Every frame of an image as a PDF page, one pixel at the image's own resolution (72..600 dpi, 200 if unknown)."""
    Image.MAX_IMAGE_PIXELS = MAX_IMAGE_PIXELS
    try:
        image = Image.open(io.BytesIO(data))
        if image.width * image.height > MAX_IMAGE_PIXELS:
            raise InputError(f"image of {image.width}x{image.height} pixels is too large")
        dpi = float(image.info.get("dpi", (200, 200))[0] or 200)
        whole = pdfium.PdfDocument.new()
        for number, frame in enumerate(ImageSequence.Iterator(image)):
            if number >= _MAX_FRAMES:
                raise InputError(f"image of more than {_MAX_FRAMES} frames")
            upright = ImageOps.exif_transpose(frame)
            if upright.mode in ("RGBA", "LA", "PA") or "transparency" in upright.info:
                upright = upright.convert("RGBA")
                flat = Image.new("RGB", upright.size, "white")
                flat.paste(upright, mask=upright.getchannel("A"))
                upright = flat
            pixels = upright.convert("L" if upright.mode in ("1", "L", "I;16") else "RGB")
            one = io.BytesIO()
            pixels.save(one, "PDF", resolution=dpi if 72 <= dpi <= 600 else 200.0, quality=95, subsampling=0)
            page = pdfium.PdfDocument(one.getvalue())
            whole.import_pages(page)  # frame by frame: a long scan's pixels would fill the memory
            page.close()
        out = io.BytesIO()
        whole.save(out)
        whole.close()
    except InputError:
        raise
    except UnidentifiedImageError as error:
        raise InputError("not an image, or damaged") from error
    except Image.DecompressionBombError as error:
        raise InputError("image is too large") from error
    except Exception as error:  # Pillow's decoders raise what they like on damaged files
        raise InputError(f"damaged image: {error}") from error
    return out.getvalue()


def _readable_pdf(data: bytes, password: str | None) -> bytes:
    """``data``, without its encryption if it had one that opens with ``password`` or none."""
    try:
        document = pdfium.PdfDocument(data)
        encrypted = pdfium_c.FPDF_GetSecurityHandlerRevision(document.raw) >= 0
    except pdfium.PdfiumError as error:
        if error.err_code != pdfium_c.FPDF_ERR_PASSWORD:
            raise InputError(_PDFIUM_ERRORS.get(error.err_code, "not a PDF, or damaged beyond repair")) from error
        if password is None:
            raise InputError("encrypted: give its password with --password") from error
        try:
            document = pdfium.PdfDocument(data, password=password)
        except pdfium.PdfiumError as wrong:
            raise InputError("encrypted: the password is wrong") from wrong
        encrypted = True
    try:
        if len(document) == 0:
            raise InputError("has no pages")
        forms = document.get_formtype() != pdfium_c.FORMTYPE_NONE
        if forms:
            _flatten(document)
        if not encrypted and not forms:
            return data
        # docvortex and MinerU's layout PDF open the bytes again, and know no passwords.
        out = io.BytesIO()
        document.save(out, flags=pdfium_c.FPDF_REMOVE_SECURITY)
        return out.getvalue()
    finally:
        document.close()


def _flatten(document: pdfium.PdfDocument) -> None:
    """Make what is filled into form fields part of the pages: it stands in no text layer."""
    for index in range(len(document)):
        try:
            page = document[index]
        except pdfium.PdfiumError:  # its turn to be reported comes when it is read
            continue
        pdfium_c.FPDFPage_Flatten(page.raw, pdfium_c.FLAT_NORMALDISPLAY)
        page.close()
