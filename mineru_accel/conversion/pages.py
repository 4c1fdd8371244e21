"""The pages of a document that is being converted.

A page that is not under way costs five bytes: its number, and whether it is done. What became of it stands in the
document's journal, so that the memory of a run does not grow with its pages.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..document import PageResult, PageStatus, Region
from ..pdf.types import PageRead

if TYPE_CHECKING:
    from ..reading.types import Draft, Prepared
    from ..vlm.types import Answer


@dataclass(slots=True)
class PageState:
    """A page on its way. Stages fill in what they find."""

    index: int
    """0-based page number."""
    position: int
    """Place among the converted pages of its document."""
    step: int = 0
    """Place in the route of the stage that it is in."""
    attempts: int = 0
    """Jobs of this stage so far."""
    slot: int | None = None
    """Its place in the arena."""
    bytes: int = 0
    """Memory that it holds between two stages."""
    read: PageRead | None = None
    regions: list[Region] | None = None
    """Regions that a detector found."""
    prepared: Prepared | None = None
    """Draft and crops that the VLM is asked about."""
    vlm: tuple[Draft, list[Answer]] | None = None
    """Draft, and the VLM's last answers to it."""
    why_ocr: str | None = None
    timings: dict[str, float] = field(default_factory=dict)
    """Seconds by stage."""


class Pages:
    """The pages of a document that are to be converted, by position, and how far they are.

    Args:
        indices: 0-based page numbers, ascending.
        whole: whether these are all pages of the document.
    """

    def __init__(self, indices: Iterable[int] = (), whole: bool = True) -> None:
        self.indices = array("I", indices)
        self.whole = whole
        self.under_way: dict[int, PageState] = {}
        self.done = self.failed = self.ocr = 0
        """Numbers of pages."""
        self.prefix = 0
        """Number of pages from the first on that are done without a gap."""
        self._is_done = bytearray(len(self.indices))
        self._next = 0
        self._again: deque[PageState] = deque()

    def __len__(self) -> int:
        return len(self.indices)

    def is_done(self, position: int) -> bool:
        return bool(self._is_done[position])

    @property
    def unread(self) -> bool:
        """Whether there is a page that nobody has begun to read."""
        while self._next < len(self) and self._is_done[self._next]:
            self._next += 1
        return bool(self._again) or self._next < len(self)

    def take(self) -> PageState:
        """The next unread page."""
        assert self.unread
        if self._again:
            return self._again.popleft()
        page = self.under_way[self._next] = PageState(self.indices[self._next], self._next)
        self._next += 1
        return page

    def put_back(self, page: PageState) -> None:
        """A page is to be read once more."""
        self._again.append(page)

    def finish(self, position: int, result: PageResult) -> None:
        """A page is done."""
        self._is_done[position] = True
        self.under_way.pop(position, None)
        self.done += 1
        self.failed += result.status is PageStatus.FAILED
        self.ocr += result.why_ocr is not None
        while self.prefix < len(self) and self._is_done[self.prefix]:
            self.prefix += 1

    def finished(self, results: dict[int, PageResult]) -> list[PageResult]:
        """The results of the pages that are done, in order, out of ``results`` by page number."""
        return [results[i] for i, done in zip(self.indices, self._is_done, strict=True) if done and i in results]
