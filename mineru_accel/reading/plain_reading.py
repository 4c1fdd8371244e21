"""A page that can't be read for one odd character or path is read again in plainer ways."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TypeVar

from loguru import logger

from ..errors import AccelError, one_line
from ..pdf.opening import open_page
from ..pdf.types import Key, OcrLayer, PageSource

T = TypeVar("T")


def read_again(key: Key, page: PageSource, dpi: int, read: Callable[[PageSource, list[str]], T]) -> T:
    """Read a page; if that fails, with pdfium's text alone for its text layer, and if that fails, with OCR.

    Args:
        dpi: resolution at which the page is rendered for OCR.
        read: reads a page, and adds to its warnings those that it is given.

    Raises:
        AccelError: if the page or the document can't be opened, or nothing can be written.
        Exception: the fault of the first reading, if the others fail, too, or the page was read by OCR anyway.
    """
    try:
        return read(page, [])
    except (AccelError, MemoryError):
        raise
    except Exception as error:
        if page.ocr is not None:
            raise
        logger.opt(exception=error).debug("page {} of {} is read in a plainer way", page.index + 1, key.path)
        for how, layer in _plainer_layers(key, page.index, dpi):
            warning = f"the page can't be analysed in full ({one_line(error, named=True)}): {how}"
            try:
                return read(replace(page, ocr=layer()), [warning])
            except (AccelError, MemoryError):
                raise
            except Exception as other:
                logger.opt(exception=other).debug("nor so: {}", how)
        raise


def _plainer_layers(key: Key, index: int, dpi: int) -> Iterator[tuple[str, Callable[[], OcrLayer]]]:
    """Ways to make a text layer, best first: what they do in words, and the function."""

    def plain() -> OcrLayer:
        from ..pdf.plain_layer import plain_layer

        return plain_layer(key, index)

    def by_ocr() -> OcrLayer:
        from ..pdf.ocr import ocr_scale, read_as_displayed
        from ..pdf.rendering import render

        with open_page(key, index) as page:
            size = page.get_size()
            pixels = render(page, ocr_scale(dpi, size))
        return read_as_displayed(pixels, size)

    yield "its text was taken line by line", plain
    yield "it was read by OCR", by_ocr
