"""Text layers as pdfium gives them, without places."""

from __future__ import annotations

import pypdfium2 as pdfium

from ..document import BBox
from ..errors import InputError
from .opening import close_documents, inspect, open_page
from .types import Key


def page_texts(path: str) -> list[str]:
    """Every page's text layer, in the order of the file's content; empty where there is none.

    Raises:
        InputError: if the document or a page of it can't be read.
    """
    texts = []
    try:
        for index in range(len(inspect(path).page_sizes)):
            with open_page(Key(path, None), index) as page:
                texts.append(page.get_textpage().get_text_range())
    finally:
        close_documents()
    return texts


def text_in_box(key: Key, index: int, box: BBox) -> str:
    """The text layer in a part of a page; empty where the page is turned or damaged.

    Args:
        box: in points, origin top left of the page's own box.
    """
    try:
        with open_page(key, index) as page:
            if page.get_rotation():
                return ""
            left, _, _, top = page.get_bbox()
            text = page.get_textpage()
            try:
                return str(text.get_text_bounded(left + box[0], top - box[3], left + box[2], top - box[1]))
            finally:
                text.close()
    except (InputError, pdfium.PdfiumError):
        return ""
