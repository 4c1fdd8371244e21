"""One page read with given regions, without a VLM."""

from __future__ import annotations

import time

from mineru_accel.document import Region
from mineru_accel.options import Backend
from mineru_accel.pdf.types import Key, PageSource
from mineru_accel.reading.blocks import build_draft
from mineru_accel.reading.page_end import complete_page
from mineru_accel.reading.source_policy import make_source_policy
from mineru_accel.reading.types import PageContent

WITHOUT_VLM = make_source_policy(Backend.PIPELINE, None, False)


def read_regions(key: Key, regions: list[Region], index: int = 0) -> PageContent:
    """A page's content; no page is taken for the document's first."""
    page = PageSource(index)
    return complete_page(
        key, page, build_draft(key, page, regions, WITHOUT_VLM, 72, False), None, 72, time.perf_counter()
    )
