"""Opens documents: images become PDFs, encryption is removed, errors are one clear line. Worker processes only."""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pypdfium2 as pdfium
import pypdfium2.raw as pdfium_c
from PIL import Image, ImageSequence, UnidentifiedImageError

from ..errors import InputError
from ..storage.inputs import IMAGE_SUFFIXES, input_sha256, why_unreadable
from .docvortex.documents import Document
from .image_modes import upright_opaque
from .types import DocumentInfo, Key

MAX_IMAGE_PIXELS = 200_000_000
"""Images above this are refused: 600 MB of pixels, far above any scanned page."""
_MAX_FRAMES = 5000
"""Frames of an image; a file with more is damaged or hostile."""
_MAX_FILE_BYTES = 2 << 30
"""A document is kept in memory, once in each worker."""
_A4 = (595.0, 842.0)
"""Points; the size of a page whose own size can't be read."""

_PDFIUM_ERRORS = {
    pdfium_c.FPDF_ERR_FILE: "can't be read",
    pdfium_c.FPDF_ERR_FORMAT: "not a PDF, or damaged beyond repair",
    pdfium_c.FPDF_ERR_SECURITY: "encrypted in a way pdfium does not know",
}


_FileState = tuple[int, int, int]
_open_documents: dict[Key, tuple[Document, int, _FileState | None]] = {}
"""Open documents with the number of their uses and the state of their file; the most recently used last."""
in_use: list[Key] = []
"""Documents that :func:`keep_open` protects, once for each call."""
MAX_USES = 200
"""A document is reopened after this many uses: pdfium keeps parsed pages in memory until a document is closed."""
_MAX_OPEN = 2
"""Open documents in a worker, which sees pages of few documents at a time; each holds its file's bytes."""


def open_document(key: Key) -> Document:
    """The document of a key, opened once and kept while this worker works on it; reopened if its file has changed.

    Raises:
        InputError: if it can't be opened; its text is one line with the cause.
    """
    document, uses, opened = _open_documents.pop(key, (None, 0, None))
    state = _file_state(key.path)
    stale = uses >= MAX_USES or (state is not None and state != opened)
    if document is not None and stale and key not in in_use:
        document.close()
        document, uses = None, 0
    if document is None:
        document, opened = _open(key), state
        _close_least_used()
    _open_documents[key] = (document, uses + 1, opened)
    return document


def _close_least_used() -> None:
    """Make room for one more document; those in use stay."""
    idle = [key for key in _open_documents if key not in in_use]
    for key in idle[: max(0, len(_open_documents) - _MAX_OPEN + 1)]:
        _open_documents.pop(key)[0].close()


def _open(key: Key) -> Document:
    """A document whose pages are turned as its key says. Its bytes are those of the document as it is."""
    if not key.turns:
        return Document(_read_as_pdf(key))
    document = Document(open_document(Key(key.path, key.password)).data)
    for index, turn in key.turns:
        document.turn_page(index, turn)
    return document


def keep_open(key: Key) -> Callable[[], None]:
    """Protect a document whose pages are in use from being reopened, until the returned function is called."""
    in_use.append(key)
    return lambda: in_use.remove(key)


def _file_state(path: str) -> _FileState | None:
    """Inode, size and time of a file, which change when it is replaced; None if it is gone: its copy stays valid."""
    try:
        status = os.stat(path)
    except OSError:
        return None
    return status.st_ino, status.st_size, status.st_mtime_ns


def close_documents() -> None:
    """Close all documents that :func:`open_document` keeps."""
    while _open_documents:
        _open_documents.popitem()[1][0].close()


@contextmanager
def open_page(key: Key, index: int) -> Iterator[pdfium.PdfPage]:
    """A page of a document, open inside the ``with`` block; the document is not closed before it.

    Args:
        index: 0-based page number.

    Raises:
        InputError: if the page can't be loaded.
    """
    document = open_document(key)
    release = keep_open(key)
    try:
        opened = document.open_page(index)
        try:
            page = opened.__enter__()
        except pdfium.PdfiumError as error:
            raise InputError("the page is damaged") from error
        try:
            yield page
        finally:
            opened.__exit__(None, None, None)
    finally:
        release()


def inspect(path: str, password: str | None = None) -> DocumentInfo:
    """Page sizes and digest of a file. A page whose size can't be read counts as A4.

    Raises:
        InputError: if the file can't be opened or has no page.
    """
    key = Key(path, password)
    document = open_document(key)
    sizes = []
    for index in range(document.page_count):
        try:
            width, height = document.page_size(index)
        except pdfium.PdfiumError:
            width, height = _A4
        sizes.append((width, height))
    if not sizes:
        raise InputError("has no pages")
    return DocumentInfo(sizes, input_sha256(path))


def _read_as_pdf(key: Key) -> bytes:
    """The bytes of an unencrypted PDF of a file, which may be an image.

    Raises:
        InputError: one line with the cause.
    """
    try:
        size = os.path.getsize(key.path)
        if size == 0:
            raise InputError("empty file")
        if size > _MAX_FILE_BYTES:
            raise InputError(f"larger than {_MAX_FILE_BYTES >> 30} GB")
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
    """A PDF with a page for each frame of an image, at the image's own resolution (72..600 dpi, else 200).

    Raises:
        InputError: if the image is damaged or too large.
    """
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
            one = io.BytesIO()
            resolution = dpi if 72 <= dpi <= 600 else 200.0
            upright_opaque(frame).save(one, "PDF", resolution=resolution, quality=95, subsampling=0)
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
    except Exception as error:  # Pillow's decoders raise any exception on damaged files
        raise InputError(f"damaged image: {error}") from error
    return out.getvalue()


def _readable_pdf(data: bytes, password: str | None) -> bytes:
    """A PDF without encryption; ``data`` itself where it has none.

    Raises:
        InputError: if pdfium can't open it, the password is missing or wrong, or it has no pages.
    """
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
        if not encrypted:
            return data
        # docvortex and MinerU's layout PDF open the bytes again, without a password.
        out = io.BytesIO()
        document.save(out, flags=pdfium_c.FPDF_REMOVE_SECURITY)
        return out.getvalue()
    finally:
        document.close()
