"""A layout detector for the synthetic pages."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import vlm_checkpoints as tiny

from mineru_accel.document import Region


class KnowsPages:
    """A detector that sees exactly the regions of the synthetic pages, told apart by the colour of the first one."""

    name = "stub"
    imgsz = 640
    max_batch = 32

    def detect(self, images: Sequence[np.ndarray]) -> list[list[Region]]:
        return [[Region(b.label, tuple(v / 1000 for v in b.bbox), 0.9) for b in tiny.PAGES[_number(i)]] for i in images]

    def close(self) -> None:
        pass


def _number(image: np.ndarray) -> int:
    """0 or 1: the first page begins with red, the second with violet."""
    height, width = image.shape[:2]
    band = image[int(0.05 * height) : int(0.2 * height), int(0.1 * width) : int(0.9 * width)].reshape(-1, 3).astype(int)
    coloured = band[np.ptp(band, axis=1) > 60]
    return int(np.median(coloured[:, 2] - coloured[:, 0]) > 0)
