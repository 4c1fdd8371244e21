"""What the pipeline asks of a worker about a document, and about a page before its layout is known.

Imports nothing heavy: the parent names these functions, too.
"""

from __future__ import annotations

import io
import time
from typing import TYPE_CHECKING

from ..options import Method
from .types import DocumentInfo, HiddenTexts, Key, PageRead

if TYPE_CHECKING:
    import numpy as np


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
    """Decide where a page's text comes from, run OCR if need be, and render it for layout if asked to.

    Args:
        index: 0-based page number.
        layout_side: long side in pixels of what the layout model sees; None renders nothing.
        slot, slot_bytes: where in the arena the pixels go.
        ocr: whether to run OCR; if not, the result only gives the reason for it.

    Raises:
        InputError: if the page can't be loaded.
    """
    from .ocr import ocr_scale, read_page
    from .opening import open_document, open_page
    from .page_objects import deactivate
    from .rendering import render, rotate
    from .text_quality import why_ocr
    from .visibility import find_hidden

    started = time.perf_counter()
    with open_page(key, index) as page:
        size = page.get_size()
        reason: str | None = "asked for" if method is Method.OCR else None
        hidden = HiddenTexts()
        if method is not Method.OCR:
            hidden = find_hidden(page, open_document(key).may_hide_layers)
            deactivate(page, hidden.paths)
        if method is Method.AUTO:
            reason = why_ocr(page)
        timings = {"probe": time.perf_counter() - started}
        layer = None
        if reason and ocr:
            started = time.perf_counter()
            pixels = render(page, ocr_scale(dpi, size))
            timings["render"] = time.perf_counter() - started
            started = time.perf_counter()
            layer = read_page(pixels, size)
            timings["ocr"] = time.perf_counter() - started
        shape = None
        if layout_side is not None:
            started = time.perf_counter()
            image = render(page, layout_side / max(size))
            if layer and layer.angle:
                image = rotate(image, layer.angle)
            shape = _to_slot(image, slot, slot_bytes)
            timings["render"] = timings.get("render", 0.0) + time.perf_counter() - started
    return PageRead(size, layer, reason, shape, hidden, timings)


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
