"""What extraction returns for a page."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..document import Block, PageStatus, Source


@dataclass(slots=True)
class PageContent:
    """The blocks of one page in reading order, with the source of each."""

    index: int
    blocks: list[Block] = field(default_factory=list)
    sources: list[Source] = field(default_factory=list)
    status: PageStatus = PageStatus.OK
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)
