"""Data that workers, the scheduler and the VLM stage exchange. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from ..document import Block, PageStatus, Region

Sampling = dict[str, Any]
"""Fields of mineru_vl_utils' ``SamplingParams``, without those that are None."""


@dataclass(slots=True)
class Crop:
    """One request to the VLM: a picture and a prompt.

    Its pixels lie in the page's arena slot from ``offset`` on, or in ``data`` where the slot had no room.
    """

    kind: str
    """Type of the region as mineru-vl-utils names it (``table``, ``text``, ...); ``[layout]`` for a page's layout."""
    prompt: str
    sampling: Sampling
    size: tuple[int, int]
    """Width and height in pixels."""
    offset: int
    length: int
    """Number of bytes: RGB rows, a PNG file for servers, or patches."""
    data: bytes | None = None
    grid: tuple[int, int] | None = None
    """Rows and columns, if the picture was cut into patches ``(rows x columns, 3 P P) uint8``."""

    @property
    def pixels(self) -> int:
        """Width times height."""
        return self.size[0] * self.size[1]


@dataclass(slots=True, eq=False)
class Patches:
    """A picture that a worker has cut into patches; see :mod:`mineru_accel.models.image_patches`."""

    size: tuple[int, int]
    """Width and height of the picture in pixels."""
    grid: tuple[int, int]
    """Rows and columns of patches."""
    data: bytearray | memoryview
    """``(rows x columns, 3 P P) uint8``: its own memory, or a view of the page's arena slot while that is in use."""


@dataclass(slots=True)
class Answer:
    """The answer to a :class:`Crop`."""

    text: str
    reason: str | None = None
    """Why ``text`` must not be used; None if it may."""
    attempts: int = 1
    """Generations that it took."""


@dataclass(slots=True)
class Generated:
    """One generation of an engine."""

    text: str
    truncated: bool = False
    """Whether it ended at the limit of tokens, not by itself."""


@dataclass(slots=True)
class Pending:
    """A region that the VLM reads."""

    block: int
    """Place in the draft's blocks."""
    type: str
    """In MinerU's words."""
    bbox: list[float]
    angle: int
    spare: str = ""
    """What the text layer says, should the VLM fail."""
    spare_sound: bool = False


@dataclass(slots=True)
class Draft:
    """A page between its layout and its blocks."""

    index: int
    layout: bool = False
    """Its layout has been asked for: the answer is the regions."""
    blocks: list[Block] = field(default_factory=list)
    """In reading order; the content of those that the VLM reads is still empty."""
    regions: list[Region] = field(default_factory=list)
    """The region behind each block."""
    sources: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    """Why that source, where there is something to say; one per block."""
    pending: list[Pending] = field(default_factory=list)
    size: tuple[int, int] = (0, 0)
    """Of the page image that the crops are of, in pixels."""
    status: PageStatus = PageStatus.OK
    warnings: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Prepared:
    """What the VLM is asked about a page."""

    draft: Draft
    crops: list[Crop]
    timings: dict[str, float] = field(default_factory=dict)

    @property
    def own_bytes(self) -> int:
        """Of crops that had no room in the page's slot."""
        return sum(len(crop.data) for crop in self.crops if crop.data)
