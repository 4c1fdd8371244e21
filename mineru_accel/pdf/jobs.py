"""What the pipeline asks of a worker about a document, and about a page before its layout is known.

Imports nothing heavy: the parent names these functions, too.
"""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

from ..options import Method
from .types import DocumentInfo, HiddenTexts, Key, OcrLayer, PageRead

if TYPE_CHECKING:
    import numpy as np
    import pypdfium2 as pdfium


def inspect(path: str, password: str | None = None) -> DocumentInfo:
    """Look into a document, see :func:`mineru_accel.pdf.opening.inspect`."""
    from . import opening

    return opening.inspect(path, password)


def read(
    key: Key,
    index: int,
    method: Method,
    dpi: int,
    layout_side: int | None,
    slot: int,
    slot_bytes: int,
    ocr: bool = True,
) -> PageRead:
    """Decide which way up a page is and where its text comes from, run OCR if need be, and render it for layout.

    Args:
        index: 0-based page number.
        layout_side: long side in pixels of what the layout model sees: the page turned upright; None renders nothing.
        slot, slot_bytes: where in the arena the pixels go.
        ocr: whether to run OCR; if not, the result only gives the reason for it.

    Raises:
        InputError: if the page can't be loaded.
    """
    from .ocr import ocr_scale
    from .opening import open_document, open_page
    from .page_objects import deactivate
    from .rendering import render, rotate
    from .rendering import turn as turned
    from .visibility import find_hidden

    started = time.perf_counter()
    with open_page(key, index) as page:
        size = page.get_size()
        hidden = HiddenTexts()
        if method is not Method.OCR:
            hidden = find_hidden(page, open_document(key).may_hide_layers)
            deactivate(page, hidden.paths)
        reason, turn = _probe(page, method)
        timings = {"probe": time.perf_counter() - started}
        layer = None
        if reason:
            started = time.perf_counter()
            pixels = render(page, ocr_scale(dpi, size))
            timings["render"] = time.perf_counter() - started
            started = time.perf_counter()
            layer, turn = _by_pixels(pixels, size, ocr)
            timings["ocr"] = time.perf_counter() - started
        shape = None
        if layout_side is not None:
            started = time.perf_counter()
            image = turned(render(page, layout_side / max(size)), turn)
            if layer and layer.angle:
                image = rotate(image, layer.angle)
            shape = _to_slot(image, slot, slot_bytes)
            timings["render"] = timings.get("render", 0.0) + time.perf_counter() - started
    return PageRead(size, layer, reason, shape, hidden, timings, turn)


def _probe(page: pdfium.PdfPage, method: Method) -> tuple[str | None, int]:
    """The reason for OCR, if there is one, else the page's turn by its text layer."""
    from .text_direction import text_turn
    from .text_quality import why_ocr

    if method is Method.OCR:
        return "asked for", 0
    textpage = page.get_textpage()
    try:
        reason = why_ocr(page, textpage) if method is Method.AUTO else None
        return reason, 0 if reason else text_turn(page, textpage)
    finally:
        textpage.close()


def _by_pixels(pixels: np.ndarray, size: tuple[float, float], ocr: bool) -> tuple[OcrLayer | None, int]:
    """The text layer that OCR makes of a page, if it is wanted, and the page's turn.

    Args:
        size: width and height of the page as displayed, in points.
    """
    from .ocr import read_page, read_upright
    from .orientation import guess_turn

    if ocr:
        return read_page(pixels, size)
    turn, _ = guess_turn(pixels)
    return None, read_upright(pixels)[1] if turn else 0


def picture(key: Key, index: int, side: int) -> bytes:
    """A page as displayed, as a WebP file.

    Args:
        index: 0-based page number.
        side: long side of the image in pixels.

    Raises:
        InputError: if the page can't be loaded.
    """
    from PIL import Image

    from .opening import open_page
    from .rendering import render

    with open_page(key, index) as page:
        pixels = render(page, side / max(*page.get_size(), 1e-3))
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "WEBP", quality=82, method=2)
    return out.getvalue()


def _to_slot(image: np.ndarray, slot: int, slot_bytes: int) -> tuple[int, int, int]:
    from ..workers import arena

    arena.write(slot, slot_bytes, image)
    height, width, channels = image.shape
    return height, width, channels
