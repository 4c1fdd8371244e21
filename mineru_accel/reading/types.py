"""The data of reading a page: blocks, what the VLM is asked, results. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..document import Block, PageStatus, Region, Source
from ..vlm.types import Crop

CHUNK = 16
"""Pages that the native analysis takes together. Running heads, body size and headings are judged over the chunk, so it
doesn't depend on the number of workers; memory does not grow with the document."""


@dataclass(slots=True)
class VlmTask:
    """What the VLM is asked about a region."""

    kind: str
    """The region's type in MinerU's words, which choose the prompt."""
    bbox: list[float]
    angle: int
    """Degrees by which the content is turned clockwise."""
    text_layer: str = ""
    """What the text layer says there, should the VLM fail."""
    sound: bool = False
    """Whether that is to be believed."""


@dataclass(slots=True)
class PageBlock:
    """One block of a page and how it came to be."""

    raw: Block
    """MinerU's raw block; its content is empty while ``task`` waits for its answer."""
    source: Source
    reason: str = ""
    """Why that source; empty where nothing was to be chosen."""
    region: Region | None = None
    """The detector's; None where there was no detector."""
    task: VlmTask | None = None
    characters: str = ""
    """What the text layer says in a formula that is kept as a picture."""


@dataclass(slots=True)
class Draft:
    """A page between its layout and its content: some of its blocks wait for the VLM."""

    index: int
    """0-based page number."""
    asks_layout: bool = False
    """Whether the VLM is asked for the regions; it has no blocks then."""
    blocks: list[PageBlock] = field(default_factory=list)
    """In reading order."""
    size: tuple[int, int] = (0, 0)
    """Width and height in pixels of the page image that crops are cut from."""
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Prepared:
    """A draft and the crops that the VLM is asked about."""

    draft: Draft
    crops: list[Crop]
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def own_bytes(self) -> int:
        """Bytes of crops that had no room in the page's arena slot."""
        return sum(len(crop.data) for crop in self.crops if crop.data)


@dataclass(slots=True)
class PageContent:
    """The blocks of one page in reading order."""

    index: int
    """0-based page number."""
    blocks: list[PageBlock] = field(default_factory=list)
    status: PageStatus = PageStatus.OK
    warnings: list[str] = field(default_factory=list)
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def raws(self) -> list[Block]:
        """MinerU's raw blocks."""
        return [block.raw for block in self.blocks]


@dataclass(slots=True)
class PageSummary:
    """A :class:`PageContent` without its blocks, which stay in the page store."""

    index: int
    status: PageStatus
    blocks: int
    sources: list[str]
    warnings: list[str]
    timings: dict[str, float] = field(default_factory=dict)
    reasons: list[str] = field(default_factory=list)
