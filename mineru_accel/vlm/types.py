"""What workers, the scheduler and the VLM stage tell each other. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

Sampling = dict[str, Any]
"""Fields of mineru_vl_utils' ``SamplingParams``; those that are None left out."""


@dataclass(slots=True)
class Crop:
    """One request to the VLM: a picture and a prompt.

    Its pixels lie in the page's arena slot from ``offset`` on, or in ``data`` where the slot had no room.
    """

    kind: str
    """Of the region, in MinerU's words: ``table``, ``text``, ``[layout]``, ..."""
    prompt: str
    sampling: Sampling
    size: tuple[int, int]
    """Width and height in pixels."""
    offset: int
    length: int
    """Bytes: RGB rows, a PNG file for servers, or patches."""
    data: bytes | None = None
    grid: tuple[int, int] | None = None
    """Rows and columns of patches, if it was cut into them: (rows columns, 3 P P) uint8."""

    @property
    def pixels(self) -> int:
        return self.size[0] * self.size[1]


@dataclass(slots=True, eq=False)
class Patches:
    """A picture that was cut into patches in a worker; see :mod:`mineru_accel.vlm.image_patches`."""

    size: tuple[int, int]
    """Of the picture, width and height in pixels."""
    grid: tuple[int, int]
    data: bytearray | memoryview
    """Its own, or a view of the page's arena slot: used before that is free."""


@dataclass(slots=True)
class Answer:
    """What became of a :class:`Crop`."""

    text: str
    reason: str | None = None
    """Why ``text`` must not be used; None when it may."""
    attempts: int = 1


@dataclass(slots=True)
class Generated:
    """One generation of an engine."""

    text: str
    truncated: bool = False
    """It ended because it was long enough, not because it was done."""
