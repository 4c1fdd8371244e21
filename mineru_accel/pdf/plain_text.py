"""Text layers as pdfium returns them: strings without positions."""

from __future__ import annotations

import pypdfium2 as pdfium

from ..document import BBox
from ..errors import InputError
from .opening import close_documents, inspect, open_page
from .types import Key


def page_texts(path: str) -> list[str]:
    """The text layer of every page, in the order of the file's content; an empty string where there is none.

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
    """The text layer in a part of a page; an empty string where the page is rotated or damaged.

    Args:
        box: in points, origin at the top left of the page.
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
