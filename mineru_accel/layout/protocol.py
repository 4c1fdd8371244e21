"""What a layout detector is to the rest of the pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

    from mineru_accel.document import Region


@runtime_checkable
class LayoutDetector(Protocol):
    """Finds the regions of page images.

    ``detect`` may be called from several threads at once. What it says of a page never depends
    on the other pages of the call.
    """

    name: str
    """For reports: which detector and which weights."""
    imgsz: int
    """The longest side, in pixels, a page is best rendered at: such a page needs no resizing."""
    max_batch: int
    """Pages that one call is best given, if there are so many; more are taken, too."""

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Region]]:
        """Find the regions of each page.

        Args:
            images: RGB pages of any sizes, ``(H, W, 3) uint8``.

        Returns:
            One list per page, best score first; bboxes as fractions of the page.

        Raises:
            ValueError: an image of another shape or dtype, or with no pixels.
        """
        ...

    def close(self) -> None:
        """Free the model; ``detect`` must not be called afterwards. May be called twice."""
        ...
