"""Data types of reading a page: blocks, the VLM's tasks, drafts and results. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from ..document import BBox, Block, PageStatus, Region, Source
from ..vlm.types import Crop

PAGES_PER_ANALYSIS = 16
"""Pages that one native analysis takes together: it compares them to find running heads and headings. A fixed number:
results don't depend on the number of workers, nor memory on the document's length."""


class Reason(StrEnum):
    """Why a word of the page is in no block."""

    HIDDEN = "hidden"
    LAYER = "off layer"
    OUTSIDE = "outside the page"
    WATERMARK = "watermark"
    LINE_NUMBER = "line number"
    LEADER = "leader dots"
    IN_FIGURE = "inside a figure"
    BY_OCR = "replaced by OCR"
    BY_VLM = "replaced by the VLM"


@dataclass(slots=True)
class SeenWord:
    """A word as the page shows it."""

    text: str
    letters: str
    """Its letters and digits, as words are compared: see :mod:`.word_account`."""
    bbox: BBox
    """In points, origin top left."""


@dataclass(slots=True)
class VlmTask:
    """A region that the VLM is to read."""

    kind: str
    """The region's type in MinerU's words; it decides on the prompt."""
    bbox: list[float]
    rotation: int
    """Clockwise rotation of the content in degrees: 0, 90, 180 or 270."""
    text_layer: str = ""
    """The region's text in the text layer, used if the VLM fails."""
    is_sound: bool = False
    """Whether that text can be used without OCR."""


@dataclass(slots=True)
class PageBlock:
    """One block of a page and where its content came from."""

    raw: Block
    """MinerU's raw block; its content is empty while ``task`` waits for its answer."""
    source: Source
    reason: str = ""
    """Why that source was chosen; empty for the source that the policy gives a sound text layer."""
    region: Region | None = None
    """The detected region; None where no detector ran."""
    task: VlmTask | None = None
    formula_text: str = ""
    """Characters of the text layer within a formula, written with its picture if it is kept as one."""


@dataclass(slots=True)
class Draft:
    """A page whose blocks are known and partly wait for the VLM to read them."""

    index: int
    """0-based page number."""
    asks_layout: bool = False
    """Whether the VLM is asked for the regions first; there are no blocks then."""
    blocks: list[PageBlock] = field(default_factory=list)
    """In reading order."""
    size: tuple[int, int] = (0, 0)
    """Width and height in pixels of the page image that crops are cut from."""
    warnings: list[str] = field(default_factory=list)
    seen: list[SeenWord] | None = None
    """The words of the page's text layer, or of OCR's; None where there is none that is sound."""
    left_out: list[tuple[SeenWord, Reason]] = field(default_factory=list)
    """Words that are no part of what the page says, each with its :class:`.word_account.Reason`."""
    page_size: tuple[float, float] = (0.0, 0.0)
    """Width and height in points of the page that they are on."""


@dataclass(slots=True)
class Prepared:
    """A draft and the crops that the VLM is to read."""

    draft: Draft
    crops: list[Crop]
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def own_bytes(self) -> int:
        """Bytes of the crops that did not fit into the page's arena slot."""
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
    words: dict[str, Any] | None = None
    """The account of the page's words, see :meth:`.word_account.WordAccount.as_dict`."""
    turn: int = 0
    """Degrees by which the page was turned to be read, see :class:`mineru_accel.pdf.types.Key`."""

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
    words: dict[str, Any] | None = None
