"""The protocol of layout detectors: what the rest of the program needs to know of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np

    from mineru_accel.document import Region


@runtime_checkable
class LayoutDetector(Protocol):
    """Finds the regions of page images.

    ``detect`` may be called from several threads at once. A page's regions never depend on the other pages of the call.
    """

    name: str
    """For reports: the detector and its weights."""
    imgsz: int
    """Longest side, in pixels, at which pages should be rendered: they are not resized then."""
    max_batch: int
    """Number of pages for which one call is most efficient; calls with more pages work, too."""

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Region]]:
        """Find the regions of each page.

        Args:
            images: RGB pages of any sizes, ``(H, W, 3) uint8``.

        Returns:
            One list per page, best score first; bboxes as fractions of the page.

        Raises:
            ValueError: if an image has another shape or dtype, or no pixels.
        """
        ...

    def close(self) -> None:
        """Free the model; ``detect`` must not be called afterwards. May be called twice."""
        ...
