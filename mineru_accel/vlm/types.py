"""Data that workers, the scheduler and the VLM stage exchange. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

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
    """A picture that a worker has cut into patches; see :mod:`mineru_accel.patches.image_patches`."""

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
