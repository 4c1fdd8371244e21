"""The text layer of a document as pdfium gives it: what benchmarks hold a conversion against."""

from __future__ import annotations

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
