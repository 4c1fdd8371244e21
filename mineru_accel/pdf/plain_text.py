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


def text_in_box(key: Key, index: int, box: BBox, turn: int = 0) -> str:
    """The text layer in a part of a page; an empty string where the page is rotated otherwise, or damaged.

    Args:
        box: in points, origin at the top left of the page, turned counter-clockwise by ``turn`` degrees.
    """
    try:
        with open_page(key, index) as page:
            sides = page.get_bbox()
            rotation = (page.get_rotation() - turn) % 360
            if page.get_rotation() and not turn:
                return ""
            text = page.get_textpage()
            try:
                found = str(text.get_text_bounded(*_unrotated(box, sides, rotation)))
                # pdfium joins the words of a line as they stand on the page that is displayed
                return " ".join(reversed(found.split())) if turn == 180 else found
            finally:
                text.close()
    except (InputError, pdfium.PdfiumError):
        return ""


def _unrotated(box: BBox, page: BBox, rotation: int) -> BBox:
    """(left, bottom, right, top) on the unrotated page, y upwards, of a box (x0, y0, x1, y1) on the rotated one.

    Args:
        page: left, bottom, right, top of the unrotated page in points.
        rotation: of the page, clockwise, in degrees.
    """
    x0, y0, x1, y1 = box
    left, bottom, right, top = page
    match rotation:
        case 90:
            return left + y0, bottom + x0, left + y1, bottom + x1
        case 180:
            return right - x1, bottom + y0, right - x0, bottom + y1
        case 270:
            return right - y1, top - x1, right - y0, top - x0
    return left + x0, top - y1, left + x1, top - y0
